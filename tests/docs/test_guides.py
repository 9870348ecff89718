"""Each guide is followed to the letter, in a fresh checkout: files written, lines changed, commands run in order."""

from pathlib import Path

import pytest

from support.blocks import ROOT, blocks, change, checkout, typed

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
MOST = 60
"""Lines that a guide may change."""


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_changes_little(guide: Path, tmp_path: Path) -> None:
    """And what it changes is there to be changed."""
    root, changes = checkout(tmp_path), [block for block in blocks(guide) if block.title]
    for block in changes:
        change(block, root)
    assert sum(block.changed for block in changes) < MOST


@pytest.mark.literal
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
            printed = typed(block.text, root)
