"""Hashes: blind to how a configuration was written, sensitive to what it says; pinned so that they stay comparable."""

import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from salt.config import Experiment, content_hash, load_experiment, resolved_yaml, training_hash
from salt.config.grid import Grid
from salt.config.noise import NoiseLaw


def test_pinned():
    assert content_hash(Grid(steps=4, train_steps=8, shift=12)) == "7a07f1e3caaa"


@given(st.permutations(["steps", "train_steps", "shift"]))
def test_order_of_keys_and_spelling_of_numbers_do_not_matter(order):
    values = {"steps": 4, "train_steps": 8, "shift": 12}
    spelt = {"steps": 4, "train_steps": 8, "shift": 1.2e1}
    assert content_hash(Grid(**{key: values[key] for key in order})) == content_hash(Grid(**spelt))


def test_defaults_count_as_if_written():
    assert content_hash(NoiseLaw()) == content_hash(NoiseLaw(shift=5, t_min=0.02, t_max=0.98))


@given(st.floats(0.1, 20), st.floats(0.1, 20))
def test_different_values_differ(a, b):
    same = content_hash(NoiseLaw(shift=a)) == content_hash(NoiseLaw(shift=b))
    assert same == (a == b)


def test_equal_in_another_process():
    code = "from salt.config import *; print(training_hash(load_experiment('sc_dmd', 'tiny')))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == training_hash(load_experiment("sc_dmd", "tiny"))
    assert len(there) == 12
    assert set(there) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("key", "value", "retrains"),
    [
        ("title", "Another title", False),
        ("solver", "euler", False),
        ("about", "Another text", False),
        ("scale.evaluation.prompts", "30", False),
        ("scale.world.fps", "8", False),
        ("scale.meaningful", "false", False),
        ("scale.beside", "null", False),
        ("train.checkpoint_every", "7", False),
        ("train.preview_every", "7", False),
        ("train.threads", "2", False),
        ("train.iterations", "7", True),
        ("train.optimiser.lr", "0.5", True),
        ("grid.shift", "7", True),
        ("objectives.sc.weight", "7", True),
        ("objectives.sc", "null", True),
        ("init", "random", True),
        ("scale.world.clips", "7", True),
        ("scale.backbone.ffn_dim", "7", True),
    ],
)
def test_what_retrains(key, value, retrains):
    before, after = load_experiment("sc_dmd", "tiny"), load_experiment("sc_dmd", "tiny", {key: value})
    assert (training_hash(before) != training_hash(after)) == retrains
    assert content_hash(before) != content_hash(after)


def test_resolved_yaml_is_the_whole_experiment():
    experiment = load_experiment("sc_dmd", "paper")
    read = yaml.safe_load(resolved_yaml(experiment))
    scale = experiment.scale.model_copy(update={"about": "", "limits": ()})
    plain = experiment.model_copy(update={"label": None, "look": None, "scale": scale})  # words are in no dump
    assert Experiment.model_validate_json(json.dumps(read), strict=True) == plain
    assert read["train"]["optimiser"]["lr"] == 1e-6
    off = ("released", "solver", "flow_map", "label", "look")
    assert list(read) == [key for key in Experiment.model_fields if key not in off]


def test_how_an_experiment_is_presented_is_in_no_dump_and_no_hash():
    shown = load_experiment("dmd_4", "tiny")
    assert shown.look is not None
    plain = load_experiment("dmd_4", "tiny", {"look": "null"})
    assert plain.look is None
    assert shown.model_dump() == plain.model_dump()
    assert content_hash(shown) == content_hash(plain)
