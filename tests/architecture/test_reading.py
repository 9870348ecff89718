"""Text is read through one door, `salt/readers.py`: of regular files alone, in UTF-8, of a bounded size."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOOR = "salt/readers.py"
BESIDE = {
    ("salt/files.py", "open"): "`opened`, by which the door itself reads",
    ("salt/files.py", "os.open"): "locks and flushes: nothing is read",
    ("salt/models/stored.py", "path.open"): "weights, which are no text: what a pickle names, how a file begins",
    ("salt/report/page/markup.py", "path.read_bytes"): "pictures and videos, which are no text",
    ("salt/data/lines.py", "csv.DictReader"): "captions come line by line from `opened`; a bad one is left out by name",
}
"""What reads files or takes text apart beside the door, and why."""
PARSERS = {"json.load", "json.loads", "csv.reader", "csv.DictReader", "pd.read_csv", "pd.read_json", "os.open"}
LIBRARIES = {"av", "Image", "archive", "gzip"}
"""Whose `open` is that of videos, pictures and archives."""


def reads(tree: ast.AST) -> Iterator[str]:
    """What a module calls that opens a file for reading, or takes a text apart, by the words it is called with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _reads(node, ast.unparse(node.func)):
            yield ast.unparse(node.func)


def _reads(node: ast.Call, called: str) -> bool:
    owner, _, name = called.rpartition(".")
    if called in PARSERS:
        return not (node.args and ast.unparse(node.args[0]).startswith("io.StringIO("))
    if name == "open" and owner not in LIBRARIES:
        given = [*node.args, *(key.value for key in node.keywords)]
        modes = {part.value for part in given if isinstance(part, ast.Constant)}
        return not modes & {"w", "a", "x", "wb", "ab", "xb"}
    return bool(owner) and name in ("read_text", "read_bytes")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", ["path.read_text"]),
        ("(folder / 'a').read_bytes()", ["(folder / 'a').read_bytes"]),
        ("json.loads(text)", ["json.loads"]),
        ("open(path)", ["open"]),
        ("path.open('rb')", ["path.open"]),
        ("path.open(mode='r', encoding='utf-8')", ["path.open"]),
        ("pd.read_csv(path)", ["pd.read_csv"]),
        ("path.open('w'); path.open('a', encoding='utf-8'); Image.open(path)", []),
        ("read_text(path, 'a text'); pd.read_csv(io.StringIO(text)); path.write_text('a')", []),
    ],
)
def test_what_counts_as_reading(code: str, found: list[str]) -> None:
    assert list(reads(ast.parse(code))) == found


def test_nobody_else_reads_text() -> None:
    modules = [path for name in ("salt", "snakemake_logger_plugin_salt") for path in (ROOT / name).rglob("*.py")]
    found = {
        (path.relative_to(ROOT).as_posix(), call) for path in modules for call in reads(ast.parse(path.read_text()))
    }
    assert {(file, call) for file, call in found if file != DOOR} == set(BESIDE)
