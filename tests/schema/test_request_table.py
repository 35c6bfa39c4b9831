"""README has one table of all fields of a request: those of the schema that the function itself validates with."""

from __future__ import annotations

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((REPOSITORY / "functions" / "approval" / "request.schema.json").read_text("utf-8"))


def test_the_table_of_the_request_has_every_field_once_and_no_other() -> None:
    asking = (REPOSITORY / "README.md").read_text("utf-8").split("## Ask for an approval\n")[1].split("\n## ")[0]
    (table,) = re.findall(r"^\| Field \|.*\n(?:\|.*\n)+", asking, re.MULTILINE)
    fields = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert sorted(fields) == sorted(SCHEMA["properties"])
    assert re.findall(r"^\| `(\w+)` \|[^|]*\| required \|", table, re.MULTILINE) == SCHEMA["required"]


def test_readme_names_every_property_of_an_input() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    (paragraph,) = re.findall(r"^An input is .*?\n\n", text, re.MULTILINE | re.DOTALL)
    properties = SCHEMA["properties"]["inputs"]["items"]["properties"]

    assert [name for name in properties if f"`{name}`" not in paragraph and f'"{name}"' not in paragraph] == []
    assert [kind for kind in properties["type"]["enum"] if f"`{kind}`" not in paragraph] == []
