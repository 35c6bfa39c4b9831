"""What IAM policies say, by AWS's documents on their elements and their evaluation."""

import json
from typing import Any

import pytest

from sandbox.aws.policies import Access, PolicyError, refusal

FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function:orders"
EXECUTION = f"{FUNCTION}:1/durable-execution/name/id"
BUCKET = "arn:aws:s3:::bucket"
MACHINE = "arn:aws:states:us-east-2:123456789012:stateMachine:orders"
KEY = "arn:aws:kms:us-east-2:123456789012:key/1"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(actions: Any, resources: Any = "*", condition: dict[str, Any] | None = None) -> dict[str, Any]:
    written = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return written if condition is None else {**written, "Condition": condition}


def allowed(access: Access, *statements: dict[str, Any]) -> bool:
    return refusal(access, [policy(*statements)], None) is None


@pytest.mark.parametrize(
    ("actions", "action", "expected"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("s3:getobject", "s3:GetObject", True),
        ("s3:GetObject", "s3:GetObjectVersion", False),
        ("s3:Get*", "s3:GetObjectVersion", True),
        (["s3:PutObject", "s3:G?tObject"], "s3:GetObject", True),
        ("*", "s3:GetObject", True),
        ("s3:*", "ssm:GetParameter", False),
    ],
)
def test_actions_match_by_wildcards_and_in_any_case(actions: Any, action: str, expected: bool) -> None:
    assert allowed(Access(action, f"{BUCKET}/key"), allow(actions)) is expected


@pytest.mark.parametrize(
    ("resources", "resource", "expected"),
    [
        (FUNCTION, FUNCTION, True),
        (FUNCTION, f"{FUNCTION}:live", False),
        (f"{FUNCTION}:live", f"{FUNCTION}:live", True),
        (f"{FUNCTION}:*", f"{FUNCTION}:live", True),
        (f"{FUNCTION}:*", FUNCTION, False),
        (f"{FUNCTION}:*", EXECUTION, True),
        (f"{FUNCTION}:live/*", EXECUTION, False),  # an alias never appears in an execution's ARN
        (f"{FUNCTION}*", f"{FUNCTION}-other:1", True),
        # A wildcard inside a segment stays in it; at a segment's end it reaches further.
        ("arn:aws:lambda:us-east-2:123456789012:function:*rs", f"{FUNCTION}:1:rs", False),
        ("arn:aws:lambda:*:function:orders", FUNCTION, True),
        ("arn:aws:lambda:us-east-?:123456789012:function:orders", FUNCTION, True),
        ("arn:aws:lambda:us-east-2?123456789012:function:orders", FUNCTION, False),
        (FUNCTION.replace("orders", "Orders"), FUNCTION, False),
        ([f"{FUNCTION}:1", f"{FUNCTION}:2"], f"{FUNCTION}:2", True),
        ("*", "*", True),
        (FUNCTION, "*", False),  # an action without resources is allowed on everything or not at all
    ],
)
def test_resources_match_as_arns(resources: Any, resource: str, expected: bool) -> None:
    assert allowed(Access("lambda:InvokeFunction", resource), allow("lambda:InvokeFunction", resources)) is expected


def test_what_a_statement_names_as_not_meant_is_all_that_it_is_not_about() -> None:
    not_action = {"Effect": "Allow", "NotAction": ["s3:*", "iam:*"], "Resource": "*"}
    not_resource = {"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/private/*"}
    assert allowed(Access("ssm:GetParameter", "*"), not_action)
    assert not allowed(Access("s3:GetObject", f"{BUCKET}/key"), not_action)
    assert allowed(Access("s3:GetObject", f"{BUCKET}/key"), not_resource)
    assert not allowed(Access("s3:GetObject", f"{BUCKET}/private/key"), not_resource)


