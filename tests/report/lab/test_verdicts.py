"""Known effects get their verdicts; a control that fails, or a plan that changed, takes all of them away."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config.lab_claims import LabClaim, lab_claims
from salt.report.lab.verdicts import judge_lab, verdict
from salt.report.statistics import seed_interval, two_sided_p
from support.lab_records import ARMS, CONFIRM, EFFECTS, LAB, VERDICTS, of_arms, of_nobody, rows, spread


def judged(folder, lab=LAB):
    return judge_lab(lab, lab_claims(ARMS), folder.records)


def verdicts(found):
    return {one.name: one.verdict for one in found}


def test_every_verdict_is_reached(folder):
    found = judged(folder)
    assert not found.failed
    assert verdicts(found.confirm) == VERDICTS
    assert all(one.reason == "" for one in found.confirm)
    for one in found.confirm:
        if one.name in EFFECTS:
            mean, sd = EFFECTS[one.name]
            assert one.interval.estimate == pytest.approx(mean)
            assert one.interval.standard_error == pytest.approx(sd / len(CONFIRM) ** 0.5)
            assert one.seeds == CONFIRM
    assert all(len(one.seeds) == 8 for one in found.explore)


def test_an_effect_is_a_sum_less_a_sum_seed_by_seed(folder):
    """The interaction of two arms and two step counts: base's own change is taken off."""
    number = len(CONFIRM)
    one, other = spread("a", number, 0.3, 0.1), spread("b", number, 0.1, 0.1)
    more = rows("up", CONFIRM, one, nfe=16) + rows("base", CONFIRM, other, nfe=16)
    known = of_arms(CONFIRM, "confirm")
    for first in (100, 108):
        chosen = [row for row in known + more if first <= row["seed"] < first + 8]
        folder.write(f"core_{first}-{first + 7}", chosen)
    claim = "{text: t, source: s, predicted: less, smallest: 0.1, plus: [{arm: up, nfe: 16}, {arm: base, nfe: 4}], "
    claim += "minus: [{arm: up, nfe: 4}, {arm: base, nfe: 16}]}"
    head = folder.claims.read_text().split("claims:\n")[0]
    folder.write_plan(f"{head}claims:\n  sum: {claim}\n")
    values = {(row["method"], row["nfe"], row["seed"]): row["value"] for row in known + more}
    expected = [
        values["up", 16, s] + values["base", 4, s] - values["up", 4, s] - values["base", 16, s] for s in CONFIRM
    ]
    folder.records.joinpath("core_0-7.csv.gz").unlink()
    folder.records.joinpath("core_0-7.json").unlink()
    confirmed = judged(folder).confirm[0]
    assert confirmed.interval.estimate == pytest.approx(np.mean(expected))
    assert confirmed.interval.low == pytest.approx(seed_interval(expected).low)


@pytest.mark.parametrize(
    ("name", "method", "nfe", "mean"),
    [
        ("teacher", "exact_teacher", 32, 0.08),  # no better than with 4 steps
        ("map", "exact_map", 16, 0.03),
        ("injected", "injected_error", 16, 0.1),
        ("closed_form", "injected_error_closed_form", 16, 0.405),  # within the smallest effect, but surely not 0
    ],
)
def test_a_control_that_fails_takes_all_verdicts(folder, name, method, nfe, mean):
    found = [row for row in of_nobody() if (row["method"], row["nfe"]) != (method, nfe)]
    like = next(row for row in of_nobody() if (row["method"], row["nfe"]) == (method, nfe))
    found += rows(method, range(16), spread(f"x{name}", 16, mean, 0.001), nfe=nfe, solver=like["solver"], updates=0)
    folder.write_controls(found)
    made = judged(folder)
    assert [tested.name for tested in made.failed] == ([name] if name != "injected" else ["injected", "closed_form"])
    for one in (*made.explore, *made.confirm):
        assert one.verdict == "no verdict"
        assert one.reason == f"control failed: {', '.join(tested.name for tested in made.failed)}"
        assert one.interval is not None


def test_a_control_that_sees_too_little_fails(folder):
    """Truth that scatters so much that its halves could hide an effect has not shown that there is none."""
    found = [row for row in of_nobody() if row["method"] != "truth"]
    noisy = spread("noisy", 16, 0.05, 0.03)
    folder.write_controls(found + rows("truth", range(16), noisy, nfe=0, solver="none", updates=0))
    assert [(one.name, one.why_not) for one in judged(folder).failed] == [
        ("truth", "the interval is not within the smallest effect")
    ]


def test_a_control_that_is_not_measured_fails(folder):
    folder.write_controls([row for row in of_nobody() if row["method"] != "exact_map"])
    assert [(one.name, one.why_not) for one in judged(folder).failed] == [("map", "exact_map is not measured")]
    folder.records.joinpath("controls.csv").unlink()
    assert len(judged(folder).failed) == 5


