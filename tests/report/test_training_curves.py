"""The record of a training: what it took, and the curves of the run that made the weights."""

import json

import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report.page.training_curves import cost_of, curves_of, read_trainings, spent
from salt.report.training_curves import POINTS, make_training_curves

SCALE = load_scale("tiny")
UPDATES = 40


def train(folder, experiment, seed, **changed):
    """What a training leaves; an update that was done twice is logged twice."""
    weights, run = (folder / part / experiment / f"seed{seed}" for part in ("weights", "runs"))
    weights.mkdir(parents=True)
    run.mkdir(parents=True)
    made = {"experiment": {"name": experiment}, "seed": seed, "iterations": UPDATES} | changed
    (weights / "provenance.json").write_text(json.dumps(made))
    loss = [1 + seed - step / UPDATES for step in range(1, UPDATES + 1)]
    lines = [{"step": i, "generator/loss": one, "generator/lr": 1e-4} for i, one in enumerate(loss, 1)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *lines]))
    return weights, run


@pytest.fixture
def folder(tmp_path):
    for seed in (0, 1):
        weights, run = train(tmp_path, "dmd_4", seed, seconds=1800.0)
        make_training_curves(weights, run, tmp_path / "records" / f"dmd_4_seed{seed}_curves.csv")
    return tmp_path


@pytest.fixture
def record(folder):
    return read_trainings(folder / "records")


def test_time_and_curves_are_those_of_the_run_that_made_the_weights(record):
    assert set(record["quantity"]) == {"seconds", "updates", "generator/loss"}
    curve = record[(record["seed"] == 0) & (record["quantity"] == "generator/loss")]
    assert curve["update"].tolist() == [(place + 1) * UPDATES // POINTS for place in range(POINTS)]
    assert curve["value"].iloc[0] == pytest.approx(1 - 1.5 / UPDATES)
    assert curve["value"].iloc[-1] == pytest.approx(1 - 39.5 / UPDATES)


def test_the_page_says_what_it_cost_and_draws_the_mean(record):
    assert spent(record) == "2 trainings took 1.0 hours together, one after the other."
    assert cost_of(record, SCALE)[1:] == (("DMD-4", "2", "40", "30.0"),)
    (curve,) = curves_of(record, SCALE)
    assert (curve.low, curve.high, curve.last) == ("0.512", "1.46", "0.512")
    places = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert places[0] == (5.0, 2.0)
    assert places[-1] == (100.0, 46.0)


def test_weights_that_do_not_say_their_time_say_their_updates(tmp_path):
    weights, run = train(tmp_path, "dmd_8", 0)
    make_training_curves(weights, run, tmp_path / "dmd_8_seed0_curves.csv")
    record = read_trainings(tmp_path)
    assert spent(record) == ""
    assert cost_of(record, SCALE)[1:] == (("DMD-8", "1", "40", ""),)


def test_without_the_record_there_is_nothing(tmp_path):
    assert read_trainings(tmp_path) is None
    assert (spent(None), cost_of(None, SCALE), curves_of(None, SCALE)) == ("", (), ())


def test_a_run_that_is_gone_leaves_the_time(folder):
    out = make_training_curves(folder / "weights/dmd_4/seed0", folder / "elsewhere", folder / "again.csv")
    assert set(pd.read_csv(out)["quantity"]) == {"seconds", "updates"}


def test_the_same_run_gives_the_same_bytes(folder):
    again = make_training_curves(folder / "weights/dmd_4/seed0", folder / "runs/dmd_4/seed0", folder / "a.csv")
    assert again.read_bytes() == (folder / "records" / "dmd_4_seed0_curves.csv").read_bytes()


def test_mistakes_are_one_line(folder, tmp_path):
    weights, run = folder / "weights/dmd_4/seed1", folder / "runs/dmd_4/seed1"
    (weights / "provenance.json").write_text("{")
    for path in (weights, tmp_path / "none"):
        with pytest.raises(SaltError, match=r"provenance.json: cannot be read"):
            make_training_curves(path, run, tmp_path / "out.csv")
    (tmp_path / "x_seed0_curves.csv").write_text("")
    with pytest.raises(SaltError, match=r"x_seed0_curves.csv: cannot be read as CSV: .* `salt training-curves`"):
        read_trainings(tmp_path)
