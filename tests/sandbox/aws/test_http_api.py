import base64
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

ECHO = """
import json
def handler(event, context):
    if event["rawPath"] == "/fail": raise ValueError("no")
    if event["rawPath"] == "/plain": return {"hello": "world"}
    headers = {"X-Mine": "1", "Content-Type": "application/json"}
    return {"statusCode": 201, "headers": headers, "cookies": ["a=1", "b=2"], "body": json.dumps(event)}
"""


class Api:
    """An HTTP API with an integration to an alias."""

    def __init__(self, aws: Any, routes: list[str], *, permitted: bool = True, source: str = ECHO) -> None:
        function = aws.function(source)
        client, functions = aws.client("apigatewayv2"), aws.client("lambda")
        alias = functions.get_alias(FunctionName=function, Name="live")["AliasArn"]
        self.id = client.create_api(Name=f"api-{function}", ProtocolType="HTTP")["ApiId"]
        client.create_stage(ApiId=self.id, StageName="$default", AutoDeploy=True)
        uri = f"arn:aws:apigateway:us-east-2:lambda:path/2015-03-31/functions/{alias}/invocations"
        integration = client.create_integration(
            ApiId=self.id, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        for route in routes:
            client.create_route(ApiId=self.id, RouteKey=route, Target=f"integrations/{integration}")
        if permitted:
            functions.add_permission(
                FunctionName=function,
                Qualifier="live",
                StatementId="api",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:us-east-2:123456789012:{self.id}/*/*",
            )
        [self.url] = [api["url"] for api in aws.control("http-apis") if api["id"] == self.id]

    def call(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, Any, Any]:
        request = urllib.request.Request(self.url + path, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)


@pytest.fixture(scope="module")
def api(aws: Any) -> Api:
    return Api(aws, ["POST /slack/interactions", "ANY /items/{id}", "GET /items/{proxy+}", "GET /fail", "GET /plain"])


def test_a_form_arrives_as_a_base64_body_in_an_event_of_payload_2(api: Api) -> None:
    body = b"payload=%7B%22a%22%3A1%7D"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Signature": "v0=abc",
        "User-Agent": "Slackbot 1.0",
        "Cookie": "c=1; d=2",
    }
    status, answered, event = api.call("/slack/interactions?q=1&q=2&r=%20", body, headers)
    assert status == 201
    assert (answered["X-Mine"], answered.get_all("Set-Cookie")) == ("1", ["a=1", "b=2"])
    assert (event["version"], event["routeKey"], event["rawPath"]) == (
        "2.0",
        "POST /slack/interactions",
        "/slack/interactions",
    )
    assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, body)
    assert event["rawQueryString"] == "q=1&q=2&r=%20"
    assert event["queryStringParameters"] == {"q": "1,2", "r": " "}
    assert event["cookies"] == ["c=1", "d=2"]
    domain = f"{api.id}.execute-api.us-east-2.amazonaws.com"
    expected = {
        "content-length": str(len(body)),
        "content-type": "application/x-www-form-urlencoded",
        "host": domain,
        "user-agent": "Slackbot 1.0",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "x-slack-signature": "v0=abc",
    }
    assert expected.items() <= event["headers"].items()
    assert event["headers"].keys() - expected.keys() == {"accept-encoding", "x-amzn-trace-id"}
    context = event["requestContext"]
    assert (context["accountId"], context["apiId"], context["domainName"], context["stage"]) == (
        "123456789012",
        api.id,
        domain,
        "$default",
    )
    assert context["http"] == {
        "method": "POST",
        "path": "/slack/interactions",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "Slackbot 1.0",
    }


def test_json_and_forms_by_the_switch_arrive_as_text(aws: Any, api: Api) -> None:
    _, _, event = api.call("/slack/interactions", b'{"a": 1}', {"Content-Type": "application/json; charset=utf-8"})
    assert (event["isBase64Encoded"], event["body"]) == (False, '{"a": 1}')
    aws.control("faults", {"plain_form_bodies": True})
    try:
        _, _, event = api.call("/slack/interactions", b"a=1", {"Content-Type": "application/x-www-form-urlencoded"})
    finally:
        aws.control("faults", {"plain_form_bodies": False})
    assert (event["isBase64Encoded"], event["body"]) == (False, "a=1")


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        ("GET", "/items/7", "ANY /items/{id}", {"id": "7"}),
        ("GET", "/items/7/parts", "GET /items/{proxy+}", {"proxy": "7/parts"}),
    ],
)
def test_the_most_specific_route_wins(api: Api, method: str, path: str, route: str, parameters: dict[str, str]) -> None:
    _, _, event = api.call(path, method=method)
    assert (event["routeKey"], event["pathParameters"]) == (route, parameters)


def test_a_named_stage_is_part_of_the_path_and_a_request_without_a_body_has_no_length(aws: Any) -> None:
    api = Api(aws, ["GET /items/{id}"])
    aws.client("apigatewayv2").create_stage(ApiId=api.id, StageName="dev", AutoDeploy=True)
    _, _, event = api.call("/dev/items/7")
    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == ("/dev/items/7", "/dev/items/7")
    assert (event["requestContext"]["stage"], event["pathParameters"]) == ("dev", {"id": "7"})
    assert event["headers"]["content-length"] == "0"
    assert "body" not in event


def test_an_answer_without_a_status_code_is_the_body(api: Api) -> None:
    status, headers, body = api.call("/plain")
    assert (status, headers["Content-Type"], body) == (200, "application/json", {"hello": "world"})


@pytest.mark.parametrize(("method", "path"), [("GET", "/slack/interactions"), ("POST", "/"), ("DELETE", "/a/b")])
def test_what_has_no_route_is_not_found(api: Api, method: str, path: str) -> None:
    status, _, body = api.call(path, method=method)
    assert (status, body) == (404, {"message": "Not Found"})


def test_an_unknown_api_is_not_found(aws: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{aws.address}/_api/nobody/x", timeout=20)
    assert error.value.code == 404
    error.value.close()


def test_a_failing_function_and_a_missing_permission_are_internal_errors(aws: Any, api: Api) -> None:
    assert api.call("/fail")[::2] == (500, {"message": "Internal Server Error"})
    stranger = Api(aws, ["$default"], permitted=False)
    assert stranger.call("/plain")[::2] == (500, {"message": "Internal Server Error"})


def test_a_default_route_takes_everything_and_has_its_own_permission_path(aws: Any) -> None:
    everything = Api(aws, ["$default"])
    _, _, event = everything.call("/some/where", method="PATCH")
    assert (event["routeKey"], event["rawPath"]) == ("$default", "/some/where")
