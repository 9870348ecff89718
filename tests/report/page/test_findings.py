"""What is said below a figure is about what it draws."""

import pytest

from salt.config.load import load_scale
from salt.report.claims import make_claims
from salt.report.page.findings import MOST, NO_RECORD, found_in
from salt.report.page.judged import read_claims
from salt.report.records import Records
from salt.report.suite import load_suite

SCALE = load_scale("tiny")
FIGURES = load_suite().at(SCALE).figures


@pytest.fixture(scope="module")
def told(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("claims")
    make_claims("tiny", results / "records", out)
    measured = read_claims(SCALE, out / "claims.csv")
    records = Records(results / "records", SCALE)
    return {name: found_in(spec, measured, records, range(2)) for name, spec in FIGURES.items()}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_something(told, name):
    assert 1 <= len(told[name]) <= MOST + 1
    assert all(sentence.endswith(".") for sentence in told[name])
    assert (told[name] == [NO_RECORD]) == (name == "fig3")


def test_more_steps_are_told_of_each_student(turning):
    records = Records(turning / "records", SCALE)
    (said,) = found_in(FIGURES["fig_any_step"], [], records, range(2))
    assert said.startswith("Energy distance at 1, 4, 32 evaluations, of 100: DMD-4 ")
    assert "AnyFlow " in said
    assert "One-Forcing" not in said, "it was not measured"


def test_only_what_is_drawn_is_told(told):
    at_4 = " ".join(told["fig_lambda"])
    assert "at 4 NFE" in at_4
    assert "16 NFE" not in at_4
    assert "short prompts" not in " ".join(one for some in told.values() for one in some)
    assert all("long videos" in sentence for sentence in told["fig_long"])
    assert "defect_mean" not in " ".join(told["fig_steps"])


def test_the_clearest_comes_first_and_the_rest_is_named(told):
    assert told["fig_steps"][0].startswith("More steps make DMD worse: reproduced in 2 of 2. The clearest: Total: DMD-")
    assert told["fig_steps"][MOST].startswith("It shows ")
