from dataclasses import replace
from typing import Any

import pytest

from approval.request import Escalation, InvalidRequestError, read, usable_token
from approval.settings import Settings
from shared.records import request_hash
from tests.unit.approval.conftest import APPROVER, CHANNEL, REQUESTER, TASK_TOKEN

SETTINGS = Settings(
    bot_token_arn="arn:aws:secretsmanager:us-east-2:123456789012:secret:slack",
    api_url="https://slack.com/api/",
    channel=CHANNEL,
    bucket="orders-gates",
    event_bus="default",
    environment="staging",
    execution_timeout=900,
    default_timeout=600,
    approvers=(APPROVER,),
)
WITHOUT_APPROVERS = replace(SETTINGS, approvers=())


def refusal(event: object, settings: Settings = SETTINGS) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        read(event, settings)
    return str(caught.value)


def test_a_title_is_enough_where_the_deployment_has_defaults() -> None:
    request = read({"request": {"title": "Deploy v1?"}}, SETTINGS)

    assert request.title == "Deploy v1?"
    assert request.approvers == (APPROVER,)
    assert request.channels == (CHANNEL,)
    assert request.timeout_seconds == 600
    assert request.fails_task
    assert not request.allow_self_approval
    assert (request.description, request.fields, request.requester) == ("", {}, None)
    assert (request.quorum, request.rejections, request.on_timeout) == (1, 1, "timed_out")
    assert (request.reminders, request.escalation, request.direct_messages) == ((), None, False)
    assert [choice for choice in ("approve", "reject") if request.form.asks(choice)] == []
    assert not request.allow_cancel
    assert request.notify_requester == "none"


def test_every_field_is_taken_over() -> None:
    asked = {
        "title": "Deploy v1?",
        "description": "to production",
        "fields": {"Order": "123"},
        "approvers": {"users": ["U0777", "W0888"], "groups": ["S0123"]},
        "requester": REQUESTER,
        "allow_self_approval": True,
        "channels": ["#approvals", "C0456EFGH"],
        "direct_messages": True,
        "quorum": 2,
        "rejections": 2,
        "timeout_seconds": 780,
        "on_timeout": "rejected",
        "reminders": [60, 120.0],
        "escalation": {"after_seconds": 90, "approvers": {"users": ["U0999"]}, "channels": ["#operations"]},
        "reason": {"on_approve": "optional", "on_reject": "required"},
        "inputs": [{"name": "size", "label": "Size", "type": "select", "options": ["S", "M"], "default": "M"}],
        "allow_cancel": True,
        "notify_requester": "direct_message",
        "on_not_approved": "succeed",
    }

    request = read({"request": asked, "task_token": TASK_TOKEN}, SETTINGS)

    assert request.approvers == ("U0777", "W0888", "S0123")
    assert request.description == "to production"
    assert request.fields == {"Order": "123"}
    assert request.requester == REQUESTER
    assert request.allow_self_approval
    assert request.channels == ("#approvals", "C0456EFGH")
    assert request.direct_messages
    assert (request.quorum, request.rejections) == (2, 2)
    assert (request.timeout_seconds, request.on_timeout, request.reminders) == (780, "rejected", (60, 120))
    assert request.escalation == Escalation(after_seconds=90, approvers=("U0999",), channels=("#operations",))
    assert request.form.reasons == {"approve": "optional", "reject": "required"}
    assert [(found.name, found.default) for found in request.form.inputs] == [("size", "M")]
    assert request.allow_cancel
    assert request.notify_requester == "direct_message"
    assert request.source == asked
    assert request.hash == request_hash(asked)
    assert not request.fails_task


def test_an_empty_list_of_approvers_means_the_deployments() -> None:
    assert read({"request": {"title": "x", "approvers": {"users": []}}}, SETTINGS).approvers == (APPROVER,)


