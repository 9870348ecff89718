"""Verdicts follow the rule, from planted differences."""

import csv

import numpy as np
import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.report.claims import RULE, Verdict, claims, make_claims, verdict
from salt.report.records import Records, read_measurements
from salt.report.statistics import seed_interval

VERDICTS = set(Verdict.__args__)


def lines(folder):
    with (folder / "claims.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("claims")
    make_claims("tiny", results / "records", out)
    return out


@pytest.mark.parametrize(
    ("values", "side", "expected"),
    [
        ([1.0, 1.1, 0.9], 1, "reproduced"),
        ([1.0, 1.1, 0.9], -1, "not reproduced"),
        ([-1.0, -1.1, -0.9], -1, "reproduced"),
        ([1.0, -1.1, 0.9], 1, "inconclusive"),
        ([1.0], 1, "inconclusive"),
        ([0.0, 0.0], 1, "inconclusive"),
    ],
)
def test_the_rule(values, side, expected):
    assert verdict(seed_interval(values), side) == expected


def test_every_claim_has_a_verdict_that_its_interval_gives(made):
    table = lines(made)
    sides = [claim.side for claim in claims(load_scale("tiny"))]
    assert len(table) == len(sides)
    for line, side in zip(table, sides, strict=True):
        assert line["verdict"] in VERDICTS
        if line["verdict"] == "not tested":
            assert line["ours"] == line["low"] == ""
        else:
            low, high = sorted(side * float(line[key]) for key in ("low", "high"))
            assert (low > 0, high < 0) == (line["verdict"] == "reproduced", line["verdict"] == "not reproduced")


def test_planted_truths_are_found(made):
    """The synthetic SC-DMD halves the defect, but most of all in the last interval, unlike the paper's."""
    found = {line["measured"]: line for line in lines(made)}
    change = found["defect_mean, cm path: SC-DMD against DMD-8"]
    assert change["verdict"] == "reproduced"
    assert float(change["ours"]) == pytest.approx(100 * (0.0027 / 0.0054 - 1), abs=6)
    assert float(change["paper"]) == pytest.approx(-17.8, abs=0.1)
    gap = next(line for name, line in found.items() if name.startswith("mean gap"))
    assert gap["verdict"] == "not reproduced"
    own = found["Total: DMD-8 at 16 NFE minus DMD-8 at 4"]
    assert float(own["ours"]) < 0


def test_differences_of_the_paper_are_those_of_its_rows():
    papers = {(c.where, c.measured): c.paper for c in claims(load_scale("tiny")) if c.paper is not None}
    assert papers["Sec. 4.4, Tab. 4", "Total: SC-DMD at 4 NFE minus DMD-4"] == pytest.approx(83.19 - 82.78)
    assert papers["Sec. 4.4, Tab. 4", "Multi-Objects: SC-DMD at 4 NFE minus DMD-8"] == pytest.approx(85.72 - 78.98)
    assert papers["Sec. 4.2, Tab. 2", "Total: SC-DMD at 2 NFE minus DMD-4"] == pytest.approx(82.85 - 82.41)
    assert papers["Sec. 4.2, Tab. 1", "Dynamic Degree: SC-DMD at 4 NFE minus DMD-4"] == pytest.approx(52.85 - 58.46)


def test_the_paper_stands_on_the_side_that_it_prints():
    for claim in claims(load_scale("tiny")):
        if claim.paper is not None:
            assert np.sign(claim.paper) == claim.side, claim


def test_markdown_counts_states_the_rule_and_the_seeds(made):
    text = (made / "claims.md").read_text()
    table = lines(made)
    for name in VERDICTS:
        assert f"{sum(line['verdict'] == name for line in table)} {name}" in text
    assert RULE in text
    assert "captions, 2 training seeds" in text
    assert "captions, 1 training seed |" in text
    assert "Training seeds: 0, 1." in text


def test_the_same_records_give_the_same_bytes(results, made, tmp_path):
    for path in make_claims("tiny", results / "records", tmp_path):
        assert path.read_bytes() == (made / path.name).read_bytes()


def test_without_records_nothing_is_tested(tmp_path):
    make_claims("tiny", tmp_path / "records", tmp_path)
    assert {line["verdict"] for line in lines(tmp_path)} == {"not tested"}


def test_a_scale_without_meaning_tests_nothing(make_records, tmp_path):
    writer = make_records(tmp_path / "records", scale="smoke", prompts=8)
    for experiment in ("dmd_4", "sc_dmd"):
        writer.scores(experiment, 0)
        writer.defect(experiment, 0)
    make_claims("smoke", writer.folder, tmp_path)
    table = lines(tmp_path)
    assert {line["verdict"] for line in table} == {"not tested"}
    assert any(line["ours"] for line in table)
    assert "smoke: numbers mean nothing." in (tmp_path / "claims.md").read_text()


def test_claims_of_distributions_have_the_other_sign_and_can_be_saturated(turning, tmp_path):
    """Half of the energy distance is better; speeds at the floor of real clips can be no better; nothing where there
    are no records."""
    make_claims("tiny", turning / "records", tmp_path)
    found = {line["measured"]: line for line in lines(tmp_path)}
    better = found["Energy Dist.: SC-DMD at 4 NFE minus DMD-4"]
    assert better["verdict"] == "reproduced"
    assert float(better["ours"]) == pytest.approx(-3, rel=0.1)
    assert better["covers"] == "training seeds"
    assert found["Energy Dist.: DMD-4 at 16 NFE minus DMD-4 at 4"]["verdict"] == "reproduced"
    assert found["Energy Dist.: SC-DMD at 8 NFE minus SC-DMD at 4"]["verdict"] == "not reproduced"
    assert found["Speed TV: DMD-8 at 8 NFE minus DMD-8 at 4"]["verdict"] == "saturated"
    assert found["Energy Dist.: Ours - LongLive at 4 NFE minus LongLive"]["verdict"] == "not tested"


def test_scores_of_both_at_the_ceiling_are_saturated(make_records, tmp_path):
    """Not where one of them is far below real clips."""
    writer = make_records(tmp_path / "records", scale="tiny", seeds=2)
    for experiment in ("dmd_4", "sc_dmd", "real"):
        for seed in range(1 if experiment == "real" else 2):
            writer.scores(experiment, seed, [("none", 0)] if experiment == "real" else [])
    records = Records(writer.folder, load_scale("tiny"))
    claim = next(c for c in claims(records.scale) if c.measured == "Total: SC-DMD at 4 NFE minus DMD-4")
    assert not claim.saturated(records, (0, 1))
    real = pd.read_csv(writer.folder / "real_seed0_scores.csv")
    real.loc[real["metric"] == "total", "value"] = 10.0
    real.to_csv(writer.folder / "real_seed0_scores.csv", index=False)
    read_measurements.cache_clear()
    assert claim.saturated(records, (0, 1))


def test_image_to_video_has_claims_of_its_own(images, tmp_path):
    """Those of Table 1, with the paper's differences of its rows."""
    every = claims(load_scale("tiny_i2v"))
    assert {claim.where for claim in every} == {"Sec. 4.2, Tab. 1"}
    papers = {claim.measured.split(":")[0]: (claim.paper, claim.side) for claim in every}
    assert papers["I2V"] == (pytest.approx(0.81), 1)
    assert papers["Dynamic Degree"] == (pytest.approx(-5.61), -1)
    assert all(paper * side > 0 for paper, side in papers.values())
    make_claims("tiny_i2v", images / "records", tmp_path)
    assert "| not tested" not in (tmp_path / "claims.md").read_text().split("## The rule")[0]
