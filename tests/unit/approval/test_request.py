from dataclasses import replace
from typing import Any

import pytest

from approval.request import InvalidRequestError, read, usable_token
from approval.settings import Settings
from tests.unit.approval.conftest import APPROVER, CHANNEL, REQUESTER, TASK_TOKEN

SETTINGS = Settings(
    bot_token_arn="arn:aws:secretsmanager:us-east-2:123456789012:secret:slack",
    api_url="https://slack.com/api/",
    channel=CHANNEL,
    bucket="orders-gates",
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
    assert request.channel == CHANNEL
    assert request.timeout_seconds == 600
    assert request.fails_task
    assert not request.allow_self_approval
    assert (request.description, request.fields, request.requester) == ("", {}, None)


def test_every_field_is_taken_over() -> None:
    asked = {
        "title": "Deploy v1?",
        "description": "to production",
        "fields": {"Order": "123"},
        "approvers": {"users": ["U0777", "W0888"]},
        "requester": REQUESTER,
        "allow_self_approval": True,
        "channel": "#approvals",
        "timeout_seconds": 780,
        "on_not_approved": "succeed",
    }

    request = read({"request": asked, "task_token": TASK_TOKEN}, SETTINGS)

    assert request.approvers == ("U0777", "W0888")
    assert request.description == "to production"
    assert request.fields == {"Order": "123"}
    assert request.requester == REQUESTER
    assert request.allow_self_approval
    assert request.channel == "#approvals"
    assert request.timeout_seconds == 780
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
        ("approvers", {"user": []}, "request.approvers.user is not a known field; the known ones are users"),
        ("approvers", {"users": ["bob"]}, 'request.approvers.users[0] is "bob" but must match pattern'),
        ("approvers", {"users": ["U0777", "U0777"]}, "must contain unique items; expected a list of Slack user ids"),
        ("requester", "@ann", 'request.requester is "@ann" but must match pattern'),
        ("requester", "U0123ABCD\n", 'request.requester is "U0123ABCD\\n" but must match pattern'),
        ("allow_self_approval", "yes", 'request.allow_self_approval is "yes" but must be boolean; expected true or fa'),
        ("channel", "approvals", "expected a Slack channel id such as C0123ABCD, or a name such as #approvals"),
        (
            "timeout_seconds",
            0,
            "request.timeout_seconds is 0 but must be bigger than or equal to 1; expected whole seco",
        ),
        ("timeout_seconds", 1.5, "request.timeout_seconds is 1.5 but must be integer"),
        ("timeout_seconds", True, "request.timeout_seconds is true but must be integer"),
        ("timeout_seconds", "60", 'request.timeout_seconds is "60" but must be integer'),
        ("timeout_seconds", 781, "request.timeout_seconds is 781, more than the 780 that the deployment allows"),
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


def test_a_default_timeout_that_the_execution_does_not_allow_is_refused_too() -> None:
    settings = replace(SETTINGS, execution_timeout=600)

    assert "request.timeout_seconds is 600, more than the 480" in refusal({"request": {"title": "x"}}, settings)
