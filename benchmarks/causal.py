"""What a chunk costs with a memory: late in a video against early, and against computing the past anew.

    python benchmarks/causal.py --scale tiny --chunk 3 --window 6 --sink 3 --nfe 4

A chunk is `nfe` evaluations and a clean one that is remembered. Without a memory every evaluation runs over all frames
that the chunk may see. The three take turns, round by round, so that a busy machine slows them alike; ratios are
medians over the rounds. Latents are random and weights untrained: only shapes matter.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from salt.config import load_experiment
from salt.config.memory import Memory
from salt.config.scale import Scale
from salt.models.causal import CausalWan
from salt.models.memory import KVMemory
from salt.models.wan import build_wan

EARLY, LATE = 8, 40
"""The chunks that are compared."""


class Videos:
    """Chunks of random videos."""

    def __init__(self, scale: Scale, options: argparse.Namespace) -> None:
        self.model = CausalWan(build_wan(scale.backbone, 0).transformer.to(options.device), options.chunk)
        self.policy = Memory(window=options.window, sink=options.sink, positions="relative")
        self.rows, self.columns = scale.latent_shape[2:]
        self.batch, self.nfe, self.device = options.batch, options.nfe, options.device
        self.text = torch.randn(self.batch, scale.text.tokens, scale.backbone.text_dim, device=self.device)

    def noise(self, frames: int) -> Tensor:
        """Latents."""
        channels = self.model.transformer.config.in_channels
        return torch.randn(self.batch, channels, frames, self.rows, self.columns, device=self.device)

    def remembering(self, chunks: int) -> KVMemory:
        """A memory of so many chunks."""
        memory = self.model.open_memory(self.policy, self.batch, self.rows, self.columns)
        for _ in range(chunks):
            self.model.remember(memory, self.noise(self.model.chunk), self.text)
        return memory

    def cached(self, memory: KVMemory) -> None:
        """Make and remember the next chunk."""
        x = self.noise(self.model.chunk)
        for i in range(self.nfe):
            t = torch.full((self.batch,), 1 - i / self.nfe, device=self.device)
            x = x - self.model.step(x, t, self.text, memory.context()) / self.nfe
        self.model.remember(memory, x, self.text)

    def recomputed(self, seen: int) -> None:
        """Make a chunk after `seen` frames without a memory."""
        past, x = self.noise(seen), self.noise(self.model.chunk)
        t = torch.zeros(self.batch, 1 + seen // self.model.chunk, device=self.device)
        for i in range(self.nfe):
            t[:, -1] = 1 - i / self.nfe
            v = self.model(torch.cat([past, x], dim=2), t, self.text)
            x = x - v[:, :, -self.model.chunk :] / self.nfe

    def peak(self) -> float:
        """The most megabytes in use so far."""
        if self.device.startswith("cuda"):
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

    def milliseconds(self, work: Callable[[], None]) -> float:
        """Of one call."""
        begun = time.perf_counter()
        work()
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - begun)


@torch.no_grad()
def measure(videos: Videos, rounds: int) -> None:
    """Print a small table."""
    peaks = {}
    for chunks in (EARLY, LATE):
        memory = videos.remembering(0)
        for _ in range(chunks):
            videos.cached(memory)
        peaks[chunks] = videos.peak()
    times: dict[str, list[float]] = {name: [] for name in ("early", "late", "recomputed")}
    late, seen = memory, len(memory.frames)
    for _ in range(rounds):
        early = videos.remembering(EARLY - 1)
        times["early"].append(videos.milliseconds(lambda memory=early: videos.cached(memory)))
        times["late"].append(videos.milliseconds(lambda: videos.cached(late)))
        times["recomputed"].append(videos.milliseconds(lambda: videos.recomputed(seen)))
    names = {
        "early": f"chunk {EARLY}, {videos.nfe} + 1 evaluations",
        "late": f"chunk {LATE} and later",
        "recomputed": f"{videos.nfe} evaluations over {seen} + {videos.model.chunk} frames, no memory",
    }
    for name, told in names.items():
        ratio = statistics.median(mine / unit for mine, unit in zip(times[name], times["early"], strict=True))
        print(f"{statistics.median(times[name]):9.1f} ms  {ratio:6.3f}  {told}")
    print(f"peak {peaks[EARLY]:.0f} MB after chunk {EARLY}, {peaks[LATE]:.0f} MB after chunk {LATE}; ", end="")
    print(f"memory {late.nbytes / 2**20:.2f} MB, for {seen} frames")


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunk", type=int, default=3)
    parser.add_argument("--window", type=int, default=6, help="a multiple of the chunk")
    parser.add_argument("--sink", type=int, default=3, help="a multiple of the chunk")
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    torch.set_num_threads(1)
    measure(Videos(load_experiment("dmd_8", options.scale).scale, options), options.rounds)


if __name__ == "__main__":
    main()
