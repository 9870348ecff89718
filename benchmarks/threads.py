"""Two trainings on two cores: side by side with one thread each, or one after the other with two.

    python benchmarks/threads.py --teacher scratch/tiny/teacher --latents scratch/tiny/latents/*

Whole processes are timed, start-up included, in turns; the ratio is that of the sums.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def begin(folder: Path, seed: int, threads: int, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """One short training."""
    words = ["train", options.experiment, "--scale", options.scale, "--seed", str(seed)]
    words += ["--teacher", options.teacher, "--latents", options.latents]
    words += ["--run-dir", str(folder / f"run{seed}"), "--out", str(folder / f"out{seed}")]
    words += ["--set", f"train.iterations={options.iterations}", "--set", f"train.threads={threads}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-c", "from salt.cli import main; main()", *words]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def finished(process: subprocess.Popen[bytes]) -> None:
    """Wait for its good end."""
    if process.wait():
        raise SystemExit(f"a training ended with code {process.returncode}: run it by hand")


def seconds(threads: int, options: argparse.Namespace) -> float:
    """Two trainings, side by side with one thread, else one after the other."""
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        jobs = []
        for seed in range(2):
            jobs.append(begin(Path(place), seed, threads, options))
            if threads > 1:
                finished(jobs[-1])
        for job in jobs:
            finished(job)
        return time.perf_counter() - begun


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="sc_dmd")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--latents", required=True)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    took = {1: 0.0, 2: 0.0}
    for _ in range(options.rounds):
        for threads in took:
            took[threads] += seconds(threads, options)
    one, two = took[1] / options.rounds, took[2] / options.rounds
    print(f"two trainings of {options.iterations} iterations: side by side, one thread each {one:.1f} s; one after the")
    print(f"other with two {two:.1f} s; the first is {one / two:.2f} of the second")


if __name__ == "__main__":
    main()
