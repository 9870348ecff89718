"""One training on several processes, whole or split: the same losses and weights as on one, wherever it is resumed."""

import os
import shutil
import signal
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from salt.config.schema import Experiment
from salt.errors import EXIT_INTERRUPTED, SaltError
from salt.files import sha256
from salt.models.wan import WEIGHTS
from salt.training.checkpoint import list_checkpoints
from support.tiny import (
    experiment,
    metrics_of,
    run,
    salt_experiment,
    shown_experiment,
    steps_done,
    teacher_experiment,
    wait_for,
)

Spawn = Callable[..., ForkServerProcess]
MUON = {"lr": 1e-3, "muon_lr": 1e-2}  # where it computes in bfloat16, that magnifies the order of sums
SPLIT = {"train__shard": True, "train__batch_size": 8}
SHARED = {"train__context_parallel": 2}


def simulated(**changes: object) -> Experiment:
    """SC-DMD on the student's own path, where samples leave at places of their own."""
    return experiment(**{"rollout": {"kind": "backward_simulation"}} | changes)


def start(spawn: Spawn, setting: Experiment, folder: Path, size: int) -> list[ForkServerProcess]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    group = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [spawn(setting, folder, RANK=str(rank), **group) for rank in range(size)]


def finish(processes: list[ForkServerProcess]) -> list[int | None]:
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def together(spawn: Spawn, setting: Experiment, folder: Path, size: int) -> None:
    assert finish(start(spawn, setting, folder, size)) == [0] * size


ADVERSARIAL = {
    "objectives__adversarial": {"features": "critic", "r1": {"weight": 1.0}, "head": {"width": 8}},
    "train__discriminator": {"optimiser": {"lr": 1e-3}},
}


def assert_alike(first: Path, second: Path, tolerance: float = 1e-5) -> None:
    """The same run, up to the order of sums."""
    for one, two in zip(metrics_of(first), metrics_of(second), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    ours, theirs = (load_file(folder / "out" / WEIGHTS) for folder in (first, second))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=tolerance)


def test_two_processes_equal_one(spawn: Spawn, tmp_path: Path) -> None:
    setting = experiment(train__iterations=3, train__batch_size=8)
    together(spawn, setting, tmp_path / "two", 2)
    run(setting, tmp_path / "one")
    assert_alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("method", "size", "changes"),
    [
        (experiment, 2, {}),
        (experiment, 4, {"train__recompute": True}),
        (experiment, 2, {"train__accumulate": 2}),
        (simulated, 4, {}),
        (salt_experiment, 2, {"train__recompute": True}),
        (teacher_experiment, 2, {"train__optimiser": MUON, "train__iterations": 1}),
        (experiment, 2, SHARED),
        (simulated, 4, SHARED | {"train__recompute": True}),
        (shown_experiment, 2, SHARED),
        (shown_experiment, 2, SHARED | {"train__shard": False}),
        (experiment, 2, ADVERSARIAL),
    ],
    ids=[
        *("SC-DMD", "four, recomputed", "accumulated", "backward simulation", "Salt under caches", "Muon"),
        *("shared", "two groups that share", "shared, with first frames", "shared, not split", "adversarial"),
    ],
)
def test_split_networks_train_as_whole_ones(
    spawn: Spawn, tmp_path: Path, method: Callable[..., Experiment], size: int, changes: dict[str, object]
) -> None:
    together(spawn, method(**SPLIT | changes), tmp_path / "split", size)
    plain = {"train__batch_size": 8, "train__accumulate": 1}
    plain |= {"train__recompute": False, "train__shard": False, "train__context_parallel": 1}
    run(method(**changes | plain), tmp_path / "whole")
    assert_alike(tmp_path / "whole", tmp_path / "split", 2e-4 if "train__optimiser" in changes else 1e-5)


@pytest.mark.parametrize("size", [1, 4])
def test_a_split_run_continues_on_another_number_of_processes(spawn: Spawn, tmp_path: Path, size: int) -> None:
    setting = salt_experiment(**SPLIT, train__iterations=12, train__checkpoint_every=1000)
    stopped = tmp_path / "stopped"
    processes = start(spawn, setting, stopped, 2)
    wait_for(lambda: steps_done(stopped) >= 2)
    os.kill(processes[1].pid, signal.SIGTERM)  # one is enough
    assert finish(processes) == [EXIT_INTERRUPTED] * 2
    assert steps_done(stopped) < 12
    together(spawn, setting, stopped, size)
    together(spawn, setting, tmp_path / "unbroken", 2)
    assert_alike(tmp_path / "unbroken", stopped)


