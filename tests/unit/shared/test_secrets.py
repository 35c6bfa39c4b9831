import boto3
import pytest

from shared.errors import ConfigurationError
from shared.secrets import Secret, SecretError

pytestmark = pytest.mark.usefixtures("aws")

VALUE = "xoxb-ValueThatNobodyMaySee"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def create(value: str = VALUE) -> str:
    return boto3.client("secretsmanager").create_secret(Name="slack-bot-token", SecretString=value)["ARN"]


def replace(value: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="slack-bot-token", SecretString=value)


def test_a_secret_is_read_when_first_needed_and_kept() -> None:
    secret = Secret(create(f" {VALUE}\n"))

    assert secret.value() == VALUE
    replace("xoxb-new")
    assert secret.value() == VALUE


def test_a_secret_is_read_again_after_its_lifetime() -> None:
    clock = Clock()
    secret = Secret(create(), lifetime=300, clock=clock)
    secret.value()
    replace("xoxb-new")

    clock.now += 300
    assert secret.value() == VALUE
    clock.now += 1
    assert secret.value() == "xoxb-new"


def test_a_refreshed_secret_is_read_at_once() -> None:
    secret = Secret(create())
    secret.value()
    replace("xoxb-new")

    assert secret.refresh() == "xoxb-new"
    assert secret.value() == "xoxb-new"


def test_a_failed_refresh_keeps_the_old_value() -> None:
    secret = Secret(create())
    secret.value()
    boto3.client("secretsmanager").delete_secret(SecretId="slack-bot-token", ForceDeleteWithoutRecovery=True)

    with pytest.raises(SecretError):
        secret.refresh()

    assert secret.value() == VALUE


def test_a_parameter_is_decrypted() -> None:
    boto3.client("ssm").put_parameter(Name="/slack/bot-token", Value=VALUE, Type="SecureString")

    assert Secret("arn:aws:ssm:us-east-2:123456789012:parameter/slack/bot-token").value() == VALUE


def test_a_missing_parameter_is_named_with_what_to_check() -> None:
    arn = "arn:aws:ssm:us-east-2:123456789012:parameter/slack/missing"

    with pytest.raises(
        SecretError, match=f"cannot read {arn}: .*ParameterNotFound.*; check that it exists, has a value"
    ):
        Secret(arn).value()


def test_a_secret_without_a_value_is_named_with_what_to_check() -> None:
    arn = boto3.client("secretsmanager").create_secret(Name="empty")["ARN"]

    with pytest.raises(SecretError, match=r"cannot read arn:.*:secret:empty.*; check that it exists, has a value"):
        Secret(arn).value()


def test_a_blank_secret_is_refused() -> None:
    boto3.client("ssm").put_parameter(Name="/slack/blank", Value=" ", Type="String")
    arn = "arn:aws:ssm:us-east-2:123456789012:parameter/slack/blank"

    with pytest.raises(SecretError, match=f"{arn} is empty; put the value into it"):
        Secret(arn).value()


def test_a_binary_secret_is_refused_without_being_shown() -> None:
    arn = boto3.client("secretsmanager").create_secret(Name="binary", SecretBinary=VALUE.encode())["ARN"]

    with pytest.raises(SecretError, match="binary data; store the value as a secret string") as caught:
        Secret(arn).value()

    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    "arn",
    ["xoxb-pasted-by-mistake", "", "arn:aws:s3:::bucket", "arn:aws:ssm:us-east-2:123456789012:document/x"],
)
def test_anything_else_than_the_arn_of_a_secret_or_parameter_is_refused(arn: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"is not the ARN of a Secrets Manager secret .* or of an SSM parameter"
    ):
        Secret(arn)


def test_a_secret_pasted_in_place_of_its_arn_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Secret(VALUE)

    assert VALUE not in str(caught.value)


def test_another_partition_is_taken() -> None:
    arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:slack-AbCdEf"

    assert Secret(arn).arn == arn


def test_neither_repr_nor_str_shows_the_value() -> None:
    secret = Secret(create())
    secret.value()

    assert VALUE not in f"{secret} {secret!r}"
