"""The request URL of the Slack app."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from shared import logs
from shared.secrets import Secret, SecretError
from slack_webhook import click, end_maintenance, http_api, notice, submission
from slack_webhook.deadline import ANSWER_WITHIN, Deadline
from slack_webhook.gate import Gate
from slack_webhook.interaction import (
    ButtonClick,
    MalformedPayloadError,
    Other,
    SslCheck,
    Submission,
    is_ssl_check,
    parse,
)
from slack_webhook.settings import Settings
from slack_webhook.signature import SIGNATURE_HEADER, SignatureCheck

_log = logs.logger(__name__)


class Endpoint:
    """Answers Slack's requests; clients are made here, at initialisation."""

    def __init__(self, settings: Settings) -> None:
        self._signature = SignatureCheck(Secret(settings.signing_secret_arn))
        self._gate = Gate.from_settings(settings)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an HTTP request.

        Args:
            event: An event of payload format 2.0.

        Returns:
            200 for everything that Slack may send, whatever became of it: people are told in Slack. 400, 401 and 413
            for what Slack does not send; 503 where the signing secret cannot be read, so that nobody can tell.
        """
        deadline = Deadline.after(ANSWER_WITHIN)
        try:
            request = http_api.Request.from_event(event)
            if refusal := self._refusal(request):
                return _refused(HTTPStatus.UNAUTHORIZED, refusal)
            interaction = parse(request.body)
        except http_api.UnreadableRequestError as error:
            return _refused(error.status, str(error))
        except MalformedPayloadError as error:
            return _refused(HTTPStatus.BAD_REQUEST, str(error))
        except SecretError as error:
            _log.error("request not verified", extra={"reason": str(error)})
            return http_api.answer(HTTPStatus.SERVICE_UNAVAILABLE, "the signature cannot be verified now")
        match interaction:
            case ButtonClick(block=notice.ACTIONS_BLOCK_ID):
                end_maintenance.handle(interaction, self._gate, datetime.now(UTC), deadline)
            case ButtonClick():
                click.handle(interaction, self._gate, datetime.now(UTC), deadline)
            case Submission():
                response = submission.handle(interaction, self._gate, datetime.now(UTC), deadline)
                return http_api.json_answer(HTTPStatus.OK, response)
            case SslCheck():
                _log.info("ssl check answered")
            case Other():
                _log.warning("unknown interaction ignored", extra={"interaction_type": interaction.type[:80]})
        return http_api.answer(HTTPStatus.OK)

    def _refusal(self, request: http_api.Request) -> str | None:
        # Slack does not promise to sign the occasional certificate check, and its own libraries let it pass unsigned.
        # It changes nothing and reads nothing; a signature that is there has to be right all the same.
        if SIGNATURE_HEADER not in request.headers and is_ssl_check(request.body):
            return None
        return self._signature.refusal(request.headers, request.body)


def _refused(status: HTTPStatus, reason: str) -> dict[str, Any]:
    _log.warning("request refused", extra={"status": int(status), "reason": reason})
    return http_api.answer(status, reason)
