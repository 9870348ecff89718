"""Verdicts of statements, places of intervals, and what is said of how sure they are."""

from math import asinh, inf

import pytest

from salt.config.load import load_scale
from salt.report.claims import make_claims
from salt.report.page.forest import HALF, MIDDLE, Axis, Span, axis_of
from salt.report.page.judged import BOTH, CHIPS, IN_PART, NO_VERDICT, read_claims, statements, together

SCALE = load_scale("tiny")


@pytest.fixture(scope="module")
def measured(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("claims")
    make_claims("tiny", results / "records", out)
    return read_claims(SCALE, out / "claims.csv")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["reproduced", "inconclusive"], CHIPS["reproduced"]),
        (["reproduced", "inconclusive", "saturated"], IN_PART["reproduced"]),
        (["not reproduced"], CHIPS["not reproduced"]),
        (["not reproduced", "inconclusive", "inconclusive"], IN_PART["not reproduced"]),
        (["reproduced", "not reproduced", "not reproduced"], BOTH),
        (["saturated", "inconclusive", "saturated"], CHIPS["saturated"]),
        (["not tested"], CHIPS["not tested"]),
    ],
)
def test_a_statement_is_decided_by_those_that_decide(verdicts, expected):
    assert together(verdicts) == expected


def test_every_claim_is_a_row_of_one_statement(measured):
    found = statements(measured, True)
    rows = [row for statement in found.statements for row in statement.rows]
    assert len(rows) == len(measured)
    assert len({statement.name for statement in found.statements}) == len(found.statements)
    assert sum(len(of_it) for _, of_it in found.verdicts) == len(found.statements)
    assert {chip for chip, _ in found.verdicts} >= set(CHIPS.values())


def test_the_papers_side_is_on_the_right(measured):
    shown = {row.label: row for statement in statements(measured, True).statements for row in statement.rows}
    for one in measured:
        row = shown[one.claim.measured]
        if one.verdict in ("reproduced", "not reproduced"):
            (bar,) = row.bars
            assert (bar.low > MIDDLE) == (one.verdict == "reproduced")
            assert (bar.high < MIDDLE) == (one.verdict == "not reproduced")
        if row.paper is not None:
            assert row.paper > MIDDLE


def test_what_could_have_been_seen_stands_where_nothing_was(measured):
    for statement in statements(measured, True).statements:
        for row in statement.rows:
            bounded = bool(row.bars) and not row.bars[0].beyond_low
            told = "Could have seen" in dict(row.numbers)
            assert told == (row.chip == CHIPS["inconclusive"] and bounded), row


def test_without_an_instrument_nothing_has_a_verdict(measured):
    found = statements(measured, False).statements
    assert {row.chip for statement in found for row in statement.rows} == {NO_VERDICT}
    assert {statement.chip for statement in found} == {NO_VERDICT}


def test_how_sure(measured):
    tested = [one for one in measured if one.verdict != "not tested"]
    decided = sum("reproduced" in one.verdict for one in tested)
    said = statements(measured, True).sure
    assert said.startswith(f"{len(tested)} measurements, each with a 95 % interval over captions")
    assert f"{decided} of them exclude 0" in said


def test_an_axis_holds_what_it_is_made_for():
    spans = [Span(1, -3, 2, "quiet"), Span(1, -inf, inf, "quiet")]
    axis = axis_of(spans, [-4])
    assert axis.reach == 4
    assert [axis.place(value) for value in (-4, 0, 4, 9)] == [MIDDLE - HALF, MIDDLE, MIDDLE + HALF, MIDDLE + HALF]
    first, second = map(axis.bar, spans)
    assert (first.beyond_low, first.beyond_high) == (False, False)
    assert (second.beyond_low, second.beyond_high) == (True, True)
    assert axis_of([], []).reach == 1


def test_a_span_is_turned_to_the_predicted_side():
    assert Span(1, -2, 3, "good").turned(-1) == Span(-1, -3, 2, "good")


def test_a_bent_axis_is_odd():
    axis = Axis(100, asinh)
    assert axis.place(3) - MIDDLE == pytest.approx(MIDDLE - axis.place(-3))
    assert axis.place(1) - MIDDLE > HALF / 100
