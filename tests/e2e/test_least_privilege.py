"""The roles of the gates allow hardly anything that no test needs, after all that the other tests did."""

import pytest

from sandbox.deployment import NAME, Sandbox

# What roles allow although these tests do not come to use it, and who does.
BEYOND = {
    "approval": {
        "lambda:GetDurableExecutionState": "the SDK, for a state that does not fit into an invocation's event",
        "s3:ListBucket": "who reads a claim that another execution is about to write",
    },
    "maintenance": {
        "events:PutEvents": "nobody yet",
        "states:DescribeExecution": "nobody yet",
    },
    "slack-webhook": {
        "lambda:InvokeFunction": "a click that ends a maintenance",
        "s3:ListBucket": "who reads a claim that another execution is about to write",
    },
}


@pytest.mark.parametrize("function", BEYOND)
def test_every_action_that_a_role_allows_is_used(
    sandbox: Sandbox, request: pytest.FixtureRequest, function: str
) -> None:
    run = {item.path.name for item in request.session.items}
    if left_out := {path.name for path in request.path.parent.glob("test_*.py")} - run:
        pytest.skip(f"without {', '.join(sorted(left_out))} not everything is used")
    iam = sandbox.client("iam")
    name = f"{NAME}-{function}"
    documents = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    allowed = {
        action
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    role = iam.get_role(RoleName=name)["Role"]["Arn"]
    used = set(sandbox.control("GET", "permissions")[role]["allowed"])
    assert allowed - used - BEYOND[function].keys() == set()
