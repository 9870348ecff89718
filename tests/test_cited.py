"""Numbers and verdicts in prose are what the results say; every other decimal is named in docs/numbers.yaml."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import cited
from salt.errors import SaltError

FINDING = re.compile(
    r"\b(beats|halves|improves|better|worse|hurts?|repairs|deficit|gains?|loses|wins|outperforms)\b", re.IGNORECASE
)
"""Words that say what came out, which titles and descriptions leave to the results."""
EXPERIMENTS = cited.ROOT / "experiments"
STATED = {EXPERIMENTS / "claims.yaml", EXPERIMENTS / "paper_values.yaml", EXPERIMENTS / "lab" / "claims.yaml"}
"""What the paper claims, or we do before the runs that decide."""
DESCRIBED = sorted({*EXPERIMENTS.glob("*.yaml"), *EXPERIMENTS.glob("lab/*.yaml")} - STATED)
NAMES = re.compile(
    r"arXiv \d+\.\d+|(?:Wan|Python|SLURM|transformers|VBench|Apache|version) ?-?v?\d+(?:\.\d+)+|\d\.\dB|Sec\. \d\.\d"
)
"""Names and places that hold a point."""
DECIMAL = re.compile(r"(?<![\w.])\d*\.\d+(?:e-?\d+)?")
LISTED = yaml.safe_load((cited.ROOT / "docs" / "numbers.yaml").read_text(encoding="utf-8"))
EXAMPLES = re.findall(r"^    (\w+/\w+(?: \S+)*?(?: \"[^\"]+\")?)(?:   ?| (?=`))", str(cited.__doc__), re.MULTILINE)
TABLE = """\
table,row,experiment,prompts,solver,nfe,metric,paper,ours,seed_sd,seeds,baseline,difference,low,high,paper_difference
t,Old,old,extended,cm,4,total,80.5,90.0,1.0,0 1,,,89.0,91.0,
t,New,new,extended,cm,4,total,81.5,92.25,1.0,0 1,,,91.25,93.25,
t,New,new,extended,cm,2,total,,70.0,,0,,,,,
t,New,new,extended,cm,4,total,,,,0 1,"Old, 4 NFE",2.25,1.0,3.5,1.0
"""
CLAIMS = """\
claim,measured,ours,low,high,verdict
More is better,Total: New minus Old,2.25,1.0,3.5,reproduced
More is better,Quality: New minus Old,0.5,-1.0,2.0,inconclusive
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "world" / "tables").mkdir(parents=True)
    (tmp_path / "world" / "tables" / "t.csv").write_text(TABLE)
    (tmp_path / "world" / "claims.csv").write_text(CLAIMS)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("world/t old total", "90.00 ± 1.00"),
        ("world/t new@2 total .1f", "70.0"),
        ("world/t old total paper", "80.50"),
        ("world/t new - old total", "+2.25 [+1.00, +3.50]"),
        ("world/t new@4 - old total +.1f", "+2.2 [+1.0, +3.5]"),
        ("world/t new - old total paper", "+1.00"),
        ("world/t new - old total sign", "above 0"),
        ("world/t new - old total seeds", "2"),
        ("world/claims counts", "1 reproduced, 1 inconclusive"),
        ("world/claims count", "2"),
        ("world/claims count reproduced", "1"),
        ("world/claims list inconclusive", "- More is better: Quality: New minus Old"),
        ('world/claims "Total: New minus Old"', "reproduced"),
        ('world/claims "Total: New minus Old" effect', "+2.25 [+1.00, +3.50]"),
    ],
)
def test_a_question_is_answered_from_the_files(results: Path, question: str, said: str) -> None:
    assert cited.answer(question, results).strip() == said


def test_a_whole_table_has_intervals_in_its_cells(results: Path) -> None:
    lines = cited.answer("world/t table total paper .1f", results).strip().splitlines()
    assert lines[2:] == [
        "| Old | 4 | 90.0 ± 1.0 | *80.5* |",
        "| New | 4 | 92.2 ± 1.0 | *81.5* |",
        "| New | 2 | 70.0 |  |",
    ]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("world/t odl total", "did you mean 'old'?"),
        ("world/t new total", "Say which number of steps: new@4"),
        ("world/t new quality", "no quality in this table"),
        ("world/u new total", "there is no such file"),
        ("world/t", "not understood"),
        ("", "not understood"),
        ('world/claims "Total: New minus Odd"', "did you mean 'Total: New minus Old'?"),
    ],
)
def test_a_wrong_question_is_a_line(results: Path, question: str, told: str) -> None:
    with pytest.raises(SaltError, match=re.escape(told)):
        cited.answer(question, results)


@pytest.mark.parametrize("question", EXAMPLES)
def test_the_examples_are_questions(question: str) -> None:
    assert cited.answer(question).strip()


def test_a_stale_text_is_rewritten_and_a_right_one_keeps_its_line_breaks() -> None:
    count = cited.answer("tiny/claims count")
    page = "There are <!-- cite: tiny/claims count -->7000<!-- --> claims."
    assert cited.rewritten(page) == page.replace("7000", count)
    said = cited.answer("tiny/claims counts")
    broken = f"<!-- cite:\ntiny/claims counts -->{said.replace(' ', chr(10), 1)}<!-- -->"
    assert cited.rewritten(broken) == broken


def test_what_a_sentence_expects_is_checked() -> None:
    count = cited.answer("tiny/claims count")
    assert not list(cited.broken(f"<!-- expect: tiny/claims count = {count} -->"))
    (told,) = cited.broken("<!-- expect: tiny/claims count = 7000 -->")
    assert f"is {count}, no longer 7000" in told


def test_pages_say_what_the_results_say() -> None:
    run = subprocess.run([sys.executable, "tests/cited.py"], cwd=cited.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def typed(text: str) -> Counter[str]:
    """The decimals of a page that nobody made: code, links, names and generated parts left out."""
    text = cited.CITED.sub("", text)
    text = re.sub(r"<!-- (\w+): python .*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL)
    return Counter(DECIMAL.findall(NAMES.sub(" ", text)))


README = pytest.param(
    cited.pages()[0], marks=pytest.mark.xfail(strict=True, reason="its numbers are typed by hand"), id="README.md"
)


@pytest.mark.parametrize("page", [README, *cited.pages()[1:]], ids=lambda page: page.name)
def test_every_other_decimal_is_named_for_what_it_is(page: Path) -> None:
    name = str(page.relative_to(cited.ROOT))
    listed = Counter(str(number) for kind in LISTED.get(name, {}).values() for number in kind.split())
    found = typed(page.read_text(encoding="utf-8"))
    new, gone = found - listed, listed - found
    assert not new, f"{name}: {', '.join(new)}: cite it (tests/cited.py), or name its kind in docs/numbers.yaml"
    assert not gone, f"docs/numbers.yaml: {name}: {', '.join(gone)} is no longer there"


def titles(node: object) -> list[str]:
    """All titles and descriptions of a file."""
    if isinstance(node, list):
        return [text for each in node for text in titles(each)]
    if not isinstance(node, dict):
        return []
    own = [str(node[key]) for key in ("title", "about") if key in node]
    return own + [text for each in node.values() for text in titles(each)]


@pytest.mark.parametrize("path", DESCRIBED, ids=lambda path: path.stem)
def test_titles_and_descriptions_say_what_is_shown_and_not_what_was_found(path: Path) -> None:
    texts = titles(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert not [text for text in texts if FINDING.search(text)]
