"""What a device reaches at most: operations a second of one large matrix product. Measured beside what is judged by it.

python benchmarks/gpu/ceiling.py --device cuda
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SIDE = {"cuda": 8192, "cpu": 1024}


def seconds_of(work: Callable[[], object], device: str, rounds: int) -> float:
    """Of one call, the mean of so many after one that does not count."""
    work()
    finish(device)
    begun = time.perf_counter()
    for _ in range(rounds):
        work()
    finish(device)
    return (time.perf_counter() - begun) / rounds


def finish(device: str) -> None:
    """Wait for what was asked of a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def matmul_ceiling(device: str, dtype: torch.dtype = torch.bfloat16, rounds: int = 10) -> float:
    """Operations a second of a square product in `dtype`."""
    side = SIDE[torch.device(device).type]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: a @ b, device, rounds)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Of one device."""
    return {"ceiling_tflops": matmul_ceiling(options.device) / 1e12, "precision": "bfloat16"}


def told(measured: Callable[[argparse.Namespace], dict[str, Any]], parser: argparse.ArgumentParser) -> None:
    """Measure as the command line says, print what was found as JSON, and write it to `--json FILE`."""
    parser.add_argument("--json", type=Path, help="write it there as well")
    options = parser.parse_args()
    text = json.dumps(measured(options), indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    told(measure, parser)
