"""Which layer wins: checked against a plain table of who gave what, for random choices of who gives what."""

import json
from functools import reduce

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salt.config import load_experiment
from support.repository import DMD, SCALE

LAYERS = ("defaults", "base", "child", "base.scales", "child.scales", "command line")
KEYS = (
    "grid.shift",
    "objectives.dmd.weight",
    "objectives.dmd.noise.shift",
    "train.batch_size",
    "train.optimiser.lr",
    "train.keep_checkpoints",
)
FALLBACK = {  # when no layer gives the key: what the files below say, or the schema's default
    "grid.shift": 3.0,
    "objectives.dmd.weight": 1.0,
    "objectives.dmd.noise.shift": 5.0,
    "train.batch_size": 4,
    "train.optimiser.lr": 1e-3,
    "train.keep_checkpoints": 2,
}


def nested(flat):
    tree = {}
    for key, value in flat.items():
        *parents, leaf = key.split(".")
        reduce(lambda into, part: into.setdefault(part, {}), parents, tree)[leaf] = value
    return tree


def read(experiment, key):
    return reduce(getattr, key.split("."), experiment)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gives=st.lists(st.sets(st.sampled_from(KEYS)), min_size=len(LAYERS), max_size=len(LAYERS)))
def test_the_later_layer_wins(repository, gives):
    given_by = {
        layer: {key: rank + 10 for key in keys} for rank, (layer, keys) in enumerate(zip(LAYERS, gives, strict=True))
    }
    fixed = {"train.iterations": 5, "train.critic": {"optimiser": {"lr": 1}}}
    low = {
        key: value for key, value in FALLBACK.items() if key in ("grid.shift", "train.batch_size", "train.optimiser.lr")
    }
    scale = SCALE[: SCALE.index("defaults:")]
    repository.write(
        "scales/one.yaml", f"{scale}\ndefaults: {json.dumps(nested({**fixed, **low, **given_by['defaults']}))}"
    )
    own = {"title": "Base", "grid.steps": 4, "grid.train_steps": 8, "objectives.dmd.normaliser": "none"}
    base = nested({**own, **given_by["base"]}) | {
        "scales": {"one": nested(given_by["base.scales"]), "two": {"title": "No"}}
    }
    child = nested({"title": "Child", **given_by["child"]}) | {
        "extends": "base",
        "scales": {"one": nested(given_by["child.scales"])},
    }
    repository.write("base.yaml", json.dumps(base))
    repository.write("child.yaml", json.dumps(child))
    overrides = {key: str(value) for key, value in given_by["command line"].items()}

    experiment = load_experiment("child", "one", overrides)

    expected = {key: [FALLBACK[key], *(own[key] for own in given_by.values() if key in own)][-1] for key in KEYS}
    assert {key: read(experiment, key) for key in KEYS} == expected
    assert (experiment.name, experiment.title) == ("child", "Child")
    assert experiment.objectives.dmd.normaliser == "none"


def test_null_removes_and_a_later_layer_starts_anew(repository):
    repository.write("with_sc.yaml", "extends: dmd\nobjectives: {sc: {weight: 3.0, te_law: top2}}")
    repository.write("without.yaml", "extends: with_sc\nobjectives: {sc: null}")
    repository.write("again.yaml", "extends: without\nobjectives: {sc: {weight: 2.0}}")
    assert load_experiment("with_sc", "one").objectives.sc.te_law == "top2"
    assert load_experiment("without", "one").objectives.sc is None
    assert load_experiment("without", "one") == load_experiment("dmd", "one").model_copy(update={"name": "without"})
    again = load_experiment("again", "one").objectives.sc
    assert (again.weight, again.te_law) == (2.0, "uniform")
    assert load_experiment("with_sc", "one", {"objectives.sc": "null"}).objectives.sc is None


def test_null_restores_the_default_of_a_value(repository):
    repository.write("child.yaml", "extends: dmd\ntrain: {ema: {decay: 0.5}}")
    assert load_experiment("child", "one").train.ema.decay == 0.5
    assert load_experiment("child", "one", {"train.ema.decay": "null"}).train.ema.decay == 0.99


def test_lists_are_replaced_whole(repository):
    repository.write("child.yaml", "extends: dmd\ntrain: {optimiser: {betas: [0.5, 0.6]}}")
    assert load_experiment("child", "one").train.optimiser.betas == (0.5, 0.6)
    overrides = {"scale.evaluation.nfe": "[2]", "scale.evaluation.prompts": "7"}
    evaluation = load_experiment("child", "one", overrides).scale.evaluation
    assert (evaluation.nfe, evaluation.prompts) == ((2,), 7)


def test_a_scale_part_holds_at_its_scale_only(repository):
    repository.write("child.yaml", "extends: dmd\nscales: {two: {grid: {shift: 9.0}}}")
    assert load_experiment("child", "one").grid.shift == 3.0
    assert load_experiment("child", "two").grid.shift == 9.0


def test_later_overrides_win(repository):
    overrides = {"grid": "{steps: 2, train_steps: 2, shift: 1}", "grid.train_steps": "6"}
    grid = load_experiment("dmd", "one", overrides).grid
    assert (grid.steps, grid.train_steps, grid.shift) == (2, 6, 1.0)


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "1.0e-6", "0.000001", "+1e-6"])
def test_numbers_are_read_however_they_are_written(repository, text):
    assert load_experiment("dmd", "one", {"train.optimiser.lr": text}).train.optimiser.lr == 1e-6


def test_what_makes_an_experiment_recognisable_is_not_inherited(repository):
    repository.write("dmd.yaml", f"{DMD}label: D\nlook: {{colour: '#000000', marker: o, line: '-'}}\nsolver: euler\n")
    repository.write("child.yaml", "extends: dmd")
    own, child = (load_experiment(name, "one") for name in ("dmd", "child"))
    assert (own.label, own.look.marker) == ("D", "o")
    assert child.label is child.look is None
    assert child.main_solver == own.main_solver == "euler"
