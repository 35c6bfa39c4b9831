"""Writes the tables of inputs and outputs into the READMEs of the root and of every module.

python tests/schema/readme_tables.py            rewrites what lies between the markers
python tests/schema/readme_tables.py --check    changes nothing, fails when a table is not current
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import hcl2

REPOSITORY = Path(__file__).resolve().parents[2]
MARKED = re.compile(r"(<!-- (inputs|outputs) -->\n)(.*?)(<!-- /\2 -->)", re.DOTALL)
OPTIONS = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


def blocks(file: Path, kind: str) -> dict[str, dict[str, Any]]:
    """The blocks of a kind with one label, by label."""
    parsed = hcl2.loads(file.read_text("utf-8"), serialization_options=OPTIONS) if file.exists() else {}
    return {name: block for entry in parsed.get(kind, []) for name, block in entry.items()}


def cell(text: str) -> str:
    """A description as one table cell; list items begin a line."""
    heredoc = re.fullmatch(r"<<-?(\w+)\n(.*?)\n\s*\1", text, re.DOTALL)
    text = textwrap.dedent(heredoc[2]) if heredoc else text.replace('\\"', '"')
    return re.sub(r"\n(?=- )", "<br>", text.strip()).replace("\n", " ").replace("|", "\\|")


def inputs(folder: Path) -> str:
    """The table of the variables."""
    rows = ["| name | description | type | default |", "|---|---|---|---|"]
    for name, variable in blocks(folder / "variables.tf", "variable").items():
        kind = re.sub(r"\s+", " ", str(variable["type"])).removeprefix("${").removesuffix("}")
        short = "object" if kind.startswith("object(") else "map(object)" if kind.startswith("map(object(") else kind
        default = f"`{json.dumps(variable['default'])}`" if "default" in variable else "required"
        rows.append(f"| `{name}` | {cell(variable['description'])} | `{short}` | {default} |")
    return "\n".join(rows) + "\n"


def outputs(folder: Path) -> str:
    """The table of the outputs."""
    rows = ["| name | description |", "|---|---|"]
    for name, output in blocks(folder / "outputs.tf", "output").items():
        rows.append(f"| `{name}` | {cell(output['description'])} |")
    return "\n".join(rows) + "\n"


def current(readme: Path) -> str:
    """What the README should be.

    Raises:
        SystemExit: it has no place for one of the tables.
    """
    text = readme.read_text("utf-8")
    missing = {"inputs", "outputs"} - {match[2] for match in MARKED.finditer(text)}
    if missing:
        sys.exit(f"{readme} has no <!-- {min(missing)} --> and <!-- /{min(missing)} --> to put the table between")
    tables = {"inputs": inputs, "outputs": outputs}
    return MARKED.sub(lambda match: match[1] + tables[match[2]](readme.parent) + match[4], text)


def main() -> None:
    """Checks or rewrites all READMEs."""
    stale = []
    for readme in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("modules/*/README.md"))]:
        text = current(readme)
        if text != readme.read_text("utf-8"):
            stale.append(str(readme.relative_to(REPOSITORY)))
            if "--check" not in sys.argv:
                readme.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"not current: {', '.join(stale)}; run python tests/schema/readme_tables.py")


if __name__ == "__main__":
    main()
