"""Whatever is asked of the gate in any order, with crashes anywhere: no task is stranded, none is resumed too early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from maintenance.gate import Limits
from shared.errors import WorkflowGatesError
from tests.unit.maintenance.conftest import BUCKET, REGION, LocalAws, MemoryAws, World

MACHINES = ("Order", "OrderRefund")

names = st.sampled_from(MACHINES)
actions = st.one_of(
    st.tuples(st.just("check-in"), names),
    st.tuples(st.sampled_from(["begin", "end", "tag", "untag", "tag event", "drain", "replay", "stop"]), names),
    st.tuples(st.sampled_from(["begin all", "end all", "sweep", "wait"]), st.just("Order")),
)
steps = st.tuples(actions, st.none() | st.integers(1, 25))
"""What happens, and before which of its requests the function dies, if it does."""

Steps = list[tuple[tuple[str, str], int | None]]


class LambdaDiedError(BaseException):
    """Nothing of the function's own may catch this."""


class Story:
    """One sequence of steps, watched."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.machine_of: dict[str, str] = {}  # by token
        self.failed: set[str] = set()  # tokens whose check-in died or failed: Step Functions fails their tasks

    def run(self, steps: Steps) -> None:
        for (what, name), crash in steps:
            self.world.advance(1)
            try:
                with self._watched(crash):
                    self._act(what, name)
            except LambdaDiedError:
                self.world.known_flags.clear()  # with the container
            except WorkflowGatesError:
                pass  # an answer of the function; what it did stays

    def _act(self, what: str, name: str) -> None:
        world = self.world
        match what:
            case "check-in":
                self._check_in(name)
            case "tag":
                world.tag(name)
            case "untag":
                world.untag(name)
            case "tag event":
                world.tag_event(name)
            case "stop":
                for key in world.parked(name)[:1]:
                    world.aws.stop(world.body(key)["taskToken"])
            case "wait":
                world.advance(31)
            case "begin all" | "end all":
                world.act(what.removesuffix(" all"), scope="all")
            case "sweep":
                world.act("sweep")
            case _:
                world.act(what, name)

    def _check_in(self, name: str) -> None:
        token = self.world.aws.issue()
        self.machine_of[token] = name
        self.failed.add(token)
        self.world.send({"taskToken": token, "stateMachineArn": self.world.arn(name)})
        self.failed.remove(token)

    @contextmanager
    def _watched(self, crash: int | None) -> Iterator[None]:
        requests = 0

        def watch(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal requests
            requests += 1
            if requests == crash:
                raise LambdaDiedError
            if method.__name__ == "send_task_success":
                # One step after the other: what the flag says at this moment is what the sender had to go by.
                assert self.world.state(self.machine_of[args[0]]) in {"open", "draining"}, "resumed while closed"
            return method(*args, **kwargs)

        self.world.watched.fault = watch
        try:
            yield
        finally:
            self.world.watched.fault = None

    def finish(self) -> None:
        """End every maintenance as from the console, without an event, and sweep once."""
        for name in MACHINES:
            self.world.untag(name)
        self.run([(("end all", "Order"), 3)])  # the override is lifted, and then the function dies
        self.world.advance(31)
        with self._watched(None):
            self.world.act("sweep")


def holds(world: World, steps: Steps) -> None:
    world.machine(*(name for name in MACHINES if name != "Order"))
    story = Story(world)
    story.run(steps)
    story.finish()

    kept = {world.body(key)["taskToken"] for key in world.below("maintenance/~dead/")}
    for name in MACHINES:
        assert world.parked(name) == [], "stranded"
        assert world.state(name) in {"open", None}
    assert story.machine_of.keys() <= world.aws.outputs.keys() | kept | story.failed
    assert world.below("maintenance/~quarantine/") == []
    told = [(kind, (one["scope"], one["name"], one["since"])) for kind, one in world.aws.told if "scope" in one]
    began, ended = ({key for kind, key in told if kind == f"Maintenance {what}"} for what in ("Began", "Ended"))
    assert began == ended, "an announcement is lost"


@given(st.lists(steps, max_size=30))
@settings(max_examples=150, deadline=None)
@example([(("check-in", "Order"), None), (("begin", "Order"), None), (("check-in", "Order"), None)])
def test_nothing_is_stranded_or_resumed_too_early(steps: Steps) -> None:
    holds(World(MemoryAws(), limits=Limits(batch=2)), steps)


@given(st.lists(steps, min_size=5, max_size=15))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_stranded_or_resumed_too_early_over_s3(local_aws: LocalAws, steps: Steps) -> None:
    local_aws.forget()
    with mock_aws():
        local_aws._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        local_aws.create_machine("Order")
        holds(World(local_aws, limits=Limits(batch=2)), steps)
