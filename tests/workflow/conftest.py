"""Runs Snakemake as a user does, with a `salt` command that only notes how it was called and leaves its outputs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Snakemake = Callable[..., subprocess.CompletedProcess[str]]

FAKE_SALT = """#!/usr/bin/env bash
set -euo pipefail
echo "$1 $2" >> "$CALLS"
if [ -n "${SPANS:-}" ]; then
    case " $* " in
        *" --device cuda "*)
            begun=$(date +%s.%N); sleep 0.5
            echo "$begun $(date +%s.%N)" >> "$SPANS" ;;
    esac
fi
verb=$1
name=$2
if [ "$verb" = "${FAILING:-}" ]; then
    echo "12:00:00 step 3/8, dmd/loss 1.2, 4 s left"
    echo "salt: the disk is full; accepted: a larger one"
    exit 2
fi
if [ "$verb" = "${STOPPED_AT:-}" ]; then kill -INT $PPID; sleep 1; exit 75; fi
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2 ;;
        --run-dir) run_dir=$2 ;;
    esac
    shift
done
case $verb in
    train)
        mkdir -p "$run_dir" && touch "$run_dir/checkpoint"
        if [ "$name" = "${INTERRUPTED:-}" ]; then exit 75; fi
        mkdir -p "$out" && date +%N > "$out/provenance.json" ;;
    ode-pairs | latents) mkdir -p "$out" && date +%N > "$out/index.json" ;;
    teacher) mkdir -p "$out" && date +%N > "$out/provenance.json" ;;
    sample) mkdir -p "$out" && date +%N > "$out/manifest.json" ;;
    score)
        stem=${out%.csv}
        date +%N > "$out" && date +%N > "${stem%_scores}_prompts.csv.gz" ;;
    table) touch "$out/$name".{csv,md,tex} ;;
    figure) touch "$out/$name".{png,pdf} ;;
    claims) touch "$out"/claims.{csv,md} ;;
    clips) touch "$out"/clips.{webp,json} ;;
    defect) date +%N > "$out" && date +%N > "${out%_defect.csv}_trajectory.csv" ;;
    *) date +%N > "$out" ;;
esac
"""


def workflow_in(folder: Path) -> Snakemake:
    """`snakemake WORDS` in a copy of the workflow there that has run nothing yet; `calls` lists the calls of `salt`."""
    for name in ("workflow", "experiments"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "slurm", folder, follow_symlinks=False)
    salt = folder / "bin" / "salt"
    salt.parent.mkdir()
    salt.write_text(FAKE_SALT)
    salt.chmod(0o755)
    return snakemake_in(folder)


def snakemake_in(folder: Path) -> Snakemake:
    """The same in a folder that has such a copy."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SALT_")}
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": path, "PYTHONPATH": str(ROOT), "SALT_ROOT": str(folder), "CALLS": str(folder / "calls")}

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", *words]
        everything = inherited | ours | environment
        return subprocess.run(
            command,
            cwd=folder,
            env=everything,
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )

    return run


@pytest.fixture
def snakemake(tmp_path: Path) -> Snakemake:
    """Snakemake in a copy of the workflow in `tmp_path`."""
    return workflow_in(tmp_path)
