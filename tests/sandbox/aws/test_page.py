"""The local AWS's page over a real local AWS. What it looks like is for people, and the browser tests, to judge."""

import json
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from tests.sandbox.reader import Element, read

Eventually = Callable[[Callable[[], Any]], Any]
Show = Callable[..., Element]

# Takes a token, tells it to its log, and keeps it: whoever knows it can answer.
CHECK_IN = """
import json
def handler(event, context):
    print("got", event["taskToken"])
    print(json.dumps({"level": "WARN", "message": "holding", "machine": "Order", "taskToken": event["taskToken"]}))
"""
# Plays the maintenance function.
GATE = """
def handler(event, context):
    if event.get("reason") == "boom":
        raise RuntimeError("it will not begin")
    print("asked", event)
"""
APPROVAL = """
import os, sys
sys.path.append(os.environ["SDK"])
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration

@durable_execution
def handler(event, context):
    context.step(lambda step: "posted", name="post")
    callback = context.create_callback("vote", CallbackConfig(timeout=Duration.from_seconds(60)))
    print("the callback is", callback.callback_id)
    return {"decision": callback.result()}
"""


@pytest.fixture(scope="module")
def show(aws: Any) -> Show:
    """Return a page: its path below `/_page/`, and the query."""

    def shown(path: str = "", **query: str) -> Element:
        answer = requests.get(f"{aws.address}/_page/{path}", params=query, timeout=20)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return read(answer.text)

    return shown


@pytest.fixture(scope="module")
def press(aws: Any) -> Callable[..., requests.Response]:
    """Send what a form of a page sends."""

    def sent(action: str, **fields: Any) -> requests.Response:
        return requests.post(f"{aws.address}/_page/{action}", data=fields, timeout=20)

    return sent


@pytest.fixture(scope="module")
def check_in(aws: Any) -> str:
    name: str = aws.function(CHECK_IN)
    return name


