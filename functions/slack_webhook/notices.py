"""Bringing what the maintenance function tells to Slack: at least once, and not twice as far as Slack can tell.

EventBridge delivers at least once and in no order, and Lambda delivers a failed event again. Nothing is remembered
but in Slack: a message is known by the maintenance that it is about, and looked up before anything is written.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import logs
from shared.errors import WorkflowGatesError
from shared.secrets import Secret
from shared.slack import SlackRateLimitedError, SlackRefusedError
from shared.workspace import Workspace
from slack_webhook import notice
from slack_webhook.notice import Maintenance, Trouble
from slack_webhook.settings import Settings

# What kind of message it is; the payload has the key.
MAINTENANCE, REPORT, TROUBLE = "maintenance", "maintenance_end", "maintenance_trouble"

# A look-up reads this many messages at most, near the beginning and after that; 200 a page is what Slack recommends.
_PAGE_SIZE = 200
_MAX_PAGES = 5
# A message is posted within this time of what it tells, unless something went wrong; a channel has much after that.
_USUAL_DELAY = timedelta(hours=1)
# Clocks of AWS and Slack may differ by so much.
_CLOCK_SKEW = timedelta(minutes=1)
# Seconds that one delivery may take after Slack has asked to wait.
_RESERVE = 15
# There is nothing left to change: https://docs.slack.dev/reference/methods/chat.update#errors
_MESSAGE_GONE = frozenset({"message_not_found", "is_archived"})

_log = logs.logger(__name__)

Message = dict[str, Any]


class NoticeRefusedError(WorkflowGatesError):
    """Slack does not take a notice; the event is delivered again, and then goes to the failed events."""


class Notices:
    """Handles the maintenance function's events.

    Args:
        settings: Of the function.
        channel: Id of the channel that is told.
        sleep: Waits so many seconds.
    """

    def __init__(self, settings: Settings, channel: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._slack = Workspace(Secret(settings.bot_token_arn), settings.api_url)
        self._channel = channel
        self._sleep = sleep

    def handle(self, event: Mapping[str, Any], seconds_left: Callable[[], float]) -> None:
        """Tell people of an event; delivered again it changes nothing.

        Args:
            event: An event for which `notice.is_event` is true.
            seconds_left: Until Lambda ends this invocation.

        Raises:
            EventInvalidError: If the event is malformed.
            NoticeRefusedError: If Slack refuses, for example because the app is not in the channel.
            SlackError: If Slack asks to wait for longer than there is time, or does not answer.
            SecretError: If the bot token cannot be read.
        """
        while True:
            try:
                self._tell(event)
            except SlackRateLimitedError as error:
                if error.retry_after + _RESERVE > seconds_left():
                    raise
                _log.info("slack asks to wait", extra={"seconds": error.retry_after})
                self._sleep(error.retry_after)
            except SlackRefusedError as error:
                raise NoticeRefusedError(
                    f"{error}: nobody was told of {event['detail-type']!r} in {self._channel}; invite the app to that "
                    "channel, and compare its scopes with the output slack_app_manifest"
                ) from error
            else:
                return

    def _tell(self, event: Mapping[str, Any]) -> None:
        if event["detail-type"] == notice.TROUBLE:
            self._trouble(Trouble.from_event(event))
            return
        maintenance = Maintenance.from_event(event)
        if maintenance.ending:
            self._ended(maintenance)
        else:
            self._began(maintenance)

    def _trouble(self, trouble: Trouble) -> None:
        facts = {"kind": trouble.kind, "machine": trouble.name}
        if self._messages(TROUBLE, trouble.key, trouble.at):
            _log.info("trouble told before", extra=facts)
            return
        self._post(_metadata(TROUBLE, trouble.key), trouble.text(), trouble.blocks())
        _log.info("trouble told", extra=facts)

    def _began(self, maintenance: Maintenance) -> None:
        facts = {"maintenance": maintenance.key}
        key, began_at = maintenance.key, maintenance.began_at
        team = self._slack.identity().team
        # Also where the end came first, and has told everything.
        if told := self._messages(MAINTENANCE, key, began_at):
            _log.info("beginning told before", extra=facts)
            for message in told:
                self._show_notes(message, maintenance, team)
            return
        metadata = _metadata(MAINTENANCE, key, notes=maintenance.notes)
        ts = self._post(metadata, maintenance.text(), maintenance.open_blocks(team))
        _log.info("beginning told", extra=facts)
        # The end may be told at this very moment by another invocation, which did not see this message. Both look
        # again after they posted, so at least one sees the other's.
        others = [message for message in self._messages(MAINTENANCE, key, began_at) if message["ts"] != ts]
        if any(not notice.is_open(message.get("blocks", ())) for message in others):
            self._update(ts, maintenance.text(), maintenance.over_blocks())

    def _show_notes(self, message: Message, maintenance: Maintenance, team: str) -> None:
        """Show a reason, a person or an end that the message does not show yet.

        A maintenance can be begun again with others; the tag's own event, which has none, may be told first or last.
        """
        shown = message.get("blocks", ())
        payload = (message.get("metadata") or {}).get("event_payload") or {}
        if maintenance.has_notes and notice.is_open(shown) and payload.get("notes") != maintenance.notes:
            metadata = _metadata(MAINTENANCE, maintenance.key, notes=maintenance.notes)
            self._update(message["ts"], maintenance.text(), maintenance.open_blocks(team, shown), metadata=metadata)

    def _ended(self, maintenance: Maintenance) -> None:
        key, began_at = maintenance.key, maintenance.began_at
        messages = self._messages(MAINTENANCE, key, began_at)
        if not messages:
            blocks = maintenance.over_blocks()
            ts = self._post(_metadata(MAINTENANCE, key), maintenance.text(), blocks)
            posted = {"ts": ts, "blocks": blocks}
            messages = self._messages(MAINTENANCE, key, began_at) or [posted]
        # First what keeps later clicks from asking for the end of what is over, then the button itself.
        first = min(messages, key=lambda message: float(message["ts"]))
        self._report(first["ts"], maintenance)
        for message in messages:
            if notice.is_open(message.get("blocks", ())):
                self._update(message["ts"], maintenance.text(), maintenance.over_blocks())
        _log.info("end told", extra={"maintenance": key})

    def _report(self, ts: str, maintenance: Maintenance) -> None:
        """Write into the thread how it ended, unless that is there."""
        try:
            if any(map(is_report, self._pages("conversations.replies", {"ts": ts}))):
                return
        except SlackRefusedError as error:
            _log.warning("thread not readable", extra={"reason": str(error)})
        self._post(_metadata(REPORT, maintenance.key), maintenance.report(), None, thread_ts=ts)

    def _post(self, metadata: Message, text: str, blocks: list[dict[str, Any]] | None, **thread: str) -> str:
        answer = self._slack.call(
            "chat.postMessage",
            {
                "channel": self._channel,
                "text": text,
                **({"blocks": blocks} if blocks else {}),
                "metadata": metadata,
                "unfurl_links": False,
                "unfurl_media": False,
                **thread,
            },
        )
        return str(answer["ts"])

    def _update(self, ts: str, text: str, blocks: list[dict[str, Any]], **metadata: Message) -> None:
        changes = {"channel": self._channel, "ts": ts, "text": text, "blocks": blocks, **metadata}
        try:
            self._slack.call("chat.update", changes)
        except SlackRefusedError as error:
            if error.code not in _MESSAGE_GONE:
                raise
            _log.warning("message is gone", extra={"slack_ts": ts, "error_code": error.code})

    def _messages(self, kind: str, key: str, told_at: datetime) -> list[Message]:
        """Return the messages about something; none where the app may not read the channel."""
        # Slack returns the newest first: a long maintenance's message would lie behind all that came after it.
        early = {"oldest": _stamp(told_at - _CLOCK_SKEW), "latest": _stamp(told_at + _USUAL_DELAY)}
        late = {"oldest": _stamp(told_at + _USUAL_DELAY)}
        for window in (early, late) if told_at + _USUAL_DELAY < datetime.now(UTC) else (early,):
            try:
                found = [m for m in self._pages("conversations.history", window) if _is_about(m, kind, key)]
            except SlackRefusedError as error:
                _log.warning("channel not readable: notices may come twice", extra={"reason": str(error)})
                return []
            if found:
                return found
        return []

    def _pages(self, method: str, arguments: Mapping[str, Any]) -> Iterator[Message]:
        asked = {"channel": self._channel, "include_all_metadata": True, "limit": _PAGE_SIZE, **arguments}
        for _ in range(_MAX_PAGES):
            answer = self._slack.call(method, asked)
            yield from answer.get("messages", ())
            asked["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not asked["cursor"]:
                return


def is_report(message: Mapping[str, Any]) -> bool:
    """Return whether a message of a thread says how the maintenance ended."""
    return bool((message.get("metadata") or {}).get("event_type") == REPORT)


def _metadata(kind: str, key: str, **more: str) -> Message:
    return {"event_type": kind, "event_payload": {"key": key, **more}}


def _is_about(message: Message, kind: str, key: str) -> bool:
    metadata = message.get("metadata") or {}
    told = metadata.get("event_type") == kind and (metadata.get("event_payload") or {}).get("key") == key
    return told or any(block.get("block_id") == key for block in message.get("blocks", ()))


def _stamp(moment: datetime) -> str:
    return f"{moment.timestamp():.6f}"
