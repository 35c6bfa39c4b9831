"""One valid request among people: who may vote, how many have to, until when."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from aws_durable_execution_sdk_python import DurableContext

from approval.ballot import Ballot
from approval.decision import Decision, Location, Outcome, Vote, utc_text
from approval.delivery import LONGEST_TEAM, UNCONFIRMED, Delivery
from approval.deployment import Deployment
from approval.postings import Postings
from approval.request import Escalation, InvalidRequestError, Request
from approval.votes import Tally
from shared.button import Button, ButtonTooLongError, Choice
from shared.message import GROUP, RequestMessage, decision_text, mentions, votes_text

if TYPE_CHECKING:
    from aws_durable_execution_sdk_python.types import LambdaContext

# As long as Slack's user ids are: room in the button for those who will have voted.
_VOTER = "U" + "0" * 10
_ESCALATION = "escalation"


class Inquiry:
    """A request in work; replays build the same again.

    Args:
        deployment: Settings and clients.
        context: The durable execution.
        request: What is asked.
        requested_at: When it was (aware).
        ends_at: When nothing is begun any more (aware).
    """

    def __init__(
        self,
        deployment: Deployment,
        context: DurableContext,
        request: Request,
        *,
        requested_at: datetime,
        ends_at: datetime,
    ) -> None:
        self._request = request
        self._requested_at = requested_at
        self._expires_at = requested_at + timedelta(seconds=request.timeout_seconds)
        self._execution_arn = context.execution_context.durable_execution_arn
        self._message = self._content(context, deployment.settings.environment)
        self._approvers = request.approvers
        self._tally = Tally(quorum=request.quorum, rejections=request.rejections)
        self._ballot = Ballot(context, self._expires_at)
        delivery = Delivery(
            workspace=deployment.workspace,
            text=self._message.text(),
            mark=hashlib.sha256(self._execution_arn.encode()).hexdigest(),
            since=requested_at,
        )
        self._postings = Postings(context, deployment.workspace, delivery, expires_at=self._expires_at, ends_at=ends_at)

    def record(self) -> dict[str, Any]:
        """Return what was asked, and where, for auditors."""
        return {
            "request": self._request.source,
            "request_hash": self._request.hash,
            "requested_at": utc_text(self._requested_at),
            "messages": [asdict(message) for message in self.messages],
            "undelivered_to": [place.as_json() for place in self._postings.undelivered],
            "execution_arn": self._execution_arn,
        }

    @property
    def messages(self) -> tuple[Location, ...]:
        """Every known message; the first is the main one."""
        return self._postings.messages

    def open(self) -> None:
        """Open the callbacks for votes.

        Raises:
            InvalidRequestError: If what a click needs does not fit into a button.
        """
        self._ballot.open()
        escalation = self._request.escalation
        everybody = tuple(dict.fromkeys(self._approvers + (escalation.approvers if escalation else ())))
        voted = (_VOTER,) * (self._tally.longest - 1)
        try:
            for choice in self._choices:
                replace(self._button(choice, LONGEST_TEAM), approvers=everybody, voted=voted).fitting()
        except ButtonTooLongError as error:
            raise InvalidRequestError(f"request.approvers: {error}") from None
        self._open_more()

    def ask(self) -> None:
        """Ask wherever the request goes.

        Raises:
            StepError: If the bot token cannot be read.
        """
        self._post(self._request.channels, self._approvers)

    def decision(self) -> Decision:
        """Wait until the request is over, reminding and escalating as it wants.

        Raises:
            CallbackFailedError: If somebody failed a callback.
            ClickUnreadableError: If something else than a click completed one.
            StepError: If the bot token cannot be read.
        """
        if refused_at := self._postings.refused_at:
            return self._ended("undelivered", refused_at, failure=self._postings.undelivered[0].failure)
        self._wait()
        if verdict := self._tally.verdict:
            deciding = self._tally.deciding
            reasons = [click.reason for click in deciding if click.reason]
            return self._ended(
                verdict,
                deciding[-1].at,
                decided_by=tuple(map(Vote.of, deciding)),
                reason=reasons[-1] if reasons else None,
                inputs=deciding[-1].inputs,
            )
        if not self.messages:
            return self._ended("undelivered", self._expires_at, failure=UNCONFIRMED)
        return self._ended(
            self._request.on_timeout, self._expires_at, timed_out=self._request.on_timeout != "timed_out"
        )

    def close(self, decision: Decision) -> None:
        """Take the buttons off every message; failing to changes nothing about the decision."""
        self._postings.lock(self._message.locked_blocks(decision_text(decision.as_json()), decision.reason))

    def tell_requester(self, decision: Decision) -> None:
        """Tell the requester what was decided, unless it was the requester's own doing."""
        requester, how = self._request.requester, self._request.notify_requester
        if not requester or how == "none" or not self.messages or decision.outcome == "cancelled":
            return
        main = self.messages[0]
        text = f"{mentions([requester])}: {decision_text(decision.as_json())}"
        if how == "thread":
            self._postings.note("notify-requester", {"channel": main.channel, "thread_ts": main.ts, "text": text})
        else:
            blocks = self._message.notice_blocks(text, main.permalink)
            self._postings.note("notify-requester", {"channel": requester, "text": text, "blocks": blocks})

    def _wait(self) -> None:
        for number, seconds in enumerate(self._request.reminders, 1):
            self._ballot.set_timer(f"reminder-{number}", self._requested_at + timedelta(seconds=seconds))
        if escalation := self._request.escalation:
            self._ballot.set_timer(_ESCALATION, self._requested_at + timedelta(seconds=escalation.after_seconds))
        while True:
            news = self._ballot.next()
            for click in news.clicks:
                self._tally = self._tally.with_click(click)
                self._postings.clicked(click.channel, click.ts)
            if self._tally.verdict or news.expired:
                return
            self._open_more()
            if escalation and _ESCALATION in news.due:
                self._escalate(escalation)
            elif news.clicks:
                self._show()
            for name in news.due:
                if name != _ESCALATION:
                    self._remind(name)

    def _escalate(self, escalation: Escalation) -> None:
        """Ask the others first: Slack may have trouble with the messages that are there already."""
        added = tuple(id_ for id_ in escalation.approvers if id_ not in self._approvers)
        self._approvers += added
        asked_before = self.messages
        self._post(escalation.channels, added)
        self._show()
        if added:
            asked_now = [message for message in self.messages if message not in asked_before]
            self._postings.reply("escalate", f"{mentions(added)} may decide now, too.", but_not=asked_now)

    def _remind(self, timer: str) -> None:
        """Mention those who may still vote, and leave the direct messages with the others alone."""
        voted = self._tally.voted
        if silent := [id_ for id_ in self._able(self._approvers) if id_ not in voted]:
            text = f"{mentions(silent)}: this still waits for a decision."
            self._postings.reply(timer.replace("reminder", "remind"), text, but_not=self._postings.at(voted))

    def _able(self, approvers: Iterable[str]) -> list[str]:
        """Return the approvers without a requester who may not approve."""
        kept_out = None if self._request.allow_self_approval else self._request.requester
        return [id_ for id_ in approvers if id_ != kept_out]

    def _open_more(self) -> None:
        """Open callbacks for all votes that may come before the decision, as far as they fit into a button.

        One more is for the second vote of a person who clicks before the message shows the first. Where any vote
        decides, there is nothing to spare.
        """
        wanted = self._tally.longest + (1 if self._needs_several else 0)
        while len(ids := self._ballot.callback_ids) < wanted:
            if ids:
                one_more = replace(self._button("approve", LONGEST_TEAM), callback_ids=(*ids, ids[-1]))
                if len(_fitting(one_more).callback_ids) == len(ids):
                    return
            self._ballot.open()

    def _post(self, channels: Iterable[str], approvers: Iterable[str]) -> None:
        people = [id_ for id_ in self._able(approvers) if not id_.startswith(GROUP)]
        places = [*channels, *people] if self._request.direct_messages else [*channels]
        self._postings.post(places, self._blocks, lambda: self._ballot.is_decided(self._tally))

    def _show(self) -> None:
        self._postings.update(self._blocks, self._ballot.has_news)

    @property
    def _needs_several(self) -> bool:
        return (self._request.quorum, self._request.rejections) != (1, 1)

    @property
    def _choices(self) -> tuple[Choice, ...]:
        return ("approve", "reject", "cancel") if self._request.allow_cancel else ("approve", "reject")

    def _blocks(self, team: str) -> list[dict[str, Any]]:
        votes = None
        if self._needs_several:
            approved, rejected = ([click.user_id for click in self._tally.of(c)] for c in ("approve", "reject"))
            votes = votes_text(approved, self._tally.quorum, rejected, self._tally.rejections)
        return self._message.open_blocks(
            *[_fitting(self._button(choice, team)) for choice in self._choices], votes=votes
        )

    def _button(self, choice: Choice, team: str) -> Button:
        return Button(
            choice=choice,
            execution_arn=self._execution_arn,
            callback_ids=self._ballot.callback_ids,
            approvers=self._approvers,
            requester=self._request.requester,
            allow_self_approval=self._request.allow_self_approval,
            team=team,
            votes_needed={"approve": self._tally.quorum, "reject": self._tally.rejections, "cancel": 1}[choice],
            # The requester may vote, and cancel nevertheless.
            voted=self._tally.voted if choice != "cancel" else (),
            opens_modal=self._request.form.asks(choice),
        )

    def _content(self, context: DurableContext, environment: str) -> RequestMessage:
        arn = cast("LambdaContext", context.lambda_context).invoked_function_arn or ""
        _, _, _, region, account, *_ = arn.split(":")
        return RequestMessage(
            title=self._request.title,
            description=self._request.description,
            fields=self._request.fields,
            environment=environment,
            account=account,
            region=region,
            requester=self._request.requester,
            expires_at=self._expires_at,
        )

    def _ended(self, outcome: Outcome, at: datetime, **facts: Any) -> Decision:
        return Decision(
            outcome=outcome,
            requested_at=self._requested_at,
            decided_at=at,
            execution_arn=self._execution_arn,
            request_hash=self._request.hash,
            votes=tuple(Vote.of(click) for click in self._tally.counted if click.choice != "cancel"),
            messages=self.messages,
            undelivered_to=self._postings.undelivered,
            **facts,
        )


def _fitting(button: Button) -> Button:
    """Return the button with as many callbacks as fit; without those who voted where their ids are longer than usual.

    They only save a click that would not count anyway.
    """
    try:
        return button.fitting()
    except ButtonTooLongError:
        return replace(button, voted=()).fitting()
