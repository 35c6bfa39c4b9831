import json
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config

from approval.decision import Decision, Failure, Location, Undelivered, Vote
from approval.request import InvalidRequestError
from approval.task import Task, TaskAnswerError, TaskAnswerUnavailableError
from tests.unit.approval.conftest import TASK_TOKEN, StepFunctions, aws_error, check_decision
from tests.unit.conftest import Reply

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


REJECTED = Decision(outcome="rejected", requested_at=NOW, decided_at=NOW, execution_arn="arn", request_hash="0" * 64)


@pytest.fixture
def task(stepfunctions: StepFunctions) -> Task:
    client = boto3.client(
        "stepfunctions",
        endpoint_url=stepfunctions.url,
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return Task(client, TASK_TOKEN)


def test_the_token_is_not_shown(task: Task) -> None:
    assert TASK_TOKEN not in repr(task)


def test_a_decision_too_long_for_a_cause_loses_answers_and_shortens_the_reason(
    task: Task, stepfunctions: StepFunctions
) -> None:
    task.answer(replace(REJECTED, reason="ü" * 3000, inputs={"notes": "x" * 40_000}), fails=True)

    ((_, answer),) = stepfunctions.answers
    assert len(answer["cause"]) <= 32_768
    cause = json.loads(answer["cause"])
    assert cause["inputs"] == {}
    assert cause["reason"].endswith("… (truncated)")
    assert cause["decision"] == "rejected"


def test_a_decision_by_as_many_people_as_possible_fits_into_a_cause(task: Task, stepfunctions: StepFunctions) -> None:
    bomb = "\U0001f4a3"
    votes = tuple(Vote(id=f"U{n:010}", name=bomb * 100, at=NOW, choice="reject", reason=bomb * 1000) for n in range(39))
    failure = Failure(code="not_in_channel", message="refused", fix="invite the app")
    decision = replace(
        REJECTED,
        votes=votes,
        decided_by=votes[:20],
        reason=bomb * 1000,
        messages=tuple(Location(channel=f"C{n}", ts="1.0", permalink="https://acme" + "x" * 90) for n in range(150)),
        undelivered_to=tuple(Undelivered(channel=f"C{n}", failure=failure) for n in range(150)),
    )

    task.answer(decision, fails=True)

    ((_, answer),) = stepfunctions.answers
    assert len(answer["cause"]) <= 32_768
    cause = json.loads(answer["cause"])
    check_decision(cause)
    assert [vote["id"] for vote in cause["votes"]] == [vote.id for vote in votes]
    assert cause["reason"] == bomb * 1000
    assert cause["message"] == cause["messages"][0]


def test_a_decision_too_long_for_an_output_fits_as_well(task: Task, stepfunctions: StepFunctions) -> None:
    task.answer(replace(REJECTED, outcome="approved", inputs={"notes": "x" * 300_000}), fails=True)

    ((_, answer),) = stepfunctions.answers
    assert len(answer["output"].encode()) <= 262_144


def test_a_long_refusal_is_cut(task: Task, stepfunctions: StepFunctions) -> None:
    task.refuse(InvalidRequestError("x" * 40_000))

    ((_, answer),) = stepfunctions.answers
    assert len(answer["cause"]) == 32_768


@pytest.mark.parametrize(
    "reply",
    [aws_error("ThrottlingException"), aws_error("InternalError", 500), aws_error("AccessDenied"), Reply(drops=True)],
)
def test_what_may_work_later_says_so_without_the_token(task: Task, stepfunctions: StepFunctions, reply: Reply) -> None:
    stepfunctions.replies.append(reply)

    with pytest.raises(TaskAnswerUnavailableError) as caught:
        task.answer(REJECTED, fails=True)

    assert TASK_TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show AWS's text, which repeats the token"


@pytest.mark.parametrize("code", ["InvalidOutput", "ValidationException"])
def test_what_never_works_says_so_without_the_token(task: Task, stepfunctions: StepFunctions, code: str) -> None:
    stepfunctions.replies.append(aws_error(code))

    with pytest.raises(TaskAnswerError, match=code) as caught:
        task.answer(REJECTED, fails=True)

    assert not isinstance(caught.value, TaskAnswerUnavailableError)
    assert TASK_TOKEN not in str(caught.value)
