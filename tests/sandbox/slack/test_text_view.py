from datetime import UTC, datetime

from sandbox.slack import text_view
from sandbox.slack.workspace import Content, Message
from shared.button import Button
from shared.message import RequestMessage


def test_a_request_reads_well_in_a_terminal() -> None:
    request = RequestMessage(
        title="Deploy v1?",
        description="First release <b>",
        fields={"Order": "123"},
        environment="prod",
        account="123456789012",
        region="us-east-2",
        requester="U0RITA0001",
        expires_at=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
    )
    buttons = [
        Button(
            choice=c,
            execution_arn="x",
            callback_ids=("x",),
            approvers=("U0ALICE001",),
            requester=None,
            allow_self_approval=False,
            team="T",
        )
        for c in ("approve", "reject")
    ]
    content = Content(text=request.text(), blocks=tuple(request.open_blocks(*buttons)))
    shown = text_view.message(
        Message(channel="C1", ts="1.0", content=content, version=1), {"U0RITA0001": "Rita Requester"}
    )
    assert shown.splitlines()[1:-1] == [
        "│ Deploy v1?",
        "│ ══════════",
        "│ First release <b>",
        "│ Order: 123",
        "│ prod · account 123456789012 · us-east-2 · requested by @Rita Requester ·",
        "│ expires 2030-01-02 03:04 UTC",
        "│ [ Approve ]  [ Reject ]",
    ]


def test_a_message_without_blocks_shows_its_text() -> None:
    shown = text_view.message(Message(channel="C1", ts="1.0", content=Content(text="a &amp; b"), version=1), {})
    assert shown.splitlines()[1] == "│ a & b"
