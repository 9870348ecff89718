"""`salt ode-pairs` by the command line: killed on the way, it goes on to the same bytes; what it refuses."""

import os
import signal
import subprocess
import sys
import time

import pytest

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


def test_an_experiment_without_pairs(salt, words, tmp_path):
    refused(
        salt, [words[0], "sc_dmd", *words[2:-4], "--out", tmp_path / "pairs"], "sc_dmd: it regresses no trajectories"
    )


def test_a_causal_teacher_needs_its_weights(salt, words, tmp_path):
    message = "causal_ode", "--weights"
    refused(salt, [words[0], "causal_ode", *words[2:], "--out", tmp_path / "pairs"], *message[1:])
