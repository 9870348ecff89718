"""The workflow itself killed at random moments, its jobs left to themselves, and begun again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.blocks import ROOT
from support.fault_runs import contents
from support.fault_stages import make_root

SEED, KILLS = 18, 6
MADE = ("results/smoke/tables", "results/smoke/records")


def snakemake(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Begun in a repository of its own, with the real `salt`."""
    ours = {"PYTHONPATH": str(ROOT), "SALT_ROOT": str(folder), "GIT_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SALT_")}
    command = [sys.executable, "-m", "snakemake", *words, "--cores", "2", "--config", "scale=smoke", "seeds=1"]
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(command, cwd=folder, env=inherited | ours, stdout=said, stderr=said)


def repository(folder: Path) -> Path:
    folder.mkdir()
    make_root(folder)
    return folder


def test_a_killed_workflow_ends_as_an_unbroken_one(tmp_path: Path, soak: bool) -> None:
    if not soak:
        pytest.skip("minutes: make soak")
    unbroken, broken = repository(tmp_path / "unbroken"), repository(tmp_path / "broken")
    begun = time.monotonic()
    assert snakemake(unbroken, "table4").wait() == 0, (unbroken / "said").read_text()
    seconds = time.monotonic() - begun
    rng, killed = random.Random(SEED), 0
    for number in range(KILLS):
        process = snakemake(broken, "table4")
        time.sleep(rng.random() * seconds * 2 / KILLS)  # what is done stays done, so that each gets on by its share
        process.send_signal(signal.SIGTERM if number % 3 == 2 else signal.SIGKILL)
        killed += process.wait() != 0
        assert snakemake(broken, "--unlock").wait() == 0
    assert killed
    assert snakemake(broken, "table4").wait() == 0, (broken / "said").read_text()
    assert contents(broken, MADE) == contents(unbroken, MADE)
