"""Checkpoints that a disk has spoilt: the one before is taken, loudly, and the end is the same."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from salt.digest import json_digest
from salt.errors import SaltError
from salt.files import sha256
from salt.models.wan import WEIGHTS
from salt.training.checkpoint import list_checkpoints
from support.tiny import metrics_of, run, teacher_experiment


def restate(checkpoint: Path, **changes: object) -> None:
    """Change what `state.json` says, its digest included."""
    known = json.loads((checkpoint / "state.json").read_text()) | changes
    known["digest"] = json_digest({name: value for name, value in known.items() if name != "digest"})
    (checkpoint / "state.json").write_text(json.dumps(known))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def damage(checkpoint: Path, how: str) -> None:
    path, counters = checkpoint / "state.safetensors", checkpoint / "state.json"
    match how:
        case "truncated":
            path.write_bytes(path.read_bytes()[:1000])
        case "one bit":
            flip(path, -1)
        case "no file":
            path.unlink()
        case "no counters":
            counters.write_text("{")
        case "another counter":
            counters.write_text(counters.read_text().replace('"updates/generator": 4', '"updates/generator": 5'))
        case "no digest but its name":
            known = json.loads(counters.read_text()) | {"seconds": 0.0, "digest": None}
            counters.write_text(json.dumps(known))
        case "another step":
            restate(checkpoint, step=3)
        case "a list":
            counters.write_text("[]")
        case "deep":
            counters.write_text("[" * 100_000)
        case "counters of another type":
            restate(checkpoint, seconds=[])
        case "of another network":
            save_file(load_file(path) | {"ema/transformer.extra": torch.zeros(1)}, path)
            restate(checkpoint, sha256=sha256(path))


DAMAGES = [
    "truncated",
    "one bit",
    "no file",
    "no counters",
    "another counter",
    "no digest but its name",
    "another step",
    "a list",
    "deep",
]
DAMAGES += ["counters of another type", "of another network"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_loudly_and_the_one_before_continues(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    finished, written = sha256(tmp_path / "out" / WEIGHTS), metrics_of(tmp_path)
    shutil.rmtree(tmp_path / "out")
    older, newest = list_checkpoints(tmp_path / "run" / "checkpoints")
    damage(newest, how)
    spoilt = {path.name: path.read_bytes() for path in newest.iterdir()}
    assert run(setting, tmp_path)
    assert sha256(tmp_path / "out" / WEIGHTS) == finished
    assert metrics_of(tmp_path) == written
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    aside = newest.with_name(f"damaged_{newest.name}")
    assert warning.startswith(f"{newest}: damaged checkpoint: ")
    assert warning.endswith(f"; kept as {aside}; continuing from {older.name}")
    assert "\n" not in warning
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == spoilt
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == [older, newest]


def test_if_none_is_whole_nothing_is_begun_anew_unasked(tmp_path: Path) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    shutil.rmtree(tmp_path / "out")
    older, newest = list_checkpoints(tmp_path / "run" / "checkpoints")
    for checkpoint in (older, newest):
        damage(checkpoint, "one bit")
    with pytest.raises(SaltError) as caught:
        run(setting, tmp_path)
    assert str(caught.value).startswith(f"{older}: damaged checkpoint")
    assert f"delete {older} to continue from the beginning" in str(caught.value)
    assert "\n" not in str(caught.value)
    shutil.rmtree(older)
    run(setting, tmp_path)
    assert sha256(tmp_path / "out" / WEIGHTS) == finished


def test_counters_without_a_digest_are_of_an_earlier_version(tmp_path: Path) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    shutil.rmtree(tmp_path / "out")
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    known = json.loads((newest / "state.json").read_text())
    del known["digest"]
    (newest / "state.json").write_text(json.dumps(known))
    run(setting, tmp_path)
    assert sha256(tmp_path / "out" / WEIGHTS) == finished
    assert not list(newest.parent.glob("damaged_*"))
