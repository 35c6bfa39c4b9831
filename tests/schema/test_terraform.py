"""Every name in the Terraform files exists in hashicorp/aws 6.62.0, and the modules keep the project's rules.

tests/fixtures/aws-6.62-schema.json holds the names of arguments, blocks and attributes of the resources and data
sources of hashicorp/aws 6.62.0 that matter here, read from its published CDKTF bindings. The plan tests may run on
an older provider, which would not notice a name that 6.x has dropped.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures"
SCHEMA = json.loads((FIXTURES / "aws-6.62-schema.json").read_text("utf-8"))
MODULES = [REPOSITORY, *sorted(path for path in (REPOSITORY / "modules").iterdir() if path.is_dir())]
EXAMPLES = sorted(path for path in (REPOSITORY / "examples").iterdir() if path.is_dir())
FILES = sorted(file for folder in [*MODULES, *EXAMPLES] for file in folder.glob("*.tf"))

OPTIONS = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
META_ARGUMENTS = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"}
REFERENCE = re.compile(r"(?<![\w.])(data\.)?(aws_\w+)\.\w+(?:\[[^]]*\])*\.(\w+)")
"""A resource's or data source's attribute, with or without indexes in between."""


def parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.loads(text, serialization_options=OPTIONS)
    return parsed


def unknown_names(text: str) -> list[str]:
    """What is in a Terraform file but not in the provider, one sentence each."""
    parsed = parse(text)
    found: list[str] = []
    for kind, schemas in (("resource", SCHEMA["resources"]), ("data", SCHEMA["data"])):
        for entry in parsed.get(kind, []):
            for type_name, instances in entry.items():
                if not type_name.startswith("aws_"):
                    continue
                for name, body in instances.items():
                    if type_name in schemas:
                        found += wrong_arguments(f"{type_name}.{name}", schemas[type_name], body)
                        found += wrong_ignored_changes(f"{type_name}.{name}", schemas[type_name], body)
                    else:
                        found.append(f"{kind} type {type_name} does not exist")
    for expression in strings(parsed):
        for data, type_name, attribute in REFERENCE.findall(expression):
            known = SCHEMA["data" if data else "resources"].get(type_name, {"attributes": []})["attributes"]
            if attribute not in known:
                found.append(f"{data}{type_name} has no attribute {attribute}")
    return found


def wrong_arguments(place: str, schema: dict[str, Any], body: dict[str, Any]) -> Iterator[str]:
    """Unknown and missing arguments and blocks of one block, and of those in it."""
    arguments = schema["arguments"] if "arguments" in schema else schema["block"]
    other = {"__is_block__", "dynamic", *(META_ARGUMENTS if "arguments" in schema else ())}
    contents = [(name, value) for name, value in body.items() if name not in other]
    for entry in body.get("dynamic", []):
        contents += [(name, dynamic["content"]) for name, dynamic in entry.items()]
    for name, value in contents:
        argument = arguments.get(name)
        is_block = isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "__is_block__" in value[0]
        if argument is None:
            yield f"{place} has no argument {name}"
        elif is_block and "block" not in argument:
            yield f"{place}.{name} is an argument, not a block"
        elif is_block:
            for block in value:
                yield from wrong_arguments(f"{place}.{name}", argument, block)
        elif "block" in argument:
            yield f"{place}.{name} is a block, not an argument"
    names = {name for name, _ in contents}
    for name, argument in arguments.items():
        if argument["required"] and name not in names:
            yield f"{place} lacks the required {name}"


def wrong_ignored_changes(place: str, schema: dict[str, Any], body: dict[str, Any]) -> Iterator[str]:
    """Names in `lifecycle.ignore_changes` that are none of the resource's."""
    for lifecycle in body.get("lifecycle", []):
        ignored = lifecycle.get("ignore_changes", [])
        for item in ignored if isinstance(ignored, list) else []:
            name = re.match(r"\w+", item.removeprefix("${"))
            if name is None or name[0] not in {*schema["arguments"], *schema["attributes"]}:
                yield f"{place} ignores changes of {item}, which it does not have"


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def labelled(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    """All blocks of a kind with one label in a folder, by label, in the order of the files' names."""
    parsed = [parse(file.read_text("utf-8")) for file in sorted(folder.glob("*.tf"))]
    return {name: body for file in parsed for entry in file.get(kind, []) for name, body in entry.items()}


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_name_exists_in_the_provider(file: Path) -> None:
    assert unknown_names(file.read_text("utf-8")) == []


def test_wrong_names_are_found() -> None:
    assert unknown_names((FIXTURES / "wrong_names.tf").read_text("utf-8")) == [
        "resource type aws_lambda_durable_function does not exist",
        "aws_lambda_function.this has no argument memory",
        "aws_lambda_function.this.environment is a block, not an argument",
        "aws_lambda_function.this.durable_config has no argument timeout",
        "aws_lambda_function.this.durable_config lacks the required execution_timeout",
        "aws_lambda_function.this.tracing_config lacks the required mode",
        "aws_lambda_function.this.tags is an argument, not a block",
        "aws_lambda_function.this.vpc_config has no argument subnets",
        "aws_lambda_function.this lacks the required function_name",
        "aws_lambda_function.this ignores changes of labels, which it does not have",
        "data type aws_nothing does not exist",
        "aws_lambda_function has no attribute qualified_name",
        "aws_s3_bucket has no attribute url",
        "data.aws_region has no attribute title",
    ]


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=name_of)
def test_every_variable_is_typed_and_described(folder: Path) -> None:
    variables = labelled(folder, "variable")
    assert [name for name, body in variables.items() if not body.get("type") or not body.get("description")] == []
    assert list(variables) == sorted(variables)


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=name_of)
def test_collections_with_a_default_cannot_be_null(folder: Path) -> None:
    loose = [
        name
        for name, body in labelled(folder, "variable").items()
        if re.match(r"\$\{(list|map|set)\(", str(body["type"])) and body.get("nullable") is not False
    ]
    assert loose == []


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=name_of)
def test_every_output_is_described(folder: Path) -> None:
    outputs = labelled(folder, "output")
    assert [name for name, body in outputs.items() if not body.get("description")] == []
    assert list(outputs) == sorted(outputs)


@pytest.mark.parametrize("folder", MODULES, ids=name_of)
def test_modules_configure_no_provider_and_ask_aws_nothing(folder: Path) -> None:
    for file in folder.glob("*.tf"):
        parsed = parse(file.read_text("utf-8"))
        assert {"provider", "data"} & set(parsed) == set(), name_of(file)


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=name_of)
def test_every_folder_has_the_same_files_and_the_same_versions(folder: Path) -> None:
    expected = {"README.md", "main.tf", "outputs.tf", "variables.tf", "versions.tf"}
    assert expected - {path.name for path in folder.iterdir()} == set()
    assert (folder / "versions.tf").read_text("utf-8") == (REPOSITORY / "versions.tf").read_text("utf-8")


def test_the_tables_in_the_readmes_are_current() -> None:
    command = [sys.executable, str(Path(__file__).parent / "readme_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
