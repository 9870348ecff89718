"""Every command that the pages name is one that works: its words are checked, and `-m literal` runs what is cheap.

A block of commands is run as it is written, in a fresh checkout; `make` and `snakemake`, which would take hours, by a
dry run. Guides are followed by tests of their own. The comment `<!-- parsed -->` above a block says that it needs what
no checkout has, a cluster, weights or earlier results, so that its words are checked and nothing is run.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.blocks import ROOT, Block, blocks, checkout, typed
from support.commands import OTHERS, check, spoken

HISTORY = ROOT / "docs" / "log.md"
"""Says what was typed at its time."""
GUIDES = ROOT / "docs" / "guides"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "benchmarks/README.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page != HISTORY and page.parent != GUIDES),
]
OURS = ("salt ", "snakemake ", "make ")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
RUN = [page for page in PAGES if any(block.commands for block in blocks(page))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def lines(block: Block) -> Iterator[str]:
    """What is typed of a block: all of it, or, where no language says that it is a shell, what begins as a command."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if block.language == "bash" or line.startswith((*OURS, *(f"{name} " for name in OTHERS))):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_words_are_accepted(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        for words in spoken("\n".join(lines(block))) if block.commands else ():
            check(words, tmp_path)
    prose = re.sub(r"^```.*?^```$|^#[^\n]*", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for code in INLINE.findall(prose):
        for words in spoken(" ".join(code.split())) if code.startswith(OURS) else ():
            check(words, tmp_path, whole=False)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("clone"), results=True)


@pytest.mark.literal
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_commands_work_as_written(page: Path, clone: Path) -> None:
    for block in blocks(page):
        if block.commands and block.mark != "parsed":
            commands = "\n".join(map(dry, lines(block)))
            assert subprocess.run(["bash", "-n", "-c", commands]).returncode == 0
            typed(commands, clone)


def dry(line: str) -> str:
    """A dry run of what may take hours."""
    program, *rest = line.split("#")[0].split() or [""]
    return " ".join([program, "-n", *rest]) if program in ("make", "snakemake") else line


@pytest.mark.parametrize(
    "command",
    [
        "salt trian",
        "salt train",
        "salt sample sc_dmt --prompts a.txt",
        "salt plan --scale tinny",
        "salt doctor --sead 1",
        "snakemake tabel4",
        "snakemake table4 --config seed=1",
        "make tset",
        "python no/such/file.py",
        "curl something",
    ],
)
def test_what_would_be_refused_is_seen(command: str, tmp_path: Path) -> None:
    (words,) = spoken(command)
    with pytest.raises((AssertionError, Exception)):
        check(words, tmp_path)
