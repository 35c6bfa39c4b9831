"""What the documents tell people to type exists: commands and options of the AWS CLI, and files that are linked to."""

from __future__ import annotations

import re
from pathlib import Path

import botocore
import botocore.session
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "modules/*/*.md", "sandbox/**/*.md")
    for path in REPOSITORY.glob(pattern)
)
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\baws ([a-z0-9]+) ([a-z][a-z-]+)(.*)")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
GLOBAL = {"cli-binary-format", "output", "query", "region"}


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def commands(text: str) -> list[tuple[str, str, set[str]]]:
    """The AWS CLI's commands in a shell script: service, operation and options."""
    lines = re.sub(r"\\\n", " ", text)
    return [(m[1], m[2], set(re.findall(r"(?<!\S)--([a-z-]+)", m[3]))) for m in COMMAND.finditer(lines)]


def wrong(text: str) -> list[str]:
    """What the AWS CLI would refuse; botocore's models are what it makes its commands of."""
    session = botocore.session.get_session()
    found = []
    for service, command, options in commands(text):
        model = session.get_service_model(service)
        operations = {botocore.xform_name(name, "-"): name for name in model.operation_names}
        if command not in operations:
            found.append(f"{service} has no {command}")
            continue
        shape = model.operation_model(operations[command]).input_shape
        known = {botocore.xform_name(name, "-") for name in shape.members} if shape else set()
        required = {botocore.xform_name(name, "-") for name in shape.required_members} if shape else set()
        found += [f"{service} {command} has no --{option}" for option in sorted(options - known - GLOBAL)]
        found += [f"{service} {command} needs --{option}" for option in sorted(required - options)]
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_of_the_aws_cli_exists_with_its_options(document: Path) -> None:
    assert wrong("\n".join(SHELL.findall(document.read_text("utf-8")))) == []


def test_the_scripts_commands_exist_with_their_options() -> None:
    script = (REPOSITORY / "docs" / "ask.sh").read_text("utf-8")
    assert wrong(script) == []
    assert [command for _, command, _ in commands(script)] == ["invoke", "get-durable-execution"]


def test_wrong_commands_are_found() -> None:
    text = "aws lambda get-durable-execution --arn x\naws lambda wait-for-durable-execution\n"
    assert wrong(text) == [
        "lambda get-durable-execution has no --arn",
        "lambda get-durable-execution needs --durable-execution-arn",
        "lambda has no wait-for-durable-execution",
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_linked_file_exists(document: Path) -> None:
    links = LINK.findall(document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
