"""EventBridge Scheduler: schedules that fire. moto stores them and has no clock.

A target, which has to be a Lambda function, is invoked asynchronously and once. Flexible time windows, start and end
dates, retries and dead-letter queues are not emulated. Schedules are precise to a quarter of a second; those of AWS
are to a minute.
"""

import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aws_croniter import AwsCroniter
from aws_croniter.exceptions import AwsCroniterExpressionError
from moto.iam import models as iam_models
from moto.scheduler import models
from moto.scheduler.exceptions import ValidationException

from sandbox.aws.arns import ACCOUNT_ID, DEFAULT_REGION
from sandbox.aws.corrections import replace
from sandbox.aws.events import rate_seconds

_SERVICE = "scheduler.amazonaws.com"
_TICK_SECONDS = 0.25
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_CRON = re.compile(r"cron\((.+)\)")
_LOG = logging.getLogger(__name__)


def next_time(expression: str, timezone: str, after: datetime, start: datetime) -> datetime | None:
    """Return when a schedule is due next.

    A local time that the clocks skip in spring is left out, one that comes twice in autumn counts the first time
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html, "Daylight savings time").

    Args:
        expression: ``at(...)``, ``cron(...)`` or ``rate(...)``.
        timezone: IANA name of the time zone of ``at`` and ``cron``.
        after: The moment after which; itself excluded.
        start: When the schedule began: a rate is due at once, then after each period.

    Returns:
        The moment in UTC; ``None`` if there is none any more.

    Raises:
        ValueError: If the expression or the time zone is none that AWS knows.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"Provided time zone {timezone!r} is not valid.") from error
    if period := rate_seconds(expression):
        passed = (after - start) // timedelta(seconds=period)
        return start + max(0, passed + 1) * timedelta(seconds=period)
    if match := _AT.fullmatch(expression):
        due = _moment(datetime.fromisoformat(match[1]), zone)
        return due if due and due > after else None
    if match := _CRON.fullmatch(expression):
        return _next_of_cron(match[1], zone, after)
    raise ValueError(f"Invalid Schedule Expression {expression}.")


def _next_of_cron(fields: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    try:
        cron = AwsCroniter(fields)
    except (AwsCroniterExpressionError, ValueError) as error:
        raise ValueError(f"Invalid Schedule Expression cron({fields}): {error}") from error
    local = after.astimezone(zone).replace(tzinfo=UTC)  # it counts in UTC only, so local times pass for UTC
    while True:
        (local,) = cron.get_next(local)
        if local is None:
            return None
        due = _moment(local.replace(tzinfo=None), zone)
        if due and due > after:
            return due


def _moment(local: datetime, zone: ZoneInfo) -> datetime | None:
    """Return a local time in UTC; ``None`` if the clocks skip it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == local else None


class Scheduler:
    """Fires moto's schedules."""

    def __init__(self, invoke: Callable[[Mapping[str, Any], bytes], None]) -> None:
        """Create it; ``start`` lets it run.

        Args:
            invoke: Called with the target as in the schedule, and the payload; invokes the function with the target's
                role, and returns at once. Raises what Lambda answers.
        """
        self._invoke = invoke
        self._stop = threading.Event()
        self._lock = threading.Lock()
        # By schedule and timing: one that was changed begins anew.
        self._due: dict[tuple[str, str, str], datetime | None] = {}

    def start(self) -> None:
        """Run until ``stop``."""
        threading.Thread(target=self._run, daemon=True, name="scheduler").start()

    def stop(self) -> None:
        """Fire nothing more."""
        self._stop.set()

    def fire(self, group: str, name: str, region: str = DEFAULT_REGION) -> str:
        """Fire a schedule's next occurrence as if its time had come, and return that time.

        Raises:
            KeyError: If there is no such schedule, or nothing is left of it.
        """
        with self._lock:
            for schedule in _schedules(region):
                if (schedule.group_name, schedule.name) == (group, name):
                    due = self._next(schedule)
                    if due is None:
                        raise KeyError(f"schedule {name!r}: {schedule.schedule_expression} is over")
                    self._fire(schedule, due)
                    return _text(due)
        raise KeyError(f"no schedule {name!r} in the group {group!r} in {region}")

    def tick(self, now: datetime) -> None:
        """Fire what is due."""
        with self._lock:
            present = {_key(schedule): schedule for region in _regions() for schedule in _schedules(region)}
            for schedule in present.values():
                due = self._next(schedule)
                if due and due <= now and schedule.state != "DISABLED":  # not given, it is enabled
                    try:
                        self._fire(schedule, due)
                    except Exception:  # noqa: BLE001 - AWS drops what its target refuses, and goes on; here it is told
                        _LOG.exception("schedule %s did not reach its target", schedule.arn)
            self._due = {key: due for key, due in self._due.items() if key in present}

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            self.tick(datetime.now(UTC))

    def _next(self, schedule: Any) -> datetime | None:
        key = _key(schedule)
        if key not in self._due:
            begun = _begun(schedule)
            self._due[key] = next_time(*key[1:], begun - timedelta(microseconds=1), begun)
        return self._due[key]

    def _fire(self, schedule: Any, due: datetime) -> None:
        key = _key(schedule)
        self._due[key] = next_time(*key[1:], due, _begun(schedule))
        self._invoke(schedule.target, _payload(schedule, due))