def test_a_whole_number_may_come_as_a_float() -> None:
    assert read({"request": {"title": "x", "timeout_seconds": 60.0}}, SETTINGS).timeout_seconds == 60


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("title", "", 'request.title is "" but must be longer than or equal to 1 characters; expected one line'),
        ("title", " \n", 'request.title is " \\n" but must match pattern \\S; expected one line'),
        (
            "title",
            "x" * 151,
            f'request.title is "{"x" * 79}... but must be shorter than or equal to 150 characters; ex',
        ),
        ("title", 5, "request.title is 5 but must be string; expected one line of 1 to 150 characters"),
        ("description", None, "request.description is null but must be string; expected free text"),
        ("fields", ["a"], 'request.fields is ["a"] but must be object; expected at most 10 names'),
        (
            "fields",
            {"Order": 1},
            "request.fields.Order is 1 but must be string; expected a text; write numbers in quotes",
        ),
        (
            "fields",
            {str(n): "" for n in range(11)},
            "must contain less than or equal to 10 properties; expected at most",
        ),
        ("approvers", ["U0123"], 'request.approvers is ["U0123"] but must be object; expected who may decide, as {"us'),
        ("approvers", {"user": []}, "request.approvers.user is not a known field; the known ones are users, groups"),
        ("approvers", {"users": ["bob"]}, 'request.approvers.users[0] is "bob" but must match pattern'),
        ("approvers", {"users": ["U0777", "U0777"]}, "must contain unique items; expected a list of Slack user ids"),
        ("requester", "@ann", 'request.requester is "@ann" but must match pattern'),
        ("requester", "U0123ABCD\n", 'request.requester is "U0123ABCD\\n" but must match pattern'),
        ("allow_self_approval", "yes", 'request.allow_self_approval is "yes" but must be boolean; expected true or fa'),
        (
            "channel",
            "#approvals",
            "request.channel is not a known field; the known ones are title, description, fields",
        ),
        ("channels", ["approvals"], "expected a Slack channel id such as C0123ABCD, or a name such as #approvals"),
        ("channels", [], "request.channels is [] but must contain at least 1 items; expected 1 to 5 Slack channels"),
        (
            "timeout_seconds",
            0,
            "request.timeout_seconds is 0 but must be bigger than or equal to 1; expected whole seco",
        ),
        ("timeout_seconds", 1.5, "request.timeout_seconds is 1.5 but must be integer"),
        ("timeout_seconds", True, "request.timeout_seconds is true but must be integer"),
        ("timeout_seconds", "60", 'request.timeout_seconds is "60" but must be integer'),
        ("timeout_seconds", 781, "request.timeout_seconds is 781, more than the 780 that the deployment allows"),
        ("quorum", 0, "request.quorum is 0 but must be bigger than or equal to 1; expected how many different people"),
        ("quorum", 2, "request.quorum is 2, but only 1 may decide"),
        ("rejections", 21, "request.rejections is 21 but must be smaller than or equal to 20; expected how many"),
        ("rejections", 2, "request.rejections is 2, but only 1 may decide"),
        (
            "on_timeout",
            "approve",
            "request.on_timeout is \"approve\" but must be one of ['timed_out', 'approved', 'rejec",
        ),
        (
            "reminders",
            [60, 60],
            "request.reminders is [60, 60]; name seconds since the request, each more than the one",
        ),
        (
            "reminders",
            [600],
            "request.reminders is [600]; name seconds since the request, each more than the one before",
        ),
        ("reminders", [0], "request.reminders[0] is 0 but must be bigger than or equal to 1; expected whole seconds"),
        ("escalation", {}, "request.escalation.after_seconds is missing; expected whole seconds since the request"),
        ("escalation", {"after_seconds": 5}, "request.escalation asks nobody; give it approvers or channels"),
        (
            "escalation",
            {"after_seconds": 600, "channels": ["C0123ABCD"]},
            "request.escalation.after_seconds is 600; it has to be less than the timeout of 600",
        ),
        ("approvers", {"groups": ["U0123"]}, 'request.approvers.groups[0] is "U0123" but must match pattern'),
        ("reason", {"on_reject": "yes"}, 'request.reason.on_reject is "yes" but must be one of'),
        (
            "reason",
            {"on_cancel": "none"},
            "request.reason.on_cancel is not a known field; the known ones are on_approve",
        ),
        ("inputs", [{"name": "a", "label": "A"}], "request.inputs[0].type is missing; expected what can be answered"),
        (
            "inputs",
            [{"name": "1", "label": "A", "type": "text"}],
            'request.inputs[0].name is "1" but must match pattern',
        ),
        (
            "inputs",
            [{"name": "a", "label": "A", "type": "text", "options": ["x"]}],
            "request.inputs[0].options is given, but request.inputs[0].type is text",
        ),
        (
            "inputs",
            [{"name": "a", "label": "A", "type": "number", "min": 5, "default": 3}],
            "request.inputs[0].default is 3; the input would say: Please use 5 or more.",
        ),
        ("inputs", [{"name": "a", "label": "A", "type": "text"}] * 2, "request.inputs has the name a twice"),
        (
            "inputs",
            [{"name": "a", "label": "A", "type": "text", "hint": " "}],
            'request.inputs[0].hint is " " but must match pattern',
        ),
        (
            "inputs",
            [
                {
                    "name": f"a{n}",
                    "label": "A",
                    "type": "select",
                    "options": [f"{o:03}" + "注" * 72 for o in range(100)],
                }
                for n in range(10)
            ],
            "request.inputs makes a form of 930810 bytes, more than Slack shows; name fewer or shorter options",
        ),
        ("allow_cancel", True, "request.allow_cancel is true, but only a requester may cancel; add requester"),
        ("notify_requester", "thread", 'request.notify_requester is "thread", but there is nobody to tell; add req'),
        ("direct_messages", 1, "request.direct_messages is 1 but must be boolean; expected true or false"),
        ("description", "\ud800", "request holds '\\ud800', half a character; send UTF-8"),
        ("on_not_approved", "ignore", "request.on_not_approved is \"ignore\" but must be one of ['fail', 'succeed']"),
        ("approver", "U0123", "request.approver is not a known field; the known ones are title, description, fields"),
    ],
)
def test_a_wrong_field_is_refused_with_its_name_its_value_and_what_it_should_be(
    field: str, value: Any, message: str
) -> None:
    assert message in refusal({"request": {"title": "Deploy v1?", field: value}})


