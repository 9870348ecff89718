"""The blocks of code in the project's pages: what a reader would type, write into files, and see."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r'^(?:<!-- (?P<mark>[^>]+) -->\n)?```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block of code."""

    language: str
    title: str | None
    """The file that it is, or changes."""
    text: str
    mark: str | None
    """The comment in the line above it."""

    @property
    def commands(self) -> bool:
        """Whether it is typed into a shell."""
        return self.title is None and self.language in ("", "bash")

    @property
    def changed(self) -> int:
        """Lines that are written or taken away."""
        if self.title is None:
            return 0
        lines = self.text.splitlines()
        return sum(line[:1] in ("+", "-") for line in lines) if self.language == "diff" else len(lines)


def blocks(page: Path) -> Iterator[Block]:
    """Those of a page, in order."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(match["language"], match["title"], match["text"], match["mark"])


def change(block: Block, root: Path) -> None:
    """Write the file of a block, or edit it: the lines of a `diff` that stay or go stand there once."""
    assert block.title is not None
    path = root / block.title
    if block.language != "diff":
        assert not path.exists(), f"{block.title} is there already"
        path.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    before, after = ("".join(line[1:] if line.strip() else line for line in lines if line[0] != sign) for sign in "+-")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{block.title} has these lines {text.count(before)} times:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def checkout(folder: Path, results: bool = False) -> Path:
    """A copy of all files that git does not ignore, as they are here; results too, if they are wanted."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        source, target = ROOT / name, folder / name
        if name and source.exists() and (results or not name.startswith(("results/", "paper_figures/"))):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def typed(commands: str, root: Path) -> str:
    """What commands print that are typed into a shell in a checkout, with its environment; none of them may fail."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SALT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=root,
        env=inherited | {"PATH": path, "PYTHONPATH": str(root), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}"
    return done.stdout
