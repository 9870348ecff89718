"""Runs that are killed, stopped, doubled, starved of disk or damaged: the same command always leads to the same end."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

import salt.training.run as run_directory
from salt.config.schema import Experiment
from salt.errors import EXIT_INTERRUPTED, SaltError
from salt.files import sha256
from salt.models.wan import WEIGHTS
from salt.training.checkpoint import list_checkpoints
from support.tiny import (
    OPTIMISER,
    Clips,
    experiment,
    metrics_of,
    run,
    salt_experiment,
    steps_done,
    teacher_experiment,
    wait_for,
)

KILLS = int(os.environ.get("SALT_KILLS", "3"))
Spawn = Callable[..., ForkServerProcess]


def adversarial(**changes: Any) -> Experiment:
    """With a third role, in updates of its own."""
    given = {"objectives__adversarial": {"r1": {}}, "train__discriminator": {"optimiser": OPTIMISER, "ratio": 1}}
    return experiment(**given | changes)


@pytest.mark.parametrize(
    "method", [experiment, salt_experiment, adversarial], ids=["SC-DMD", "Salt under caches", "adversarial"]
)
def test_a_run_killed_at_random_moments_ends_as_the_unbroken_one(
    spawn: Spawn, tmp_path: Path, method: Callable[..., Experiment]
) -> None:
    setting = method(train__iterations=24, train__checkpoint_every=3)
    broken, moments, ends = tmp_path / "broken", random.Random(), []
    for step in sorted(moments.sample(range(24), KILLS)):
        process = spawn(setting, broken)
        wait_for(lambda: steps_done(broken) >= step)  # noqa: B023
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()
        ends.append(process.exitcode)
    assert set(ends) <= {-signal.SIGKILL, 0}
    assert -signal.SIGKILL in ends
    run(setting, broken)
    run(setting, tmp_path / "unbroken")
    assert sha256(broken / "out" / WEIGHTS) == sha256(tmp_path / "unbroken" / "out" / WEIGHTS)
    assert metrics_of(broken) == metrics_of(tmp_path / "unbroken")
    assert not list((broken / "run" / "checkpoints").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_exits_with_75_and_the_same_command_continues(
    spawn: Spawn, tmp_path: Path, number: signal.Signals
) -> None:
    setting = teacher_experiment(train__iterations=60, train__checkpoint_every=1000)
    stopped = tmp_path / "stopped"
    process = spawn(setting, stopped)
    wait_for(lambda: steps_done(stopped) >= 2)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == EXIT_INTERRUPTED
    (saved,) = list_checkpoints(stopped / "run" / "checkpoints")
    assert int(saved.name.removeprefix("step_")) == steps_done(stopped) < 60
    assert not (stopped / "out").exists()
    assert f"{number.name} came; step {steps_done(stopped)}/60 is saved" in (stopped / "run" / "log").read_text()
    run(setting, stopped)
    run(setting, tmp_path / "unbroken")
    assert sha256(stopped / "out" / WEIGHTS) == sha256(tmp_path / "unbroken" / "out" / WEIGHTS)


def test_a_second_process_is_turned_away_at_once(spawn: Spawn, tmp_path: Path) -> None:
    setting = teacher_experiment(train__iterations=100_000)
    holder = spawn(setting, tmp_path)
    wait_for(lambda: steps_done(tmp_path) >= 1)
    begun = time.monotonic()
    with pytest.raises(SaltError, match=rf"{tmp_path / 'run'}: process {holder.pid} on .* is training .* --wait"):
        run(setting, tmp_path)
    assert time.monotonic() - begun < 5
    holder.kill()
    holder.join()
    begun = time.monotonic()
    with run_directory.lease_run(tmp_path / "run"):
        assert time.monotonic() - begun < 5, "a dead process of this host holds nothing"


def test_a_second_process_waits_for_the_first_and_trains_nothing(
    spawn: Spawn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setting, data = teacher_experiment(train__iterations=300), Clips()
    holder = spawn(setting, tmp_path)
    wait_for(lambda: steps_done(tmp_path) >= 1)
    with caplog.at_level("INFO"):
        assert not run(setting, tmp_path, data, wait=True)
    assert re.search(rf"{tmp_path / 'run'}: waiting for process {holder.pid} on .*, which trains here", caplog.text)
    assert data.asked == []
    holder.join(60)
    assert holder.exitcode == 0
    assert [line["step"] for line in metrics_of(tmp_path)] == list(range(1, 301))


def elsewhere(lease: Path) -> None:
    """Take a lease on another host, which then falls silent for good."""
    code = (
        "import os, socket, sys; from filelock import SoftFileLease; socket.gethostname = lambda: 'elsewhere'; "
        f"lease = SoftFileLease(sys.argv[1], lease_duration={run_directory.LEASE}); lease.acquire(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, lease], check=True)


def test_a_run_is_taken_over_from_a_host_that_fell_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "LEASE", 1.5)
    (tmp_path / "run").mkdir()
    elsewhere(tmp_path / "run" / "lease")
    begun = time.monotonic()
    assert run(teacher_experiment(), tmp_path, wait=True)
    assert time.monotonic() - begun > 1.5
    assert not list((tmp_path / "run").glob("lease*"))


def of_another_duration(lease: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_directory, "LEASE", 77.0)
        elsewhere(lease)


@pytest.mark.parametrize("left", [Path.touch, of_another_duration, lambda lease: lease.write_bytes(b"\x00\xff")])
def test_a_lease_that_nobody_touches_is_taken_over_whatever_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: Callable[[Path], None]
) -> None:
    (tmp_path / "run").mkdir()
    left(tmp_path / "run" / "lease")
    with pytest.raises(SaltError, match="is training in this run directory; stop it, or say --wait"):
        run(teacher_experiment(), tmp_path)
    monkeypatch.setattr(run_directory, "LEASE", 0.6)
    monkeypatch.setattr(run_directory, "LOOK", 0.2)
    assert run(teacher_experiment(), tmp_path, wait=True)


def test_who_lost_its_run_to_another_host_writes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "LEASE", 1.5)
    lease = tmp_path / "run" / "lease"

    class Robbed(Clips):
        def batch(self, samples: Any) -> Any:
            if steps_done(tmp_path) == 2 and "elsewhere" not in lease.read_text():
                lease.unlink()
                elsewhere(lease)
                time.sleep(2)  # as if this process had been suspended: it notices when it next touches the lease
            return super().batch(samples)

    with pytest.raises(SaltError, match="has taken this run over"):
        run(teacher_experiment(train__checkpoint_every=1), tmp_path, Robbed())
    assert steps_done(tmp_path) == 2
    assert "elsewhere" in lease.read_text()


def test_a_run_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaltError, match=r"file/run: cannot be used as a run directory"):
        run(teacher_experiment(), tmp_path / "file")


def test_another_configuration_on_the_same_run_is_refused_by_key(tmp_path: Path) -> None:
    run(experiment(train__iterations=1), tmp_path)
    for changes, message in (
        ({"objectives__sc": {"weight": 0.5}}, "objectives.sc.weight (there 1.0, now 0.5)"),
        ({"objectives__sc": None}, "objectives.sc.weight (there 1.0, now null)"),
        ({"train__optimiser": {"lr": 0.1}}, "train.optimiser.lr (there 0.001, now 0.1)"),
    ):
        with pytest.raises(SaltError) as caught:
            run(experiment(train__iterations=1, **changes), tmp_path)
        assert message in str(caught.value)
        assert "train.batch_size" not in str(caught.value)
    with pytest.raises(SaltError, match=r"seed \(there 0, now 1\)"):
        run(experiment(train__iterations=1), tmp_path, seed=1)


def test_what_does_not_change_the_weights_may_change(tmp_path: Path) -> None:
    assert run(experiment(), tmp_path)
    shutil.rmtree(tmp_path / "out")
    assert run(experiment(title="Another", train__checkpoint_every=1), tmp_path)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    run(teacher_experiment(train__iterations=9), tmp_path)
    names = [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert names == ["step_000008", "step_000009"]


def test_half_written_checkpoints_do_not_count_and_are_cleared(tmp_path: Path) -> None:
    setting = teacher_experiment()
    half = tmp_path / "run" / "checkpoints" / ".step_000002.tmp"
    half.mkdir(parents=True)
    (half / "state.safetensors").write_bytes(b"half")
    run(setting, tmp_path)
    assert not half.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_continues(small_disk: Path, tmp_path: Path) -> None:
    setting = teacher_experiment(train__preview_every=3)
    ballast = small_disk / "ballast"

    class FillingClips(Clips):
        def batch(self, samples: Any) -> Any:
            if samples[0] == 4 * 2:  # the third update: the checkpoint of step 2 is written
                free = shutil.disk_usage(small_disk).free
                ballast.write_bytes(bytes(free - 20_000))
            return super().batch(samples)

    with pytest.raises(SaltError) as caught:
        run(setting, small_disk, FillingClips())
    checkpoints = small_disk / "run" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["step_000002"]
    assert "step_000004: the checkpoint could not be written" in str(caught.value)
    assert f"the last whole checkpoint is {checkpoints / 'step_000002'}" in str(caught.value)
    ballast.unlink()
    run(setting, small_disk)
    run(setting, tmp_path / "unbroken")
    assert sha256(small_disk / "out" / WEIGHTS) == sha256(tmp_path / "unbroken" / "out" / WEIGHTS)


def test_too_little_memory_is_reported_with_what_takes_less_and_the_run_continues(tmp_path: Path) -> None:
    setting = teacher_experiment(train__recompute=True)

    class Greedy(Clips):
        def batch(self, samples: Any) -> Any:
            if samples[0] == 4 * 3:
                torch.empty(1 << 55)
            return super().batch(samples)

    message = r"run: out of memory; .* train\.precision=bfloat16, train\.accumulate above 1, "
    with pytest.raises(
        SaltError, match=message + r"train\.shard=true, train\.context_parallel above 1, or on a larger"
    ):
        run(setting, tmp_path, Greedy())
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step_000002"]
    run(setting, tmp_path)
    run(setting, tmp_path / "unbroken")
    assert sha256(tmp_path / "out" / WEIGHTS) == sha256(tmp_path / "unbroken" / "out" / WEIGHTS)


def test_a_finished_run_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    setting, data = teacher_experiment(), Clips()
    run(setting, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with caplog.at_level("INFO"):
        assert not run(setting, tmp_path, data)
    assert f"{tmp_path / 'out'}: complete, nothing to do" in caplog.text
    assert data.asked == []
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_damaged_or_lost_weights_are_exported_again_without_training(tmp_path: Path) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    finished = sha256(tmp_path / "out" / WEIGHTS)
    (tmp_path / "out" / WEIGHTS).write_bytes(b"damaged")
    data = Clips()
    assert run(setting, tmp_path, data)
    assert data.asked == []
    assert sha256(tmp_path / "out" / WEIGHTS) == finished


def test_provenance_names_everything(tmp_path: Path) -> None:
    setting = teacher_experiment()
    run(setting, tmp_path)
    known = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert known["weights"] == {name: sha256(tmp_path / "out" / name) for name in ("config.json", WEIGHTS)}
    assert known["experiment"] == setting.model_dump(mode="json")
    assert (known["seed"], known["iterations"]) == (0, 4)
    assert known["versions"]["torch"] == torch.__version__
    assert known["seconds"] >= 0
    assert {"training_hash", "git", "inputs", "finished"} <= known.keys()
