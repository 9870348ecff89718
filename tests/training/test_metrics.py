"""TensorBoard shows what metrics.jsonl says, of a run that was interrupted too; a damaged line is named."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from salt.config.hashing import training_hash
from salt.errors import SaltError
from salt.files import sha256
from salt.models.wan import WEIGHTS
from salt.training.loop import Job, train
from support.tiny import Clips, experiment, make_method, run, teacher_experiment


def test_tensorboard_shows_the_metrics(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    setting = experiment(train__tensorboard=True, train__checkpoint_every=2, train__preview_every=1)

    def stop(step: int, generator: nn.Module) -> None:
        if step == 3:  # past the checkpoint of step 2, so that step 3 is written twice
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Job(make_method(setting), Clips(), setting.train, tmp_path, on_preview=stop))
    train(Job(make_method(setting), Clips(), setting.train, tmp_path))
    board = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    names = set(lines[0]) - {"step"}
    assert set(board.Tags()["scalars"]) == names
    for name in names:
        scalars = [(event.step, event.value) for event in board.Scalars(name)]
        assert [step for step, _ in scalars] == [1, 2, 3, 4]
        assert [value for _, value in scalars] == pytest.approx([line[name] for line in lines], rel=1e-6)


@pytest.mark.parametrize("package", ["trackio", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, package: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    setting = experiment(train__tracker=package)
    with pytest.raises(SaltError, match=rf"train.tracker={package} needs the package {package}, .*pip install"):
        train(Job(make_method(setting), Clips(), setting.train, tmp_path))
    assert not (tmp_path / "metrics.jsonl").exists()
    assert training_hash(setting) == training_hash(experiment()), "who watches does not change what is trained"


def test_a_tracker_is_told_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    setting, run = experiment(train__tracker="wandb"), tmp_path / "sc_dmd" / "seed0" / "abc"
    run.mkdir(parents=True)
    train(Job(make_method(setting), Clips(), setting.train, run))
    (stored,) = (tmp_path / "wandb").glob("offline-run-*-sc_dmd-seed0-abc/*.wandb")
    assert stored.stat().st_size
    assert wandb.run is None, "it is finished"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"step": 1, "seconds"', "line 1: cannot be read as JSON"),
        ("[1]", "line 1: a list in place of a JSON object"),
        ('{"step": "one"}', "line 1: step = 'one'"),
        ("[" * 100_000, "line 1: cannot be read as JSON: nested too deep"),
    ],
)
def test_a_damaged_line_of_metrics_is_named_with_the_way_out(tmp_path: Path, line: str, told: str) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    shutil.rmtree(tmp_path / "out")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text("\n".join([line, *metrics.read_text().splitlines()[1:]]) + "\n")
    with pytest.raises(SaltError) as caught:
        run(setting, tmp_path)
    assert str(caught.value).startswith(f"{metrics}: {told}")
    assert "without the file too" in str(caught.value)
    metrics.unlink()
    run(setting, tmp_path)
    assert sha256(tmp_path / "out" / WEIGHTS) == finished
