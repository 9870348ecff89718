"""The rules of the house that ruff and mypy cannot hold: floors, sizes, nothing left for later."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 350  # lines
LONGEST_LINE = 120  # characters of Markdown
CODE = [
    path
    for folder in ("salt", "tests", "workflow")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".smk") or path.name == "Snakefile"
]
PROSE = [
    path
    for pattern in (
        "*.md",
        "*.toml",
        "Makefile",
        ".ci/*",
        "docs/**/*.md",
        "experiments/**/*.yaml",
        "workflow/**/*.yaml",
    )
    for path in sorted(ROOT.glob(pattern))
]


def test_no_floor_imports_from_above() -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", [*CODE, *PROSE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_left_for_later(path: Path) -> None:
    text = path.read_text()
    for mark in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
        assert mark not in text


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_edits_the_search_path(path: Path) -> None:
    """What tests share is in tests/support, which pyproject.toml makes importable."""
    assert "sys" + ".path" not in path.read_text()


@pytest.mark.parametrize("path", [path for path in PROSE if path.suffix == ".md"], ids=lambda path: path.name)
def test_markdown_lines_are_short(path: Path) -> None:
    """Tables and code aside, whose lines cannot be broken, and comments, which nobody sees."""
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"<!--.*?-->", "", prose)
    long = [line for line in prose.splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert not long
