"""EventBridge: events of the local AWS, rules that invoke functions and start state machines, schedules that fire.

moto stores rules and matches patterns; it delivers to none of these targets and has no clock. (EventBridge Scheduler,
the newer service, is in ``scheduler``.)
"""

import copy
import json
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from moto.events import models
from moto.events.utils import EventTemplateParser

from sandbox.aws.arns import ACCOUNT_ID, DEFAULT_REGION
from sandbox.aws.corrections import replace

# Events kept for inspection.
_KEPT_EVENTS = 1000
# How often the clock looks for schedules that are due.
_TICK_SECONDS = 0.25
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)")


@dataclass
class Delivery:
    """One target of one rule that an event went to.

    Attributes:
        rule: Name of the rule.
        target: ARN of the target.
        error: Why it was not delivered; ``None`` when it was.
    """

    rule: str
    target: str
    error: str | None = None


@dataclass
class SeenEvent:
    """An event that passed the bus.

    Attributes:
        sequence: Position in the order of arrival, from 1.
        event: The event as rules and targets see it.
        deliveries: Where it went.
    """

    sequence: int
    event: dict[str, Any]
    deliveries: list[Delivery] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it for the control endpoint."""
        return asdict(self)


class EventBus:
    """The event buses, with a memory of what passed them."""

    def __init__(self) -> None:
        """Create it without targets; see ``add_target``."""
        self._targets: dict[str, Callable[[str, Mapping[str, Any], bytes], None]] = {}
        self._seen: deque[SeenEvent] = deque(maxlen=_KEPT_EVENTS)
        self._arrived = threading.Condition()
        self._sequence = 0
        self._deliveries = 0

    @property
    def changes(self) -> int:
        """A number that grows with each event, and with each of its deliveries."""
        return self._sequence + self._deliveries

    def add_target(self, service: str, deliver: Callable[[str, Mapping[str, Any], bytes], None]) -> None:
        """Register how to deliver to a service.

        Args:
            service: Service part of target ARNs, such as ``lambda``.
            deliver: Called with rule ARN, target as in the rule, and payload; returns at once. Raises what the service
                answers.
        """
        self._targets[service] = deliver

    def emit(
        self,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        *,
        resources: list[str] | None = None,
        region: str = DEFAULT_REGION,
    ) -> None:
        """Put an event of an AWS service on the default bus."""
        self._publish(_event(source, detail_type, detail, resources or [], region), "default", region)

    def seen(self, after: int = 0, wait_seconds: float = 0) -> list[dict[str, Any]]:
        """Return the events after a sequence number; wait for the first one for at most ``wait_seconds``."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._sequence > after, timeout=wait_seconds)
            return [seen.to_json() for seen in self._seen if seen.sequence > after]

    def latest(self, number: int) -> list[dict[str, Any]]:
        """Return the events that came last, at most so many."""
        return self.seen(self._sequence - number)

    def fire(self, name: str, region: str = DEFAULT_REGION) -> None:
        """Let the schedule of a rule fire now.

        Raises:
            KeyError: If there is no such scheduled rule.
        """
        for rule in _rules(region):
            if rule.name == name and rule.scheduled_expression:
                self.fire_rule(rule)
                return
        raise KeyError(f"no rule {name!r} with a schedule in {region}")

    def fire_rule(self, rule: Any) -> None:
        """Let the schedule of one of moto's rules fire now."""
        event = _event("aws.events", "Scheduled Event", {}, [rule.arn], rule.region_name)
        seen = self._record(event)
        self._deliver(rule, event, seen)

    def _publish(self, event: dict[str, Any], bus: str, region: str) -> None:
        seen = self._record(event)
        for rule in list(models.events_backends[ACCOUNT_ID][region].event_buses[bus].rules.values()):
            # moto lets a rule without a pattern match everything; on AWS it is a schedule and matches nothing.
            if (
                rule.state == "ENABLED"
                and rule.event_pattern.get_pattern()
                and rule.event_pattern.matches_event(cast("Any", event))
            ):
                self._deliver(rule, event, seen)

    def _record(self, event: dict[str, Any]) -> SeenEvent:
        with self._arrived:
            self._sequence += 1
            seen = SeenEvent(self._sequence, _readable(event))
            self._seen.append(seen)
            self._arrived.notify_all()
            return seen

    def _deliver(self, rule: Any, event: dict[str, Any], seen: SeenEvent) -> None:
        foreign = []
        for target in list(rule.targets):
            deliver = self._targets.get(target["Arn"].split(":")[2])
            if deliver is None:
                foreign.append(target)
                continue
            delivery = Delivery(rule.name, target["Arn"])
            seen.deliveries.append(delivery)
            try:
                deliver(rule.arn, target, json.dumps(_payload(target, event)).encode())
            except Exception as error:  # noqa: BLE001 - AWS counts a failed delivery and goes on; here it is kept to be seen
                delivery.error = f"{type(error).__name__}: {error}"
            self._deliveries += 1
        if foreign:  # queues, log groups, other buses: moto's own
            others = copy.copy(rule)
            others.targets = foreign
            send_to_targets(others, copy.deepcopy(event))


