"""What `first.sh` runs: each question in a process of its own, with a limit, and all answers in one JSON."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from salt.files import write_text
from salt.git import ask_git

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUDGET = 540.0
"""Seconds in all."""


def questions(tiny: bool) -> Iterator[tuple[str, list[str], float]]:
    """Name, command and limit in seconds of each, in the order of what must be known first."""
    size = ["--scale", "smoke" if tiny else "paper", "--device", "cpu" if tiny else "cuda"]
    rollout = ["rollout.py", *size, "--nfe", "4", "2", "--rounds", "2"]
    if tiny:
        rollout += ["--precision", "float32"]
    yield "ceiling", ["ceiling.py", *size[2:]], 60
    tests = ["-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", str(ROOT / "tests" / "gpu")]
    yield "tests", [*tests, *(["-k", "whole_clip"] if tiny else [])], 120
    yield "rollout", [*rollout, "--no-decode"], 90
    yield "training", ["train_step.py", "dmd_8", "sc_dmd", *size, "--iterations", "2"], 150
    yield "training_autoregressive", ["train_step.py", "self_forcing", "salt_self_forcing", *size], 150
    yield "rollout_decoded", rollout, 90
    yield "rollout_compiled", [*rollout, "--no-decode", "--compile", "eager" if tiny else "default"], 150


def answer(command: Sequence[str], limit: float) -> dict[str, Any]:
    """What one question's process says, or why it says nothing."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "answer.json")
        if command[0] == "-m":
            words = [sys.executable, *command]
        else:
            words = [sys.executable, str(HERE / command[0]), *command[1:], "--json", str(found)]
        begun = time.monotonic()
        try:
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=limit)
            code, said = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            code, said = 124, str(late)
        told: dict[str, Any] = {"seconds": round(time.monotonic() - begun, 1), "code": code}
        if command[0] == "-m":
            told |= {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said)}
        if found.is_file():
            told |= json.loads(found.read_text(encoding="utf-8"))
        if code:
            told["said"] = said.strip().splitlines()[-20:]
        return told


def main() -> int:
    """Ask them all, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with the networks of the smoke scale")
    parser.add_argument("--out", type=Path, help="the JSON; default: benchmarks/gpu/results/CARD.json")
    parser.add_argument(
        "--commit", default=ask_git(ROOT, "rev-parse", "HEAD"), help="of a copy that git knows nothing of"
    )
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        print("no GPU here; --tiny asks the same of the CPU")
        return 2
    card = "cpu" if options.tiny else torch.cuda.get_device_name(0)
    out = options.out or HERE / "results" / f"{re.sub(r'[^A-Za-z0-9]+', '_', card)}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    said: dict[str, Any] = {"device": card, "torch": torch.__version__, "commit": options.commit}
    said["cpus"] = os.cpu_count()
    begun, failed = time.monotonic(), 0
    for name, command, limit in questions(options.tiny):
        left = BUDGET - (time.monotonic() - begun)
        if left < limit / 4:
            said[name] = {"code": None, "said": f"not asked: {left:.0f} s were left"}
        else:
            said[name] = answer(command, min(limit, left))
            failed += said[name]["code"] != 0
        write_text(out, json.dumps(said, indent=1) + "\n")
        print(
            f"{time.monotonic() - begun:5.0f} s  {name}: {'answered' if said[name]['code'] == 0 else said[name]}",
            flush=True,
        )
    print(f"{out}: {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