def test_a_denial_outweighs_every_permission() -> None:
    access = Access("s3:DeleteObject", f"{BUCKET}/~flags/orders")
    deny = {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": f"{BUCKET}/~flags/*"}
    reason = "with an explicit deny in an identity-based policy"
    assert refusal(access, [policy(deny), policy(allow("s3:*"))], None) == reason
    assert refusal(access, [policy(allow("s3:*"), deny)], None) == reason
    assert allowed(Access("s3:DeleteObject", f"{BUCKET}/tasks/1"), allow("s3:*"), deny)


def test_permissions_may_stand_in_any_policy_of_the_role_and_none_is_a_refusal() -> None:
    access = Access("s3:GetObject", f"{BUCKET}/key")
    assert refusal(access, [policy(allow("ssm:*")), policy(allow("s3:GetObject"))], None) is None
    for nothing in ([], [policy()], [policy(allow("ssm:*"))]):
        assert refusal(access, nothing, None) == "because no identity-based policy allows the s3:GetObject action"


def test_a_boundary_must_allow_it_too() -> None:
    access = Access("s3:GetObject", f"{BUCKET}/key")
    role = [policy(allow("*"))]
    assert refusal(access, role, policy(allow("s3:*"))) is None
    reason = refusal(access, role, policy(allow("ssm:*")))
    assert reason == "because no permissions boundary allows the s3:GetObject action"
    denied = policy(allow("*"), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    assert refusal(access, role, denied) == "with an explicit deny in a permissions boundary"
    assert refusal(access, [], policy(allow("*"))) == "because no identity-based policy allows the s3:GetObject action"


LISTING = {"StringLikeIfExists": {"s3:prefix": ["maintenance/*"]}}
TAGGING = {"ForAllValues:StringEquals": {"aws:TagKeys": ["Maintenance", "MaintenanceUntil"]}}
VIA = {"StringLike": {"kms:ViaService": ["secretsmanager.*", "ssm.*"]}}


@pytest.mark.parametrize(
    ("action", "condition", "context", "expected"),
    [
        ("s3:ListBucket", LISTING, {"s3:prefix": ("maintenance/orders/",)}, True),
        ("s3:ListBucket", LISTING, {"s3:prefix": ("other/",)}, False),
        ("s3:ListBucket", LISTING, {"s3:prefix": ("",)}, False),
        ("s3:ListBucket", LISTING, {}, True),  # a GetObject of a missing key asks without a prefix
        ("states:TagResource", TAGGING, {"aws:tagkeys": ("Maintenance",)}, True),
        ("states:TagResource", TAGGING, {"aws:tagkeys": ("MaintenanceUntil", "Maintenance")}, True),
        ("states:TagResource", TAGGING, {"aws:tagkeys": ("Maintenance", "Owner")}, False),
        ("states:TagResource", TAGGING, {}, True),
        ("kms:Decrypt", VIA, {"kms:viaservice": ("ssm.us-east-2.amazonaws.com",)}, True),
        ("kms:Decrypt", VIA, {"kms:viaservice": ("s3.us-east-2.amazonaws.com",)}, False),
        ("kms:Decrypt", VIA, {}, False),
        ("a:B", {"StringEquals": {"s3:prefix": "a*"}}, {"s3:prefix": ("a*",)}, True),
        ("a:B", {"StringEquals": {"s3:prefix": "a*"}}, {"s3:prefix": ("ab",)}, False),
        ("a:B", {"StringEqualsIgnoreCase": {"s3:prefix": "A"}}, {"s3:prefix": ("a",)}, True),
        ("a:B", {"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": ("b",)}, False),
        ("a:B", {"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {}, True),
        ("a:B", {"StringNotLike": {"s3:prefix": "a*"}}, {"s3:prefix": ("ab",)}, False),
        ("a:B", {"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {"aws:tagkeys": ("b", "a")}, True),
        ("a:B", {"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {"aws:tagkeys": ("b",)}, False),
        ("a:B", {"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {}, False),
        ("a:B", {"Null": {"aws:TagKeys": "true"}}, {}, True),
        ("a:B", {"Null": {"aws:TagKeys": "false"}}, {}, False),
        ("a:B", {"Bool": {"aws:SecureTransport": True}}, {"aws:securetransport": ("true",)}, True),
        ("a:B", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/a"}}, {"aws:principalarn": ("x",)}, False),
        # All keys of all operators must hold.
        ("a:B", {**LISTING, **VIA}, {"s3:prefix": ("maintenance/",)}, False),
    ],
)
def test_conditions_decide_on_the_values_of_the_request(
    action: str, condition: dict[str, Any], context: dict[str, tuple[str, ...]], expected: bool
) -> None:
    assert allowed(Access(action, "*", context), allow(action, "*", condition)) is expected


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (allow("s3:*", "*", {"IpAddress": {"s3:prefix": "10.0.0.0/8"}}), "condition operator IpAddress"),
        (allow("s3:*", "*", {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}), "condition key s3:ExistingObjectTag/a"),
        (allow("s3:*", f"{BUCKET}/${{aws:username}}/*"), "policy variables"),
        (allow("s3:*", "*", {"StringEquals": {"aws:TagKeys": "a"}}), "needs ForAllValues or ForAnyValue"),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_what_is_not_understood_is_no_permission(statement: dict[str, Any], problem: str, effect: str) -> None:
    access = Access("s3:GetObject", f"{BUCKET}/key", {"aws:tagkeys": ("a", "b"), "s3:prefix": ("a",)})
    with pytest.raises(PolicyError, match=problem):
        allowed(access, {**statement, "Effect": effect}, allow("s3:*"))
    assert allowed(Access("ssm:GetParameter", "*"), {**statement, "Effect": effect}, allow("ssm:*"))


def test_of_an_access_whose_resource_is_not_known_the_action_decides() -> None:
    access = Access("dynamodb:GetItem", None)
    assert allowed(access, allow("dynamodb:GetItem", "arn:aws:dynamodb:us-east-2:123456789012:table/a"))
    assert not allowed(access, allow("dynamodb:PutItem"))
    some = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "arn:aws:dynamodb:us-east-2:123456789012:table/a"}
    assert allowed(access, allow("dynamodb:*"), some)
    assert not allowed(access, allow("dynamodb:*"), {**some, "Resource": "*"})