def apply() -> None:
    """Let moto refuse what AWS refuses.

    moto takes any expression, any time zone, and a role that Scheduler may not assume.
    """

    def create(self: Any, **settings: Any) -> Any:
        _check(settings, self.region_name)
        return original_create(self, **settings)

    def update(self: Any, **settings: Any) -> Any:
        _check(settings, self.region_name)
        return original_update(self, **settings)

    original_create = replace(models.EventBridgeSchedulerBackend, "create_schedule", create)
    original_update = replace(models.EventBridgeSchedulerBackend, "update_schedule", update)


def _check(settings: dict[str, Any], region: str) -> None:
    now = datetime.now(UTC)
    try:
        next_time(settings["schedule_expression"], settings["schedule_expression_timezone"] or "UTC", now, now)
    except ValueError as error:
        raise ValidationException(str(error)) from error
    group = f"arn:aws:scheduler:{region}:{ACCOUNT_ID}:schedule-group/{settings['group_name'] or 'default'}"
    if not _may_assume(settings["target"]["RoleArn"], group):
        raise ValidationException(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        )


def _may_assume(role_arn: str, group_arn: str) -> bool:
    """Whether a role trusts the schedules of a group."""
    known = {"aws:SourceAccount": ACCOUNT_ID, "aws:SourceArn": group_arn}
    roles = iam_models.iam_backends[ACCOUNT_ID]["aws"].roles.values()
    documents = [json.loads(role.assume_role_policy_document) for role in roles if role.arn == role_arn]
    return any(
        statement["Effect"] == "Allow"
        and statement.get("Principal") == {"Service": _SERVICE}
        and statement.get("Condition", {}).get("StringEquals", {}).items() <= known.items()
        and statement.get("Condition", {}).keys() <= {"StringEquals"}
        for document in documents
        for statement in document["Statement"]
    )


def _payload(schedule: Any, due: datetime) -> bytes:
    text = str(schedule.target["Input"])
    for keyword, value in {
        "attempt-number": "1",
        "execution-id": str(uuid.uuid4()),
        "schedule-arn": schedule.arn,
        "scheduled-time": _text(due),
    }.items():
        text = text.replace(f"<aws.scheduler.{keyword}>", value)
    return text.encode()


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _begun(schedule: Any) -> datetime:
    return datetime.fromtimestamp(schedule.last_modified_date, UTC)


def _key(schedule: Any) -> tuple[str, str, str]:
    return schedule.arn, schedule.schedule_expression, schedule.schedule_expression_timezone


def _regions() -> list[str]:
    return list(models.scheduler_backends[ACCOUNT_ID])


def _schedules(region: str) -> Iterator[Any]:
    for group in list(models.scheduler_backends[ACCOUNT_ID][region].schedule_groups.values()):
        yield from list(group.schedules.values())
