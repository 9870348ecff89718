"""What a device reaches at most: operations a second of one large matrix product. Measured beside what is judged by it.

python benchmarks/gpu/ceiling.py --device cuda
"""

import argparse
import time
from collections.abc import Callable

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    print(f"{matmul_ceiling(parser.parse_args().device) / 1e12:.3g} TFLOP/s, bfloat16")
