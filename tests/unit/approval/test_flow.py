from tests.unit.approval.conftest import Gate
from tests.unit.conftest import SlackApi


def test_an_approved_request_returns_the_decision_and_locks_its_message(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask()
    gate.click(arn)
    decision = gate.decision(arn)
    assert decision["decision"] == "approved"
    assert [method for method, _ in slack_api.calls] == ["auth.test", "chat.postMessage", "chat.update"]
