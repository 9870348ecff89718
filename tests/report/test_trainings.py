"""The record of trainings: their time, and curves of the run that made the weights."""

import json

import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report.page.trainings import cost_of, curves_of, read_trainings, spent
from salt.report.trainings import POINTS, make_trainings

SCALE = load_scale("tiny")
UPDATES = 40
GRID = {"grid": {"steps": 4, "shift": 3.0}}


def train(folder, experiment, seed, **changed):
    """What a training leaves, and beside its run that of another configuration."""
    weights = folder / "weights" / experiment / f"seed{seed}"
    weights.mkdir(parents=True)
    made = {"experiment": {"name": experiment, "title": "x", **GRID}, "seed": seed, "iterations": UPDATES} | changed
    (weights / "provenance.json").write_text(json.dumps(made))
    for name, grid in (("old", {"grid": {"steps": 4, "shift": 5.0}}), ("run", GRID)):
        run = folder / "runs" / experiment / f"seed{seed}" / name
        run.mkdir(parents=True)
        (run / "config.json").write_text(json.dumps({"seed": seed, **grid}))
        loss = [1 + seed - step / UPDATES + (name == "old") for step in range(1, UPDATES + 1)]
        lines = [{"step": i, "generator/loss": one, "generator/lr": 1e-4} for i, one in enumerate(loss, 1)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *lines]))


@pytest.fixture
def folder(tmp_path):
    for seed in (0, 1):
        train(tmp_path, "dmd_4", seed, seconds=1800.0)
    train(tmp_path, "rcm", 0)  # published: nobody here trained it
    return tmp_path


@pytest.fixture
def record(folder):
    make_trainings(folder / "weights", folder / "runs", folder / "records" / "trainings.csv.gz")
    return read_trainings(folder / "records")


def test_time_and_curves_are_those_of_the_run_that_made_the_weights(record):
    assert set(record["experiment"]) == {"dmd_4"}
    assert set(record["quantity"]) == {"seconds", "generator/loss"}
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


def test_without_the_record_there_is_nothing(tmp_path):
    assert read_trainings(tmp_path) is None
    assert (spent(None), cost_of(None, SCALE), curves_of(None, SCALE)) == ("", (), ())


def test_runs_that_are_gone_leave_the_time(folder):
    out = make_trainings(folder / "weights", folder / "elsewhere", folder / "trainings.csv.gz")
    assert set(pd.read_csv(out)["quantity"]) == {"seconds"}


def test_the_same_runs_give_the_same_bytes(folder, record):
    again = make_trainings(folder / "weights", folder / "runs", folder / "again.csv.gz")
    assert again.read_bytes() == (folder / "records" / "trainings.csv.gz").read_bytes()


def test_mistakes_are_one_line(folder, tmp_path):
    with pytest.raises(SaltError, match="no trained weights; accepted: the folder of weights of a scale"):
        make_trainings(tmp_path / "none", tmp_path / "runs", tmp_path / "out.csv.gz")
    (folder / "weights" / "dmd_4" / "seed1" / "provenance.json").write_text("{")
    with pytest.raises(
        SaltError, match=r"seed1/provenance.json: cannot be read with its run: .* as `salt train` left it"
    ):
        make_trainings(folder / "weights", folder / "runs", tmp_path / "out.csv.gz")
    (tmp_path / "trainings.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(SaltError, match=r"trainings.csv.gz: cannot be read: .* as `salt trainings` wrote it"):
        read_trainings(tmp_path)
