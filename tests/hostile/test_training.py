"""Generated states and origins of trainings: checkpoints that are whole or not, provenance that says anything."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from salt.files import sha256
from salt.models.wan import WEIGHTS, build_wan, save_wan
from salt.stages.shared.networks import are_released, load_student, trained_as
from salt.training.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from salt.training.provenance import NAME, check_unchanged, is_complete, provenance, recorded
from salt.training.state import TrainState
from support.readers import DEEP, JSON, accepts, changed, fewer, mutated
from support.tiny import make_method, teacher_experiment

SETTING = teacher_experiment()
FEWER = settings(max_examples=fewer())
"""Each case copies a folder, or validates an experiment."""


# ------------------------------------------------------------------------------------------- checkpoints
def new_state() -> TrainState:
    method = make_method(SETTING)
    return TrainState(method.trainable, SETTING.train, method.constant)


@pytest.fixture(scope="module")
def state() -> TrainState:
    return new_state()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of different steps and weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    state = new_state()
    for step in (1, 2):
        state.step, state.seconds, state.updates = step, 1.5 * step, {"generator": step}
        with torch.no_grad():
            next(state.networks["generator"].parameters()).fill_(step)
        save_checkpoint(folder, state, keep=2)
    return folder


def first_weight(state: TrainState) -> Tensor:
    return next(state.networks["generator"].parameters()).detach().flatten()[0]


def restored(folder: Path, state: TrainState) -> None:
    """Some checkpoint is taken as a whole: the counters are those of the weights."""
    state.step = 0
    load_checkpoint(folder, state)
    assert state.step in (1, 2)
    assert (state.seconds, state.updates) == (1.5 * state.step, {"generator": state.step})
    assert first_weight(state) == state.step


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("salt.training.checkpoint").setLevel(logging.ERROR)


@FEWER
@given(data=st.data())
def test_counters(tmp_path: Path, written: Path, state: TrainState, data: st.DataObject) -> None:
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written, folder)
    path = folder / "step_000002" / "state.json"
    known = json.loads(path.read_text())
    stated = changed(known).filter(lambda other: "digest" in other)  # without, it is of an earlier version
    texts = stated.map(json.dumps) | JSON.map(json.dumps) | st.sampled_from(DEEP)
    path.write_bytes(data.draw(texts.map(str.encode) | mutated(path.read_bytes())))
    assert accepts(lambda: restored(folder, state), tmp_path)
    assert list_checkpoints(folder)[0].name == "step_000001"


@FEWER
@given(data=st.data())
def test_tensors(tmp_path: Path, written: Path, state: TrainState, data: st.DataObject) -> None:
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written, folder)
    path = folder / "step_000002" / "state.safetensors"
    whole = path.read_bytes()
    spoilt = data.draw(mutated(whole))
    path.write_bytes(spoilt)
    assert accepts(lambda: restored(folder, state), tmp_path)
    assert state.step == (2 if spoilt == whole else 1)


# -------------------------------------------------------------------------------------------- provenance
@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with its provenance."""
    folder = tmp_path_factory.mktemp("student") / "weights"
    save_wan(build_wan(SETTING.scale.backbone, seed=3), folder)
    (folder / NAME).write_text(json.dumps(provenance(SETTING, 0, {}, folder)))
    return folder


@FEWER
@given(data=st.data())
def test_provenance(weights: Path, data: st.DataObject) -> None:
    path = weights / NAME
    whole = path.read_text()
    known = json.loads(whole)
    experiment = changed(known["experiment"]).map(lambda other: json.dumps(known | {"experiment": other}))
    hashes = changed(known["weights"]).map(lambda other: json.dumps(known | {"weights": other}))
    texts = experiment | hashes | changed(known).map(json.dumps) | JSON.map(json.dumps) | st.sampled_from(DEEP)
    content = data.draw(texts.map(str.encode) | mutated(whole.encode()))
    try:
        path.write_bytes(content)
        for read in (trained_as, are_released, check_unchanged, recorded, lambda at: load_student(at, SETTING)):
            accepts(lambda: read(weights), weights)  # noqa: B023
        assert isinstance(is_complete(weights, SETTING, 0), bool)
    finally:
        path.write_text(whole)


@FEWER
@given(data=st.data())
@example(data=None)
def test_no_bit_of_weights_can_change(tmp_path: Path, weights: Path, data: st.DataObject | None) -> None:
    """Not even one that makes finite numbers of a network of the right shape."""
    name = WEIGHTS if data is None else data.draw(st.sampled_from([WEIGHTS, "config.json"]))
    whole = (weights / name).read_bytes()
    spoilt = whole if data is None else data.draw(mutated(whole))
    folder = tmp_path / "weights"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(weights, folder)
    (folder / name).write_bytes(spoilt)
    assert accepts(lambda: load_student(folder, SETTING), tmp_path) == (spoilt == whole)
    assert is_complete(folder, SETTING, 0) == (sha256(folder / name) == sha256(weights / name))