@pytest.fixture
def machine(aws: Any, check_in: str) -> str:
    """A state machine whose executions check in, and wait: its ARN."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": check_in,
            "Payload": {"taskToken.$": "$$.Task.Token", "request.$": "$.approval"},
        },
        "Next": "Done",
    }
    return create(aws, {"StartAt": "CheckIn", "States": {"CheckIn": task, "Done": {"Type": "Succeed"}}})


@pytest.fixture(scope="module")
def approval(aws: Any) -> str:
    variables = {"SDK": sysconfig.get_path("purelib"), "APPROVERS": '["U1"]'}
    name: str = aws.function(APPROVAL, Environment={"Variables": variables}, Timeout=20)
    aws.control("durable-functions", {name: {"execution_timeout": 60}})
    return name


@pytest.fixture(scope="module")
def gate(aws: Any) -> str:
    """A maintenance function with a bucket of the same name; it serves state machines whose names begin with it."""
    name = f"gate-{uuid4().hex[:8]}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    variables = {"Bucket": name, "Prefix": "held", "StateMachineNames": json.dumps([f"{name}*"])}
    aws.function(GATE, name, Environment={"Variables": variables})
    return name


def create(aws: Any, definition: dict[str, Any], name: str | None = None) -> str:
    answer = aws.client("stepfunctions").create_state_machine(
        name=name or f"m-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=aws.role
    )
    return str(answer["stateMachineArn"])


def name_of(arn: str) -> str:
    return arn.rpartition(":")[2]


def part(page: Element, tag: str, **attributes: str) -> Element:
    [found] = page.all(tag, **attributes)
    return found


def token_of(aws: Any, eventually: Eventually, function: str, number: int = 1) -> str:
    lines = eventually(lambda: (f := [x for x in aws.logged(function) if x.startswith("got ")])[number - 1 :] and f)
    return str(lines[-1].split()[1])


def put(aws: Any, bucket: str, key: str, content: Any) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(content))


def test_a_page_of_nothing_says_what_to_do(start_aws: Any) -> None:
    aws = start_aws()
    page = read(requests.get(f"{aws.address}/_page/", timeout=20).text)
    assert "Nothing is deployed here yet" in part(page, "section", id="nothing").text
    assert "No maintenance gate is deployed" in part(page, "p", id="no-gates").text
    assert "None was started yet" in part(page, "tr", id="no-runs").text


def test_what_is_not_there_is_told(show: Show) -> None:
    for path, query in (("execution", {"arn": "x"}), ("durable", {}), ("machines/none", {}), ("functions/none", {})):
        assert part(show(path, **query), "h1").text == "Not here"


def test_an_execution_shows_its_states_and_what_each_invoked_took_and_gave(
    aws: Any, machine: str, check_in: str, show: Show, eventually: Eventually
) -> None:
    client = aws.client("stepfunctions")
    given = json.dumps({"approval": {"title": "Refund <4711>?"}})
    execution = client.start_execution(stateMachineArn=machine, name="first", input=given)["executionArn"]
    eventually(lambda: "waits until its task token is answered" in show("execution", arn=execution).text)
    row = part(show(f"machines/{name_of(machine)}"), "tr", id=f"run-{execution}")
    assert [cell.text for cell in row.all("td")][::4] == ["first Refund <4711>?", "CheckIn"]
    assert "RUNNING" in row.text
    state = part(show("execution", arn=execution), "li", id="state-1")
    assert part(state, "a").attributes["href"] == f"/_page/functions/{check_in}"
    client.send_task_success(taskToken=token_of(aws, eventually, check_in), output='{"status": "resumed"}')
    eventually(lambda: "SUCCEEDED" in part(show("execution", arn=execution), "h1").text)
    page = show("execution", arn=execution)
    assert [part(li, "strong").text for li in page.all("li") if "step" in li.attributes.get("class", "")] == [
        "CheckIn",
        "Done",
    ]
    assert json.loads(part(part(page, "details", id="out-1"), "pre").text) == {"status": "resumed"}
    assert json.loads(part(part(page, "details", id="output"), "pre").text) == {"status": "resumed"}


def test_a_failed_execution_says_where_and_why(aws: Any, show: Show, eventually: Eventually) -> None:
    states = {
        "Try": {"Type": "Pass", "Next": "Give up"},
        "Give up": {"Type": "Fail", "Error": "Lost", "Cause": "no stock"},
    }
    arn = create(aws, {"StartAt": "Try", "States": states})
    execution = aws.client("stepfunctions").start_execution(stateMachineArn=arn)["executionArn"]
    eventually(lambda: "FAILED" in part(show("execution", arn=execution), "h1").text)
    page = show("execution", arn=execution)
    assert "Lost: no stock" in page.text
    assert "SUCCEEDED" in part(page, "li", id="state-1").text
    assert "FAILED" in part(page, "li", id="state-2").text


def test_a_durable_execution_shows_its_operations_and_whom_it_answers(
    aws: Any, approval: str, show: Show, press: Any, eventually: Eventually
) -> None:
    press("ask", function=f"{approval}:live", title="Ship <it>?", quorum="2", timeout="60")
    [arn] = eventually(lambda: durable_arns(aws, approval))
    eventually(lambda: "waits for an answer" in show("durable", arn=arn).text)
    page = show("durable", arn=arn)
    assert [[cell.text for cell in row.all("td")][:2] for row in part(page, "tbody").all("tr")] == [
        ["post", "Step"],
        ["vote", "Callback"],
    ]
    assert json.loads(part(part(page, "details", id="input"), "pre").text) == {
        "request": {"title": "Ship <it>?", "quorum": 2, "timeout_seconds": 60}
    }
    assert "Ship <it>?" in part(show(f"functions/{approval}"), "tr", id=f"run-{arn}").text
    press("stop", arn=arn)
    assert eventually(lambda: "STOPPED" in part(show("durable", arn=arn), "h1").text)


def durable_arns(aws: Any, function: str) -> list[str]:
    found = aws.client("lambda").list_durable_executions_by_function(FunctionName=function)["DurableExecutions"]
    return [execution["DurableExecutionArn"] for execution in found]


def test_an_approval_and_the_execution_that_asks_for_it_lead_to_each_other(
    aws: Any, approval: str, show: Show, eventually: Eventually
) -> None:
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": f"{approval}:live",
            "InvocationType": "Event",
            "Payload": {"request.$": "$.approval", "task_token.$": "$$.Task.Token"},
        },
        "End": True,
    }
    machine = create(aws, {"StartAt": "Ask", "States": {"Ask": ask}})
    before = durable_arns(aws, approval)
    given = json.dumps({"approval": {"title": "Pay?"}})
    execution = aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=given)["executionArn"]
    [durable] = eventually(lambda: [arn for arn in durable_arns(aws, approval) if arn not in before])
    assert f"/_page/durable?arn={quote(durable)}" in links(show("execution", arn=execution))
    assert f"/_page/execution?arn={quote(execution)}" in links(show("durable", arn=durable))
    answer(aws, eventually, durable, b"approved")
    eventually(lambda: "SUCCEEDED" in part(show("durable", arn=durable), "h1").text)
    row = part(show(f"functions/{approval}"), "tr", id=f"run-{durable}")
    assert row.all("td")[-1].text == "approved"


def answer(aws: Any, eventually: Eventually, arn: str, result: bytes) -> None:
    history = aws.client("lambda").get_durable_execution_history

    def started() -> list[str]:
        events = history(DurableExecutionArn=arn)["Events"]
        return [event["CallbackStartedDetails"]["CallbackId"] for event in events if "CallbackStartedDetails" in event]

    [callback] = eventually(started)
    aws.client("lambda").send_durable_execution_callback_success(CallbackId=callback, Result=result)


def links(page: Element) -> list[str]:
    return [link.attributes["href"] for link in page.all("a")]


def test_nothing_that_lets_others_answer_or_sign_in_is_shown_anywhere(  # noqa: PLR0917 - fixtures
    aws: Any, approval: str, check_in: str, machine: str, gate: str, eventually: Eventually
) -> None:
    secret = {"token": f"xoxb-{uuid4()}", "note": 'a "quoted" & <marked> one'}
    aws.client("secretsmanager").create_secret(Name=f"s-{uuid4()}", SecretString=json.dumps(secret))
    parameter = f"signing-{uuid4().hex}"
    aws.client("ssm").put_parameter(Name=f"/p-{uuid4()}", Value=parameter, Type="SecureString")
    leaky = aws.function(f"def handler(event, context):\n    print({[*secret.values(), parameter]!r})")
    aws.invoke(leaky)
    states = aws.client("stepfunctions")
    number = len([line for line in aws.logged(check_in) if line.startswith("got ")]) + 1
    execution = states.start_execution(stateMachineArn=machine, input='{"approval": 1}')["executionArn"]
    task_token = token_of(aws, eventually, check_in, number)
    payload = json.dumps({"request": {"title": "x"}, "task_token": task_token})
    durable = aws.client("lambda").invoke(FunctionName=f"{approval}:live", InvocationType="Event", Payload=payload)[
        "DurableExecutionArn"
    ]
    callback = eventually(lambda: [line for line in aws.logged(approval) if "the callback is" in line])[-1].split()[-1]
    put(aws, gate, f"held/{gate}-Secret/1.json", {"taskToken": task_token, "timestamp": "2026-01-01T00:00:00.000Z"})
    aws.client("events").put_events(
        Entries=[{"Source": "me", "DetailType": "Leak", "Detail": json.dumps({"a": task_token, "b": callback})}]
    )
    pages = (
        "",
        "events",
        f"execution?arn={execution}",
        f"durable?arn={durable}",
        *(f"functions/{name}" for name in (leaky, check_in, approval)),
    )
    shown = {path: requests.get(f"{aws.address}/_page/{path}", timeout=20).text for path in pages}
    for path, text in shown.items():
        for hidden in (task_token, callback, parameter, secret["token"], "&lt;marked&gt;"):
            assert hidden not in text, path
    # They were there to be hidden.
    assert shown["events"].count("(hidden)") >= 2
    assert "(hidden)" in shown[f"durable?arn={durable}"]
    for name in (leaky, check_in, approval):
        assert "(hidden)" in shown[f"functions/{name}"]


@pytest.mark.usefixtures("gate")
def test_a_secret_that_is_a_word_of_the_page_leaves_it_whole(aws: Any, show: Show) -> None:
    aws.client("secretsmanager").create_secret(Name=f"s-{uuid4()}", SecretString="article")
    name = aws.function("def handler(event, context):\n    print('the article is out')")
    aws.invoke(name)
    assert "the (hidden) is out" in part(show(f"functions/{name}"), "div", role="log").text
    assert show().all("article")


def test_a_gate_shows_its_flags_and_what_waits_behind_them(aws: Any, gate: str, show: Show) -> None:
    passing = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    closed = name_of(create(aws, passing, f"{gate}-closed"))
    unused = name_of(create(aws, passing, f"{gate}-unused"))
    foreign = name_of(create(aws, passing))
    flag = {"state": "closed", "closed_at": "2026-02-03T04:05:06.000Z", "by": "Ann", "reason": "new <disks>"}
    put(aws, gate, f"held/~flags/{closed}.json", flag)
    put(aws, gate, f"held/~flags/{gate}-gone.json", {"state": "open"})
    aws.client("s3").put_object(Bucket=gate, Key=f"held/~flags/{gate}-torn.json", Body=b"{")
    for number in range(12):
        task = {
            "taskToken": "secret",
            "timestamp": f"2026-02-03T05:00:{number:02}.000Z",
            "executionArn": f"arn:aws:states:us-east-2:123456789012:execution:{closed}:e-{number}",
            "stateName": "CheckIn",
        }
        put(aws, gate, f"held/{closed}/{number:02}.json", task)
    put(aws, gate, f"held/~dead/{closed}/1.json", {})
    put(aws, gate, f"held/~quarantine/{closed}/1.json", {})
    put(aws, gate, f"held/~quarantine/{closed}/2.json", {})
    page = part(show(), "section", id=f"gate-{gate}")
    article = part(page, "article", id=f"machine-{gate}-{closed}")
    assert "closed since 2026-02-03T04:05:06.000Z by Ann: “new <disks>”" in article.text
    assert "12 parked tasks, the oldest since 2026-02-03T05:00:00.000Z" in article.text
    assert part(article, "ol").text.startswith("2026-02-03T05:00:00.000Z e-0 in CheckIn")
    assert len(part(article, "ol").all("li")) == 10
    assert "and 2 more" in article.text
    assert "1 dead (over before they could be resumed), 2 quarantined (nobody can resume them)" in article.text
    assert "not used yet" in part(page, "article", id=f"machine-{gate}-{unused}").text
    assert "does not exist any more" in part(page, "article", id=f"machine-{gate}-{gate}-gone").text
    assert "cannot be read" in part(page, "article", id=f"machine-{gate}-{gate}-torn").text
    assert page.all("article", id=f"machine-{gate}-{foreign}") == []


@pytest.mark.parametrize("variables", [{"Bucket": "mine"}, {"Bucket": "mine", "StateMachineNames": "Order"}])
def test_a_function_that_is_set_up_otherwise_holds_nobody(aws: Any, show: Show, variables: dict[str, str]) -> None:
    name = aws.function(GATE, Environment={"Variables": variables})
    create(aws, {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}, f"free-{uuid4().hex[:8]}")
    held = [article for gate in show().all("section", id=f"gate-{name}") for article in gate.all("article")]
    assert [article for article in held if article.attributes["id"].startswith("machine-")] == []


def test_the_tag_is_a_switch(aws: Any, gate: str, show: Show, press: Any) -> None:
    arn = create(aws, {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}, f"{gate}-tagged")

    def switch() -> Element:
        return part(part(show(), "article", id=f"machine-{gate}-{gate}-tagged"), "button", role="switch")

    def tags() -> dict[str, str]:
        found = aws.client("stepfunctions").list_tags_for_resource(resourceArn=arn)["tags"]
        return {tag["key"]: tag["value"] for tag in found}

    assert switch().attributes["aria-checked"] == "false"
    assert press("tag", machine=arn, on="true").status_code == HTTPStatus.NO_CONTENT
    assert (switch().attributes["aria-checked"], tags()) == ("true", {"Maintenance": "true"})
    assert "Maintenance = true" in part(show("events"), "ol").text
    press("tag", machine=arn, on="false")
    assert (switch().attributes["aria-checked"], tags()) == ("false", {})


def test_begin_and_end_ask_the_gate_and_say_why_it_refuses(aws: Any, gate: str, press: Any) -> None:
    def asked() -> list[str]:
        return [line for line in aws.logged(gate) if line.startswith("asked")]

    target = f"{gate}:live"
    assert press("begin", function=target, machine="arn:of:one", reason=" disks ", minutes="").status_code == 204
    assert asked()[-1] == (
        "asked {'action': 'begin', 'stateMachineArn': 'arn:of:one', 'by': 'the AWS page', 'reason': 'disks'}"
    )
    press("begin", function=target, machine="", reason="", minutes="15")
    assert asked()[-1].startswith("asked {'action': 'begin', 'scope': 'all', 'by': 'the AWS page', 'until': '2")
    press("end", function=target, machine="")
    assert asked()[-1] == "asked {'action': 'end', 'scope': 'all', 'by': 'the AWS page'}"
    refused = press("begin", function=target, machine="", reason="boom", minutes="")
    assert (refused.status_code, refused.text) == (400, "begin failed: it will not begin")


def test_several_executions_start_at_once(aws: Any, machine: str, show: Show, press: Any) -> None:
    assert press("start", machine=machine, number="3", title="Pay?").status_code == HTTPStatus.NO_CONTENT
    states = aws.client("stepfunctions")
    started = states.list_executions(stateMachineArn=machine)["executions"]
    inputs = [json.loads(states.describe_execution(executionArn=one["executionArn"])["input"]) for one in started]
    assert inputs == [{"approval": {"title": "Pay?"}}] * 3
    form = next(form for form in show().all("form", action="/_page/start") if machine in form.fields().values())
    assert [i.attributes["name"] for i in form.all("input")] == ["machine", "title", "number"]
    press("stop", arn=started[0]["executionArn"])
    assert states.describe_execution(executionArn=started[0]["executionArn"])["status"] == "ABORTED"


@pytest.mark.parametrize("number", ["0", "51", "-1", "x", ""])
def test_a_number_of_executions_that_cannot_be_is_refused_by_name(machine: str, press: Any, number: str) -> None:
    refused = press("start", machine=machine, number=number)
    assert (refused.status_code, refused.text) == (400, f"{number!r} executions: give a whole number from 1 to 50")


def test_what_aws_refuses_is_shown_in_its_words(press: Any) -> None:
    refused = press("start", machine="arn:aws:states:us-east-2:123456789012:stateMachine:none", number="1")
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "StateMachineDoesNotExist" in refused.text


def test_logs_show_the_newest_lines_last_with_their_levels_and_fields(aws: Any, show: Show) -> None:
    source = """
