"""What one iteration (a generator update and its critic updates) costs, and where the time goes.

    python benchmarks/step_cost.py dmd_8 sc_dmd --scale tiny --iterations 20

The experiments take turns, iteration by iteration, so that a busy machine slows them alike; the first is the unit of
the others. Latents and embeddings are random: only their shapes matter.
"""

import argparse
import copy
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from salt.config import Experiment, load_experiment
from salt.methods import Streams, build_method
from salt.models.protocol import Batch
from salt.models.wan import build_wan
from salt.training.loop import Job, iterate
from salt.training.state import TrainState


class Clock:
    """Seconds by name; nested names count for the inner one only."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[str] = []
        self._since = 0.0

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count the time of the block under `name`."""
        self._switch()
        self._open.append(name)
        yield
        self._switch()
        self._open.pop()

    def wrap(self, owner: Any, attribute: str, name: str | Callable[[], str]) -> None:
        """Count the calls of `owner.attribute`."""
        original = getattr(owner, attribute)

        def timed(*arguments: Any, **options: Any) -> Any:
            with self.measure(name if isinstance(name, str) else name()):
                return original(*arguments, **options)

        setattr(owner, attribute, timed)


class RandomClips:
    """Random latents and embeddings of a scale's shapes."""

    def __init__(self, experiment: Experiment) -> None:
        scale = experiment.scale
        side = scale.world.size // scale.codec.stride
        self.latent = (scale.backbone.in_channels, 1 + (scale.world.frames - 1) // 4, side, side)
        self.text = (scale.text.tokens, scale.backbone.text_dim)

    def batch(self, samples: Sequence[int]) -> Batch:
        """Fresh random numbers."""
        n = len(samples)
        return Batch(
            torch.randn(n, *self.latent), torch.randn(n, *self.text), torch.zeros(1, *self.text), tuple(samples)
        )


class Run:
    """One experiment with a clock in every part."""

    def __init__(self, experiment: Experiment) -> None:
        self.clock = Clock()
        streams = Streams(0)
        for draw in ("normal", "uniform", "integers"):
            self.clock.wrap(streams, draw, "random streams")
        teacher = build_wan(experiment.scale.backbone, 0)
        generator = copy.deepcopy(teacher)
        method = build_method(experiment, generator, teacher, streams)
        self.job = Job(method, RandomClips(experiment), experiment.train, Path("unused"))
        self.state = TrainState(method.trainable, experiment.train)
        self.clock.wrap(teacher, "forward", "teacher forward")
        for role, network in method.trainable.items():
            self.clock.wrap(network, "forward", forward_name(role))
            self.clock.wrap(self.state.optimisers[role][0], "step", "optimiser")
        self.totals: list[float] = []
        self.role = ""
        original = method.loss

        def loss(role: str, batch: Batch, step: int) -> Any:
            self.role = role
            return original(role, batch, step)

        vars(method)["loss"] = loss

    def step(self) -> None:
        """One iteration, timed."""
        backward = torch.autograd.backward
        self.clock.wrap(torch.autograd, "backward", lambda: f"{self.role} backward")
        begun = time.perf_counter()
        with self.clock.measure("rest"):
            iterate(self.job, self.state)
            self.state.ema.update(self.state.networks["generator"], self.state.step)
        self.totals.append(time.perf_counter() - begun)
        torch.autograd.backward = backward


def forward_name(role: str) -> Callable[[], str]:
    """Tells evaluations with gradients from those without."""
    return lambda: f"{role} forward, {'with' if torch.is_grad_enabled() else 'without'} gradient"


def main() -> None:
    """Print a table of milliseconds per iteration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = {name: Run(load_experiment(name, options.scale)) for name in options.experiments}
    for iteration in range(options.iterations + 1):
        for run in runs.values():
            run.step()
            if iteration == 0:  # warm-up
                run.totals.clear()
                run.clock.seconds.clear()
    unit = next(iter(runs.values())).totals
    for name, run in runs.items():
        ratios = [mine / theirs for mine, theirs in zip(run.totals, unit, strict=True)]
        print(
            f"{name}: {1e3 * statistics.median(run.totals):.1f} ms an iteration, "
            f"{statistics.median(ratios):.3f} of {options.experiments[0]}"
        )
        for part, seconds in run.clock.seconds.most_common():
            share = seconds / sum(run.totals)
            print(f"    {1e3 * seconds / options.iterations:8.1f} ms  {share:5.1%}  {part}")


if __name__ == "__main__":
    main()
