"""Each guide is followed to the letter, in a fresh checkout: files written, lines changed, commands run in order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import ROOT, Block, blocks, change, checkout

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
MOST = 60
"""Lines that a guide may change."""


def run(block: Block, root: Path) -> str:
    """What the commands of a block print."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SALT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=root,
        env=inherited | {"PATH": path, "PYTHONPATH": str(root), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_changes_little(guide: Path, tmp_path: Path) -> None:
    """And what it changes is there to be changed."""
    root, changes = checkout(tmp_path), [block for block in blocks(guide) if block.title]
    for block in changes:
        change(block, root)
    assert sum(block.changed for block in changes) < MOST


@pytest.mark.guides
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_works_as_written(guide: Path, tmp_path: Path) -> None:
    """A block `text` after commands is what they print, among other lines."""
    root, printed = checkout(tmp_path), ""
    for block in blocks(guide):
        if block.title:
            change(block, root)
        elif block.language == "text":
            missing = [line for line in block.text.splitlines() if line not in printed]
            assert not missing, printed
        elif block.commands:
            printed = run(block, root)