def test_one_process_killed_stops_all_and_the_same_command_continues(spawn: Spawn, tmp_path: Path) -> None:
    setting = experiment(**SPLIT, train__iterations=20, train__checkpoint_every=3)
    broken = tmp_path / "broken"
    processes = start(spawn, setting, broken, 2)
    wait_for(lambda: steps_done(broken) >= 5)
    processes[1].kill()
    ends = finish(processes)
    assert ends[1] == -signal.SIGKILL
    assert ends[0] not in (0, None)
    together(spawn, setting, broken, 2)
    together(spawn, setting, tmp_path / "unbroken", 2)
    assert sha256(broken / "out" / WEIGHTS) == sha256(tmp_path / "unbroken" / "out" / WEIGHTS)
    assert metrics_of(broken) == metrics_of(tmp_path / "unbroken")
    assert not list((broken / "run" / "checkpoints").glob(".*"))


def test_processes_that_do_not_form_equal_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SaltError, match=r"train\.context_parallel=2 does not divide the number of processes, 1"):
        run(experiment(**SHARED), tmp_path)


def test_a_run_of_shared_samples_continues_alone(spawn: Spawn, tmp_path: Path) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    together(spawn, experiment(**SPLIT | SHARED), shared, 2)
    shutil.rmtree(list_checkpoints(shared / "run" / "checkpoints")[-1])
    shutil.rmtree(shared / "out")
    run(experiment(**SPLIT), shared)
    run(experiment(**SPLIT), alone)
    assert_alike(alone, shared)


def cut(folder: Path) -> None:
    path = next(folder.glob("*.distcp"))
    path.write_bytes(path.read_bytes()[:-1])


def lose(folder: Path) -> None:
    next(folder.glob("*.distcp")).unlink()


def flip(folder: Path) -> None:
    path = next(folder.glob("*.distcp"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil_metadata(folder: Path) -> None:
    (folder / ".metadata").write_bytes(b"cos\nsystem\n.")


@pytest.mark.parametrize("damage", [cut, lose, flip, spoil_metadata])
def test_a_damaged_part_is_set_aside(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    setting = experiment(**SPLIT)
    run(setting, tmp_path)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    (tmp_path / "out" / "provenance.json").unlink()
    last = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    damage(last)
    run(setting, tmp_path)
    assert sha256(tmp_path / "out" / WEIGHTS) == finished
    assert f"{last}: damaged checkpoint: " in caplog.text
    assert "continuing from step_000002" in caplog.text


def test_processes_agree_on_the_checkpoint_before_a_damaged_one(spawn: Spawn, tmp_path: Path) -> None:
    """Whichever of them finds the damage."""
    setting = experiment(**SPLIT)
    together(spawn, setting, tmp_path, 2)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    last = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    for part in ("__0_0.distcp", "__1_0.distcp"):
        (tmp_path / "out" / "provenance.json").unlink()
        data = bytearray((last / part).read_bytes())
        data[-1] ^= 1
        (last / part).write_bytes(data)
        together(spawn, setting, tmp_path, 2)
        assert (last.with_name(f"damaged_{last.name}") / part).read_bytes() == bytes(data)
        assert sha256(tmp_path / "out" / WEIGHTS) == finished


def test_a_whole_checkpoint_is_not_taken_for_a_split_one(tmp_path: Path) -> None:
    run(experiment(), tmp_path)
    (tmp_path / "out" / "provenance.json").unlink()
    with pytest.raises(SaltError, match=r"written with train\.shard=False"):
        run(experiment(train__shard=True), tmp_path)


@pytest.mark.parametrize("size", [1, 2])
def test_bfloat16_computes_coarsely_and_keeps_float32(spawn: Spawn, tmp_path: Path, size: int) -> None:
    setting = salt_experiment(train__precision="bfloat16", train__shard=size > 1)
    together(spawn, setting, tmp_path / "low", size)
    run(salt_experiment(), tmp_path / "high")
    low, high = (metrics_of(tmp_path / name) for name in ("low", "high"))
    assert [m["critic/loss"] for m in low] != [m["critic/loss"] for m in high]
    assert [m["critic/loss"] for m in low] == pytest.approx([m["critic/loss"] for m in high], rel=0.05)
    assert {value.dtype for value in load_file(tmp_path / "low" / "out" / WEIGHTS).values()} == {torch.float32}
