"""Keep docs/recipes.md in step with the code: `python tests/recipes.py --fix` rewrites it.

`docs/recipes.yaml` says what published files say; what is trained here is read off the resolved configurations.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from salt.config import load_experiment

ROOT = Path(__file__).parents[1]
PAGE, FILE = ROOT / "docs" / "recipes.md", ROOT / "docs" / "recipes.yaml"
WIDTH = 120
BEGIN, END = "<!-- recipes: python tests/recipes.py --fix -->", "<!-- end of recipes -->"


class Line(NamedTuple):
    """One value of one row."""

    source: str
    row: str
    key: str
    published: Any
    ours: Any
    because: str

    @property
    def same(self) -> bool:
        """Whether the two are one."""
        return bool(self.published == self.ours)


def lines() -> Iterator[Line]:
    """Every value that a published file states, beside ours."""
    for entry in yaml.safe_load(FILE.read_text(encoding="utf-8")):
        for row in entry["rows"]:
            values = load_experiment(row, entry.get("scale", "paper"))
            for key, published in entry["values"].items():
                yield Line(
                    entry["source"], row, key, published, value_of(values, key), entry.get("because", {}).get(key, "")
                )


def value_of(section: Any, key: str) -> Any:
    """The value of a dotted key, as YAML has it; None where a section on the way is absent."""
    for part in key.split("."):
        section = getattr(section, part, None)
    if isinstance(section, dict):
        return {str(k): v for k, v in section.items()}
    return list(section) if isinstance(section, tuple) else section


def page() -> str:
    """The text that docs/recipes.md should have."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + "\n" + table() + END + rest.split(END)[1]


def table() -> str:
    """One table for each published file: keys downwards, what is published, what is trained here."""
    parts, every = [], list(lines())
    for source in dict.fromkeys(line.source for line in every):
        of_source = [line for line in every if line.source == source]
        rows = list(dict.fromkeys(line.row for line in of_source))
        said = f"{', '.join(f'`{row}`' for row in rows)}: {source}."
        parts.append(textwrap.fill(said, WIDTH, break_on_hyphens=False, break_long_words=False) + "\n")
        parts += ["| key | published | here |", "|---|---|---|"]
        for key in dict.fromkeys(line.key for line in of_source):
            same_key = [line for line in of_source if line.key == key]
            parts.append(f"| `{key}` | {shown(same_key[0].published)} | {here(same_key)} |")
        parts.append("")
    return "\n".join(parts)


def here(of_rows: list[Line]) -> str:
    """`same`, or the value and why it is another."""
    if all(line.same for line in of_rows):
        return "same"
    values = ", ".join(dict.fromkeys(shown(line.ours) for line in of_rows if not line.same))
    return f"{values}: {of_rows[0].because}"


def shown(value: Any) -> str:
    """A value as the table prints it."""
    if isinstance(value, dict):
        return ", ".join(f"{k}: {shown(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    if value is None or isinstance(value, bool):  # 1 is no `true`, though equal to it
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Rewrite or check the page."""
    parser = argparse.ArgumentParser(description="Keep docs/recipes.md in step with docs/recipes.yaml.")
    parser.add_argument("--fix", action="store_true")
    if parser.parse_args().fix:
        PAGE.write_text(page(), encoding="utf-8")
    return int(PAGE.read_text(encoding="utf-8") != page())


if __name__ == "__main__":
    sys.exit(main())
