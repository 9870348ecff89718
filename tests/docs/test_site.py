"""The site is built strictly and without a network, fetches nothing when it is read, and says what the code says."""

import re
import socket
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from support.blocks import ROOT, blocks

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FETCHED = re.compile(
    r"""<(?:script|img|iframe|video|source)\b[^>]*\ssrc=["']?(?:https?:)?//|<link\b[^>]*\shref=["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")

    def refuse(*address: object) -> None:
        raise AssertionError(f"the build asks the network for {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


def test_every_page_is_there(site: Path) -> None:
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES} < built


def test_nothing_is_fetched_by_a_reader(site: Path) -> None:
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        assert not FETCHED.search(text), path
        assert not re.search(r"url\([\"']?(?:https?:)?//", text) or path.suffix != ".css", path


def test_the_command_line_is_all_there(site: Path) -> None:
    """And is made from the program, so that it cannot be another one."""
    text = (site / "cli.html").read_text(encoding="utf-8")
    for verb in ("train", "sample", "doctor", "lab-arms", "import-released"):
        assert f'id="salt-{verb}"' in text
    assert "--latents" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_tables_and_lists_stand_by_themselves(page: Path) -> None:
    """Without an empty line before them the site would run them into the paragraph above; GitHub would not."""
    prose = re.sub(r"^```.*?^```$", "```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = prose.splitlines()
    for before, line in pairwise(lines):
        if line.startswith(("| ", "* ", "- ", "1. ")):
            assert not before or before.startswith(("|", "#", "*", "-", " ", "<!--")) or before[0].isdigit(), line


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "guides"], ids=lambda path: path.stem)
def test_code_on_a_page_is_that_of_its_file(page: Path) -> None:
    for block in blocks(page):
        if block.title is not None:
            file = [line.strip() for line in (ROOT / block.title).read_text(encoding="utf-8").splitlines()]
            shown = [line.strip() for line in block.text.splitlines()]
            assert any(file[i : i + len(shown)] == shown for i in range(len(file))), block.text


def test_every_table_and_figure_is_named_on_the_page_of_results() -> None:
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    suite = yaml.safe_load((ROOT / "experiments" / "tables.yaml").read_text(encoding="utf-8"))
    missing = [name for name in (*suite["tables"], *suite["figures"]) if f"`{name}`" not in text]
    assert not missing