@pytest.mark.parametrize("event", [None, [], "text", {}, {"title": "Deploy v1?"}])
def test_an_input_without_a_request_is_refused_with_an_example(event: object) -> None:
    assert refusal(event) == 'the input has no field request; pass {"request": {"title": "..."}}'


@pytest.mark.parametrize("request_", [None, "text", []])
def test_a_request_that_is_no_object_is_refused(request_: object) -> None:
    assert "but must be object; expected an object with at least a title" in refusal({"request": request_})


def test_a_request_without_a_title_is_refused() -> None:
    assert refusal({"request": {}}).startswith("request.title is missing; expected one line")


def test_an_unknown_field_of_the_input_is_refused_by_name_only() -> None:
    message = refusal({"request": {"title": "x"}, "taskToken": TASK_TOKEN})

    assert message == "the input has an unknown field taskToken; only request and task_token are known"


@pytest.mark.parametrize("token", [None, "", 5, TASK_TOKEN * 50, {"Token": TASK_TOKEN}])
def test_an_unusable_task_token_is_refused_without_being_shown(token: object) -> None:
    event = {"request": {"title": "x"}, "task_token": token}

    assert usable_token(event) is None
    message = refusal(event)
    assert message.startswith("task_token is not a text of 1 to 2048 characters")
    assert TASK_TOKEN not in message


def test_a_request_that_nobody_could_decide_is_refused() -> None:
    assert "request.approvers is empty" in refusal({"request": {"title": "x"}}, WITHOUT_APPROVERS)
    alone = {"title": "x", "approvers": {"users": [REQUESTER]}, "requester": REQUESTER}
    assert "who may not approve the own request" in refusal({"request": alone})
    assert read({"request": alone | {"allow_self_approval": True}}, SETTINGS).approvers == (REQUESTER,)


def test_those_who_are_asked_later_count_for_the_quorum_and_the_requester_does_not() -> None:
    asked = {"title": "x", "quorum": 2, "requester": REQUESTER, "approvers": {"users": [APPROVER, REQUESTER]}}

    assert "request.quorum is 2, but only 1 may decide" in refusal({"request": asked})
    later = {"after_seconds": 5, "approvers": {"users": ["U0999"]}}
    assert read({"request": asked | {"escalation": later}}, SETTINGS).quorum == 2
    assert read({"request": asked | {"allow_self_approval": True}}, SETTINGS).quorum == 2


def test_a_group_may_have_members_enough() -> None:
    asked = {"title": "x", "quorum": 20, "rejections": 20, "approvers": {"groups": ["S0123"]}}

    assert read({"request": asked}, SETTINGS).quorum == 20


def test_the_requester_is_told_in_the_thread_unless_the_request_says_otherwise() -> None:
    asked = {"title": "x", "requester": REQUESTER}

    assert read({"request": asked}, SETTINGS).notify_requester == "thread"
    assert read({"request": asked | {"notify_requester": "none"}}, SETTINGS).notify_requester == "none"


def test_a_default_timeout_that_the_execution_does_not_allow_is_refused_too() -> None:
    settings = replace(SETTINGS, execution_timeout=600)

    assert "request.timeout_seconds is 600, more than the 480" in refusal({"request": {"title": "x"}}, settings)