class ScheduleClock:
    """Fires the ``rate(...)`` schedules of rules. ``cron(...)`` is not understood and never fires."""

    def __init__(self, bus: EventBus) -> None:
        """Create the clock of a bus; ``start`` lets it run."""
        self._bus = bus
        self._stop = threading.Event()
        # A rule's schedule begins when it is seen first; a changed expression begins anew.
        self._due: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Run until ``stop``."""
        threading.Thread(target=self._run, daemon=True, name="schedules").start()

    def stop(self) -> None:
        """Fire nothing more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        """Fire what is due; ``now`` in seconds of any one clock."""
        present = set()
        for region in list(models.events_backends[ACCOUNT_ID]):
            for rule in _rules(region):
                period = rate_seconds(rule.scheduled_expression or "")
                if period is None or rule.state != "ENABLED":
                    continue
                key = (rule.arn, rule.scheduled_expression)
                present.add(key)
                if self._due.setdefault(key, now + period) <= now:
                    self._due[key] = now + period
                    self._bus.fire_rule(rule)
        self._due = {key: due for key, due in self._due.items() if key in present}


def rate_seconds(expression: str) -> int | None:
    """Return the period of a ``rate(...)`` expression in seconds; ``None`` for anything else."""
    match = _RATE.fullmatch(expression)
    return int(match[1]) * _UNIT_SECONDS[match[2]] if match else None


# moto's own delivery, for the targets that it knows.
send_to_targets: Callable[..., None] = models.Rule.send_to_targets


def apply(bus: EventBus) -> None:
    """Let PutEvents reach functions and state machines.

    moto hands an event to each rule of the bus, also to disabled ones and to schedules, and raises for these targets.
    """

    def put_events(self: Any, events: list[dict[str, Any]]) -> Any:
        entries = original_put(self, events)
        for event, entry in zip(events, entries, strict=True):
            if "EventId" not in entry:
                continue
            message = _event(
                event["Source"],
                event["DetailType"],
                json.loads(event["Detail"]),
                event.get("Resources", []),
                self.region_name,
            )
            message["id"] = entry["EventId"]
            if event.get("Time") is not None:
                message["time"] = float(event["Time"])
            name = (event.get("EventBusName") or "default").rsplit("/", 1)[-1]
            bus._publish(message, name, self.region_name)  # noqa: SLF001 - one module
        return entries

    def nothing(_rule: Any, _event: Any, transform_input: bool = True) -> None:
        """Delivery is ``EventBus``'s."""

    original_put = replace(models.EventsBackend, "put_events", put_events)
    replace(models.Rule, "send_to_targets", nothing)


def _event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str], region: str) -> dict[str, Any]:
    now = float(int(time.time()))
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": now,  # moto's own targets expect seconds; others see ISO 8601
        "region": region,
        "resources": resources,
        "detail": detail,
        "ingestion-time": now,
    }


def _readable(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as targets see it."""
    shown = {name: value for name, value in event.items() if name != "ingestion-time"}
    shown["time"] = datetime.fromtimestamp(event["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return shown


def _payload(target: dict[str, Any], event: dict[str, Any]) -> Any:
    if target.get("Input"):
        return json.loads(target["Input"])
    if target.get("InputPath", "$") != "$":
        raise ValueError(f"target {target['Id']}: the sandbox does not evaluate InputPath; use InputTransformer")
    transformer = target.get("InputTransformer")
    if transformer:
        return EventTemplateParser.parse(
            input_template=transformer["InputTemplate"],
            input_paths_map=transformer.get("InputPathsMap", {}),
            event=cast("Any", {**_readable(event), "ingestion-time": event["ingestion-time"]}),
        )
    return _readable(event)


def _rules(region: str) -> Iterator[Any]:
    for bus in list(models.events_backends[ACCOUNT_ID][region].event_buses.values()):
        yield from list(bus.rules.values())
