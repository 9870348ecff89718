"""Keep docs/equations.md in step with the code: `python tests/equations.py --fix` rewrites it, else it is checked.

The convention, here and nowhere else:
* A function or class under salt/ is the *home* of an equation if its docstring starts with the tag, a colon after it:
  `Eq. (8): ...`, or `Eq. (6), (14): ...` for an equation that the paper states twice. Every equation has one home.
* `Eq. (8)` anywhere else is a reference and makes no home.
* A test function under tests/ is a test of every equation that its docstring names, anywhere: `Eq. (8)`.
"""

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "equations.md"

EQUATIONS = range(1, 17)
"""Those that the paper numbers."""

HOME = re.compile(r"Eq\. (\(\d+\)(?:, \(\d+\))*): (.+)")
MENTION = re.compile(r"Eq\. \((\d+)\)")

HEAD = """\
# Equations

Every equation of the paper (arXiv 2604.03118) has one home in the code, and tests that name it.
Written by `python tests/equations.py --fix` from the docstrings; the convention is in that file.

| Eq. | home | what it does | tests |
|---|---|---|---|
"""


def documented(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (`path::Class.function`, docstring) of every function and class under `folder` that has a docstring."""

    def visit(node: ast.AST, path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from visit(child, path, names)
                continue
            inner = (*names, child.name)
            if docstring := ast.get_docstring(child):
                yield f"{path.relative_to(folder.parent).as_posix()}::{'.'.join(inner)}", docstring
            yield from visit(child, path, inner)

    for path in sorted(folder.rglob("*.py")):
        yield from visit(ast.parse(path.read_text(encoding="utf-8")), path, ())


def homes(package: Path) -> dict[int, list[tuple[str, str]]]:
    """Equation -> its homes, each with the docstring's first line after the tag."""
    found: dict[int, list[tuple[str, str]]] = {}
    for name, docstring in documented(package):
        if match := HOME.match(docstring):
            for number in re.findall(r"\d+", match[1]):
                found.setdefault(int(number), []).append((name, match[2]))
    return found


def tests(folder: Path) -> dict[int, list[str]]:
    """Equation -> the tests whose docstrings name it."""
    found: dict[int, list[str]] = {}
    for name, docstring in documented(folder):
        if name.split("::")[1].split(".")[-1].startswith("test_"):
            for number in sorted({int(number) for number in MENTION.findall(docstring)}):
                found.setdefault(number, []).append(name)
    return found


def page(root: Path) -> str:
    """Return the text that docs/equations.md should have."""
    tested = tests(root / "tests")
    rows = [
        f"| ({number}) | [`{home}`](../{home.split('::')[0]}) | {what.replace('|', chr(92) + '|')} | "
        f"{'<br>'.join(f'`{test}`' for test in tested.get(number, []))} |\n"
        for number, places in sorted(homes(root / "salt").items())
        for home, what in places
    ]
    return HEAD + "".join(rows)


def main() -> int:
    """Rewrite or check the page; 1 if it is stale."""
    parser = argparse.ArgumentParser(description="Keep docs/equations.md in step with the code.")
    parser.add_argument("--fix", action="store_true", help="rewrite the page")
    if parser.parse_args().fix:
        fresh = PAGE.with_suffix(".tmp")
        fresh.write_text(page(ROOT), encoding="utf-8")
        os.replace(fresh, PAGE)
        return 0
    return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(ROOT))


if __name__ == "__main__":
    sys.exit(main())
