"""Every message that the page on failures explains is one that is really said."""

import ast
import re
from pathlib import Path

import pytest
import snakemake

from support.blocks import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
HEADINGS = re.findall(r"^### `(.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def messages(path: Path) -> list[str]:
    """The texts in a Python file, `...` for what is put into them."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "..." for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


SAID = "\n".join(
    [
        *(text for path in sorted((ROOT / "salt").rglob("*.py")) for text in messages(path)),
        *messages(Path(snakemake.__file__).with_name("exceptions.py")),
        (ROOT / "Makefile").read_text(encoding="utf-8"),
    ]
)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_message_is_one_that_is_said(heading: str) -> None:
    pattern = ".*".join(re.escape(part.strip()) for part in heading.split("..."))
    assert re.search(pattern, SAID)


def test_there_are_messages() -> None:
    assert len(HEADINGS) > 15
