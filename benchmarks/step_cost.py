"""What one iteration (a generator update and its critic updates) costs, and where the time goes.

    python benchmarks/step_cost.py dmd_8 sc_dmd --scale tiny --iterations 20
    python benchmarks/step_cost.py self_forcing salt_self_forcing --iterations 40

The experiments take turns, iteration by iteration, so that a busy machine slows them alike; the first is the unit of
the others. Latents and embeddings are random: only their shapes matter. Calls are those of the networks' transformers,
per iteration: whole clips, or chunks of autoregressive students. Alignment has started. The generator's update alone is
told as well, from its loss to its optimiser.
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
from salt.methods import build_method
from salt.models.protocol import Batch
from salt.models.wan import build_wan, recompute_blocks
from salt.stages.shared.networks import as_experiment
from salt.streams import Streams
from salt.training.loop import Job, iterate
from salt.training.state import TrainState


class Clock:
    """Seconds by name; nested names count for the inner one only."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
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
        self.calls[name] += 1
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
        self.latent = scale.latent_shape
        self.text = (scale.text.tokens, scale.backbone.text_dim)

    def batch(self, samples: Sequence[int]) -> Batch:
        """Fresh random numbers."""
        n = len(samples)
        return Batch(
            torch.randn(n, *self.latent), torch.randn(n, *self.text), torch.zeros(1, *self.text), tuple(samples)
        )


class Run:
    """One experiment with a clock in every part."""

    def __init__(self, experiment: Experiment, device: str = "cpu") -> None:
        self.clock = Clock()
        streams = Streams(0)
        for draw in ("normal", "uniform", "integers"):
            self.clock.wrap(streams, draw, "random streams")
        with torch.device(device):
            teacher = build_wan(experiment.scale.backbone, 0)
        generator = as_experiment(copy.deepcopy(teacher), experiment)
        method = build_method(experiment, generator, teacher, streams)
        if experiment.train.recompute:
            for network in method.trainable.values():
                recompute_blocks(network)
        self.job = Job(method, RandomClips(experiment), experiment.train, Path("unused"), device=device)
        self.state = TrainState(method.trainable, experiment.train)
        self.clock.wrap(teacher.transformer, "forward", "teacher forward")
        for role, network in method.trainable.items():
            self.clock.wrap(network.transformer, "forward", forward_name(role))
            self.clock.wrap(self.state.optimisers[role][0], "step", "optimiser")
        align = experiment.objectives.align
        self.state.step = align.start if align else 0
        self.totals: list[float] = []
        self.generator: list[float] = []
        self.role = ""
        self.began = 0.0
        original = method.loss

        def loss(role: str, batch: Batch, step: int) -> Any:
            self._end_of_update()
            self.role, self.began = role, time.perf_counter()
            return original(role, batch, step)

        vars(method)["loss"] = loss

    def step(self) -> None:
        """One iteration, timed."""
        backward = torch.autograd.backward
        self.clock.wrap(torch.autograd, "backward", lambda: f"{self.role} backward")
        begun, self.role = time.perf_counter(), ""
        with self.clock.measure("rest"):
            iterate(self.job, self.state)
            self._end_of_update()
            self.state.ema.update(self.state.networks["generator"], self.state.step)
        self.totals.append(time.perf_counter() - begun)
        torch.autograd.backward = backward

    def _end_of_update(self) -> None:
        if self.job.device.startswith("cuda"):
            torch.cuda.synchronize()
        if self.role == "generator":
            self.generator.append(time.perf_counter() - self.began)


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
                for measured in (run.totals, run.generator, run.clock.seconds, run.clock.calls):
                    measured.clear()
    first = next(iter(runs.values()))
    for name, run in runs.items():
        print(
            f"{name}: {1e3 * statistics.mean(run.totals):.1f} ms an iteration, "
            f"{sum(run.totals) / sum(first.totals):.3f} of {options.experiments[0]}; the generator's update alone "
            f"{1e3 * statistics.mean(run.generator):.1f} ms, {sum(run.generator) / sum(first.generator):.3f}"
        )
        for part, seconds in run.clock.seconds.most_common():
            share, calls = seconds / sum(run.totals), run.clock.calls[part] / options.iterations
            print(f"    {1e3 * seconds / options.iterations:8.1f} ms  {share:5.1%}  {calls:7.1f} calls  {part}")


if __name__ == "__main__":
    main()
