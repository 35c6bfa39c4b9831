"""A request's messages in Slack, as durable steps: asked at every place, kept true, locked; and notes to people."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, StepError
from aws_durable_execution_sdk_python.config import StepConfig, StepSemantics
from aws_durable_execution_sdk_python.exceptions import StepInterruptedError
from aws_durable_execution_sdk_python.serdes import JsonSerDes

from approval.decision import Failure, Location, Undelivered
from approval.delivery import BOT_FIX, UNCONFIRMED, Blocks, Delivery
from approval.retries import any_of, retried
from shared.secrets import SecretError
from shared.slack import SlackRateLimitedError, SlackRefusedError, SlackUnavailableError
from shared.workspace import Workspace

# Attempts within about half a minute, and within about five minutes.
_FEW, _SOME = 6, 10
# A note that may have arrived is sent once more only: being told twice is better than not at all, but not often.
_NOTE_ATTEMPTS = 2
# Messages that one step writes. Slack takes some 50 updates a minute, and a step that it stops halfway begins anew:
# https://docs.slack.dev/reference/methods/chat.update
_BATCH_SIZE = 20
_TROUBLE = (SlackRateLimitedError, SlackUnavailableError, SecretError)


@dataclass(frozen=True, kw_only=True)
class _Posting:
    """What became of asking at one place: a message there, a failure, or neither because the request ended first.

    Attributes:
        place: Id or `#name` of a channel, or id of a user.
        message: Where it is, if Slack confirmed it.
        failure: Why nobody could be asked.
        refused_at: When Slack refused (aware).
        needless: Whether the request was over before anybody was asked there.
    """

    place: str
    message: Location | None = None
    failure: Failure | None = None
    refused_at: datetime | None = None
    needless: bool = False


class Postings:
    """The messages of one request.

    Args:
        context: The durable execution.
        workspace: Slack.
        delivery: The message without its place.
        expires_at: When the request's time is over (aware).
        ends_at: When nothing is begun any more (aware).
    """

    def __init__(
        self,
        context: DurableContext,
        workspace: Workspace,
        delivery: Delivery,
        *,
        expires_at: datetime,
        ends_at: datetime,
    ) -> None:
        self._context = context
        self._workspace = workspace
        self._delivery = delivery
        self._expires_at = expires_at
        self._ends_at = ends_at
        self._postings: list[_Posting] = []
        self._clicked: dict[tuple[str, str], Location] = {}
        self._updates = 0

    @property
    def messages(self) -> tuple[Location, ...]:
        """Every known message: those that Slack confirmed, and copies that were clicked; the first is the main one."""
        confirmed = {(p.message.channel, p.message.ts): p.message for p in self._postings if p.message}
        return tuple((confirmed | {key: copy for key, copy in self._clicked.items() if key not in confirmed}).values())

    @property
    def undelivered(self) -> tuple[Undelivered, ...]:
        """Places that Slack refused, or that it did not confirm a message for and nobody clicked one at."""
        reached = {message.channel for message in self.messages}
        return tuple(
            Undelivered(channel=posting.place, failure=posting.failure or UNCONFIRMED)
            for posting in self._postings
            if not posting.message and not posting.needless and posting.place not in reached
        )

    @property
    def refused_at(self) -> datetime | None:
        """When Slack had refused every place; None where it did not refuse all (aware)."""
        moments = [posting.refused_at for posting in self._postings]
        return max(at for at in moments if at) if all(moments) else None

    def clicked(self, channel: str, ts: str) -> None:
        """Take note of a message that was clicked: Slack may never have confirmed it."""
        self._clicked[channel, ts] = Location(channel=channel, ts=ts, permalink=None)

    def post(self, places: Sequence[str], blocks: Blocks, is_decided: Callable[[], bool]) -> None:
        """Ask at places where nobody has been asked yet, one step each.

        Args:
            places: Ids or `#names` of channels, ids of users.
            blocks: What to post.
            is_decided: Whether the request is over meanwhile: nobody is asked any more then.

        Raises:
            StepError: If the bot token cannot be read, and nobody has been asked yet.
        """
        asked = {posting.place for posting in self._postings}
        for place in dict.fromkeys(places):
            if place not in asked:
                number = len(self._postings) + 1
                name = "post" if number == 1 else f"post-{number}"
                self._postings.append(self._post(name, place, blocks, is_decided))

    def update(self, blocks: Blocks, is_outdated: Callable[[], bool]) -> None:
        """Write every message anew; tried until it holds, because buttons without an open callback are of no use.

        Args:
            blocks: What to show.
            is_outdated: Whether there is something newer to show: asked before another attempt.
        """
        self._updates += 1

        def write(messages: Sequence[Location], step: StepContext) -> None:
            if step.attempt == 1 or not is_outdated():
                self._write(messages, blocks(self._workspace.identity().team), step)

        strategy = retried(*_TROUBLE, until=self._ends_at, not_past=self._expires_at)
        self._in_batches(write, f"update-{self._updates}", StepConfig(strategy))

    def lock(self, blocks: list[dict[str, Any]]) -> None:
        """Write every message for the last time; failing to changes nothing about the decision."""
        strategy = retried(*_TROUBLE, until=self._ends_at, attempts=_SOME)
        self._in_batches(
            lambda messages, step: self._write(messages, blocks, step), "close-message", StepConfig(strategy)
        )

    def at(self, places: Collection[str]) -> list[Location]:
        """Return the messages at places, as far as Slack confirmed them."""
        return [posting.message for posting in self._postings if posting.message and posting.place in places]

    def reply(self, name: str, text: str, but_not: Collection[Location]) -> None:
        """Write into the thread of every message.

        Args:
            name: Of the step for the first message; the others' have a number behind it.
            text: mrkdwn.
            but_not: Messages that are left alone.
        """
        for number, message in enumerate(self.messages, 1):
            if message not in but_not:
                step = name if number == 1 else f"{name}-{number}"
                self.note(step, {"channel": message.channel, "thread_ts": message.ts, "text": text})

    def note(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Send a message without buttons; one that may have arrived is sent once more only.

        Args:
            name: Of the step.
            arguments: Of chat.postMessage.
        """

        def send(step: StepContext) -> None:
            try:
                self._workspace.call("chat.postMessage", {"unfurl_links": False, "unfurl_media": False, **arguments})
            except SlackRefusedError as error:
                facts = {"step": name, "channel": arguments["channel"], "code": error.code}
                step.logger.warning("note not delivered", extra=facts)

        strategy = any_of(
            retried(SlackRateLimitedError, SecretError, until=self._ends_at, attempts=_FEW),
            retried(SlackUnavailableError, until=self._ends_at, attempts=_NOTE_ATTEMPTS),
        )
        self._best_effort(send, name, StepConfig(strategy))

    def _post(self, name: str, place: str, blocks: Blocks, is_decided: Callable[[], bool]) -> _Posting:
        is_first = not self._postings

        def post(step: StepContext) -> dict[str, Any]:
            # At most once per attempt: after a crash the attempt counts as made, so that the next one knows of it.
            again = step.attempt > 1
            # The first attempt at the first place is made in any case: nobody can have clicked yet.
            if (again or not is_first) and is_decided():
                return {"settled": True, "needless": not again}
            posted = self._delivery.deliver(place, blocks, again=again)
            if isinstance(posted, Failure):
                return {"undelivered": asdict(posted), "at": datetime.now(UTC).isoformat()}
            return posted

        unclear = (SlackRateLimitedError, SlackUnavailableError, StepInterruptedError)
        strategy = any_of(
            # Until `post` finds that the request is over, by clicks on an unconfirmed message or by its timeout.
            retried(*unclear, until=self._ends_at, not_past=self._expires_at),
            retried(SecretError, until=self._expires_at, attempts=_SOME),
        )
        # Plain JSON, not the SDK's own encoding: the Slack webhook reads it from the history of an execution that died.
        config = StepConfig(strategy, StepSemantics.AT_MOST_ONCE_PER_RETRY, serdes=JsonSerDes())
        try:
            posted = self._context.step(post, name, config)
        except StepError as error:
            if not self.messages:
                raise
            # Those who were asked can decide all the same.
            return self._failed(place, Failure(code="bot_token_unreadable", message=str(error.message), fix=BOT_FIX))
        if "undelivered" in posted:
            return self._failed(place, Failure(**posted["undelivered"]), datetime.fromisoformat(posted["at"]))
        if "settled" in posted:
            return _Posting(place=place, needless=posted["needless"])
        message = Location(channel=posted["channel"], ts=posted["ts"], permalink=posted["permalink"])
        return _Posting(place=place, message=message)

    def _failed(self, place: str, failure: Failure, refused_at: datetime | None = None) -> _Posting:
        self._context.logger.warning("message not delivered", extra={"channel": place, "code": failure.code})
        return _Posting(place=place, failure=failure, refused_at=refused_at)

    def _write(self, messages: Sequence[Location], blocks: list[dict[str, Any]], step: StepContext) -> None:
        # Without `metadata` in the call a message keeps its own.
        content = {"text": self._delivery.text, "blocks": blocks}
        for message in messages:
            try:
                self._workspace.call("chat.update", {"channel": message.channel, "ts": message.ts, **content})
            except SlackRefusedError as error:
                facts = {"channel": message.channel, "ts": message.ts, "code": error.code}
                step.logger.warning("message not updated", extra=facts)

    def _in_batches(
        self, write: Callable[[Sequence[Location], StepContext], None], name: str, config: StepConfig
    ) -> None:
        """Write every message; the last step has the name, so that it says that all are written."""
        messages = self.messages
        batches = [messages[begin : begin + _BATCH_SIZE] for begin in range(0, len(messages), _BATCH_SIZE)]
        for number, batch in enumerate(batches, 1):
            step_name = name if number == len(batches) else f"{name}-{number}"
            self._best_effort(functools.partial(write, batch), step_name, config)

    def _best_effort(self, work: Callable[[StepContext], None], name: str, config: StepConfig) -> None:
        try:
            self._context.step(work, name, config)
        except StepError as error:
            self._context.logger.warning("given up", extra={"step": name, "reason": error.message})
