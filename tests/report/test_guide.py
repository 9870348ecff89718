"""The way through the results: what it says is in the files, and nothing that they use is left unexplained."""

import csv
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

from salt.config.files import repository_root
from salt.config.lab_claims import MEANINGS, Metric
from salt.config.modes import MEANINGS as OF_MODES
from salt.config.modes import MEASURES
from salt.errors import SaltError
from salt.evaluation.vbench.board import KNOWN
from salt.report import claims
from salt.report.glossary import glossary, verdicts_of
from salt.report.guide import make_guide
from salt.report.lab import verdicts
from salt.report.suite import load_suite

ROOT = repository_root()
PAGE = ROOT / "results" / "README.md"


def test_the_committed_page_is_of_the_committed_results(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results", tmp_path / "results", ignore=shutil.ignore_patterns("README.md"))
    shutil.copytree(ROOT / "paper_figures", tmp_path / "paper_figures")
    made = make_guide(tmp_path / "results", tmp_path / "paper_figures", tmp_path / "results" / "README.md")
    assert made.read_text() == PAGE.read_text(), "results/README.md is stale: salt guide"


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text())
    assert len(links) > 30
    assert not [link for link in links if not (PAGE.parent / link).exists()]


def test_it_counts_the_verdicts_of_every_scale() -> None:
    text = PAGE.read_text()
    for path in sorted((ROOT / "results").glob("*/claims.csv")):
        with path.open(newline="") as file:
            found = [line["verdict"] for line in csv.DictReader(file)]
        counts = re.search(rf"^\| `{path.parent.name}` \| the paper's \| {len(found)} \| (.+) \|$", text, re.MULTILINE)
        assert counts
        assert set(counts[1].split("; ")) == {f"{found.count(verdict)} {verdict}" for verdict in found}


def test_every_measure_and_verdict_has_a_line() -> None:
    assert MEANINGS.keys() == set(get_args(Metric))
    assert OF_MODES.keys() == MEASURES.keys()
    terms = " ".join(term for part in glossary().values() for term in part)
    columns = {column for table in load_suite().tables.values() for column in table.columns}
    for name in (*columns, *MEASURES, *(KNOWN.keys() - {"camera_motion"})):
        assert f"`{name}`" in terms
    for rule, kinds in ((claims.RULE, claims.Verdict), (verdicts.RULE, verdicts.Verdict)):
        said = ", ".join(verdicts_of(rule))
        assert not [kind for kind in get_args(kinds) if kind not in said]


def test_scales_without_meaning_are_left_out(tmp_path: Path) -> None:
    for name in ("smoke", "tiny"):
        (tmp_path / name).mkdir()
        for file in ("claims.md", "claims.csv"):
            shutil.copy(ROOT / "results" / "tiny" / file, tmp_path / name)
    text = make_guide(tmp_path, tmp_path / "figures", tmp_path / "README.md").read_text()
    assert "tiny/claims.md" in text
    assert "smoke" not in text.split("## Glossary")[0]


def test_without_claims_there_is_nothing_to_guide_to(tmp_path: Path) -> None:
    with pytest.raises(SaltError, match="no claims of any scale"):
        make_guide(tmp_path, tmp_path, tmp_path / "README.md")
    assert not list(tmp_path.iterdir())