def test_a_plan_that_changed_takes_the_verdicts_of_the_confirming_runs(folder):
    folder.write_plan(folder.claims.read_text() + "# another thought\n")
    made = judged(folder)
    assert {one.verdict for one in made.confirm} == {"no verdict"}
    assert made.confirm[0].reason == (
        "the plan is not what it was: core_100-107, core_108-115 ran with another text of it"
    )
    assert verdicts(made.explore)["up"] == "holds"


def test_a_lost_member_is_left_out_with_its_seed(folder):
    chosen = [row for row in of_arms(CONFIRM, "confirm") if row["seed"] < 108]
    chosen = [row for row in chosen if (row["method"], row["seed"]) != ("up", 103)]
    folder.write("core_100-107", chosen, lost={"up": [103], "never_in_a_claim": [101]})
    made = {one.name: one for one in judged(folder).confirm}
    assert made["up"].seeds == tuple(seed for seed in CONFIRM if seed != 103)
    assert made["up"].lost == {"up": (103,)}
    assert made["down"].seeds == CONFIRM
    assert made["down"].lost == {}


def test_two_seeds_decide_nothing_and_none_are_no_error(folder):
    for first in (100, 108):
        for kind in ("csv.gz", "json"):
            folder.records.joinpath(f"core_{first}-{first + 7}.{kind}").unlink()
    made = judged(folder)
    assert {(one.verdict, one.reason) for one in made.confirm} == {("no verdict", "no runs yet")}
    assert verdicts(made.explore)["up"] == "holds"
    seeds = CONFIRM[:2]
    folder.write("core_100-101", [row for row in of_arms(CONFIRM, "confirm") if row["seed"] in seeds])
    assert {(one.verdict, one.reason) for one in judged(folder).confirm} == {("no verdict", "2 seeds")}


def test_an_arm_that_was_not_run_counts_in_the_family(folder):
    before = {one.name: one.adjusted for one in judged(folder).confirm}
    chosen = [row for row in of_arms(CONFIRM, "confirm") if row["method"] != "vague"]
    for first in (100, 108):
        folder.write(f"core_{first}-{first + 7}", [row for row in chosen if first <= row["seed"] < first + 8])
    made = {one.name: one for one in judged(folder).confirm}
    assert (made["vague"].verdict, made["vague"].reason) == ("no verdict", "not run: vague")
    assert made["vague"].adjusted is None
    assert made["slight"].adjusted == before["slight"]


def test_numbers_that_mean_nothing_have_no_verdict(folder):
    found = judged(folder, dataclasses.replace(LAB, meaningful=False))
    assert {(one.verdict, one.reason) for one in found.confirm} == {("no verdict", "lab: numbers mean nothing")}


def test_saturated_needs_every_cell_at_its_floor(folder):
    chosen = [row for row in of_arms(CONFIRM, "confirm") if row["method"] != "also_perfect"]
    chosen += rows("also_perfect", CONFIRM, spread("worse", len(CONFIRM), 0.02, 0.0005))
    for first in (100, 108):
        folder.write(f"core_{first}-{first + 7}", [row for row in chosen if first <= row["seed"] < first + 8])
    made = verdicts(judged(folder).confirm)
    assert made["perfect"] == "opposite"
    folder.write_controls([row | {"n": 512} if row["method"] == "truth" else row for row in of_nobody()])
    assert all(floor is None for one in judged(folder).confirm for floor in one.floors)


@given(
    mean=st.floats(-1, 1), sd=st.floats(1e-4, 1), smallest=st.floats(1e-3, 1), side=st.sampled_from(["greater", "less"])
)
def test_verdicts_agree_with_their_interval(mean, sd, smallest, side):
    """For a family of one, significant is what excludes 0; the mirrored claim gets the mirrored verdict."""
    cells = {"plus": [{"arm": "a", "nfe": 4}], "minus": [{"arm": "b", "nfe": 4}]}
    claim = LabClaim(text="t", source="s", predicted=side, smallest=smallest, **cells)
    other = claim.model_copy(update={"predicted": {"greater": "less", "less": "greater"}[side]})
    interval = seed_interval(spread("any", 8, mean, sd))
    found = verdict(interval, two_sided_p(interval), claim, 0.05)
    if interval.low <= 0 <= interval.high:
        assert found == verdict(interval, two_sided_p(interval), other, 0.05)
        inside = -smallest < interval.low and interval.high < smallest
        assert found == ("absent" if inside else "not resolved")
    else:
        mirrored = verdict(interval, two_sided_p(interval), other, 0.05)
        assert {found.split(",")[0], mirrored.split(",")[0]} == {"holds", "opposite"}
