"""`salt ode-pairs` by the command line: killed on the way, it goes on to the same bytes; what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from salt.streams import Streams
from support.chain import refused

MANY = ["--set", "pairs.count=64", "--set", "pairs.shard_size=2"]


@pytest.fixture
def words(made):
    """The command; `--out` is to follow."""
    return ["ode-pairs", "ode_init", "--scale", "smoke", "--teacher", made.teacher, "--latents", made.latents, *MANY]


def test_a_killed_command_goes_on_to_the_same_bytes(salt, words, root, tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    environment = os.environ | {"SALT_ROOT": str(root), "GIT_DIR": str(root)}
    command = [sys.executable, "-c", "from salt.cli import main; main()", *map(str, [*words, "--out", broken])]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while len(list(broken.glob("shard_*"))) < 2 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had more to do"
    done = {path.name: path.stat().st_mtime_ns for path in broken.glob("shard_*.safetensors")}
    assert 2 <= len(done) < 32
    assert not (broken / "index.json").exists(), "nobody takes a part for the whole"
    assert salt(*words, "--out", broken).code == 0
    assert salt(*words, "--out", whole).code == 0
    assert {path.name: path.read_bytes() for path in broken.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    kept = [name for name, written in done.items() if (broken / name).stat().st_mtime_ns == written]
    assert len(kept) >= len(done) - 1, "only a shard whose hash was not written down yet is made again"


def test_states_are_kept_at_levels_of_the_students_own(salt, words, tmp_path):
    """Those of the teacher's path on its shifted grid, which stops at the levels besides."""
    levels = (1.0, 0.757, 0.522)
    grid = ["grid.steps=3", "grid.train_steps=3", f"grid.levels={list(levels)}", "pairs.count=2"]
    own, out = [*words, *(word for key in grid for word in ("--set", key))], tmp_path / "pairs"
    answer = salt(*own, "--out", out)
    assert answer.code == 0, answer.err
    about = json.loads((out / "index.json").read_text())["about"]
    assert (about["times"], about["shift"], about["solver_steps"]) == ([*levels, 0.0], 3.0, 8)
    states = load_file(next(out.glob("shard_*.safetensors")))["latents"]
    assert len(states) == 2
    assert states.shape[1] == 4
    noise = Streams(0).normal("pairs/noise", 0, range(2), states.shape[2:])
    torch.testing.assert_close(states[:, 0], noise.half())
    assert (states[:, 1] - states[:, 0]).abs().max() > 0.01


def test_an_experiment_without_pairs(salt, words, tmp_path):
    refused(
        salt, [words[0], "sc_dmd", *words[2:-4], "--out", tmp_path / "pairs"], "sc_dmd: it regresses no trajectories"
    )


def test_a_causal_teacher_needs_its_weights(salt, words, tmp_path):
    message = "causal_ode", "--weights"
    refused(salt, [words[0], "causal_ode", *words[2:], "--out", tmp_path / "pairs"], *message[1:])