import json
def handler(event, context):
    for number in range(300):
        print("line", number)
    print(json.dumps({"level": "WARN", "message": "slow <disk>", "disk": "d7"}))
"""
    name = aws.function(source)
    aws.invoke(name)
    lines = part(show(f"functions/{name}"), "ol").all("li")
    texts = [line.text for line in lines]
    assert len(lines) == 200
    [last] = [line for line in lines if "slow" in line.text]
    assert "WARN slow <disk> disk=d7" in last.text
    assert "line 299" in texts[lines.index(last) - 1]
    assert "line 0" not in " ".join(texts)


CHANGES: dict[str, Callable[[Any, str, str], Any]] = {
    "event": lambda aws, *_: aws.client("events").put_events(
        Entries=[{"Source": "me", "DetailType": "Something", "Detail": "{}"}]
    ),
    "log": lambda aws, gate, _: aws.invoke(gate, {"action": "status"}),
    "parked task": lambda aws, gate, _: put(aws, gate, f"held/{gate}-live/1.json", {"taskToken": "t"}),
    "resumed task": lambda aws, gate, _: aws.client("s3").delete_object(Bucket=gate, Key=f"held/{gate}-live/0.json"),
    "execution": lambda aws, _, machine: aws.client("stepfunctions").start_execution(stateMachineArn=machine),
    "function": lambda aws, *_: aws.function(GATE),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_open_page_is_sent_again_when_something_changes(
    aws: Any, gate: str, machine: str, change: Callable[[Any, str, str], Any]
) -> None:
    url = f"{aws.address}/_page/"
    put(aws, gate, f"held/{gate}-live/0.json", {"taskToken": "t"})
    seen = read(requests.get(url, timeout=20).text).all("body")[0].attributes["data-version"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, url, headers={"X-Seen": seen}, timeout=25)
        change(aws, gate, machine)
        answer = waiting.result()
    assert answer.status_code == HTTPStatus.OK
    assert read(answer.text).all("body")[0].attributes["data-version"] != seen


def test_the_page_runs_and_loads_nothing_of_others(aws: Any) -> None:
    answer = requests.get(f"{aws.address}/_page/", timeout=20)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert requests.get(f"{aws.address}/_page/static/aws.css", timeout=20).status_code == HTTPStatus.OK
