"""From an experiment's section `rollout` to samples of the student: which rollout, and what it is called with.

Symbols: T_train has |T_train| levels; a rollout runs on T^(K), every level of which is one of T_train, since K divides
|T_train|. All draws are functions of (seed, role, iteration, sample): noise is the same for rollouts of every K, and so
is fresh noise where their grids meet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, distributed

from salt.config.rollout import History
from salt.config.schema import Causal, Experiment
from salt.errors import SaltError
from salt.flow.grid import Warp, time_grid
from salt.flow.path import MeanVelocity
from salt.methods.draws import Draws
from salt.models.conditioning import bind
from salt.models.protocol import Batch
from salt.rollout import (
    Sample,
    autoregressive,
    backward_simulation,
    by_chunk,
    flow_map_simulation,
    fold_chunks,
    noised_data,
    unfold_chunks,
)


@dataclass(frozen=True, eq=False)
class RolloutOutput:
    """What a student made of a batch."""

    sample: Sample
    """Its evaluations; of every chunk by itself where chunks have times of their own."""
    x_0: Tensor
    """Whole clips `(B, C, T, H, W)`, with the gradient of the evaluations."""
    steps: int
    """K of the rollout."""


class Rollout(Protocol):
    """Makes the samples that are judged."""

    kind: ClassVar[str]
    """Its name in the section `rollout`."""

    def __call__(self, batch: Batch, step: int, role: str) -> RolloutOutput:
        """What the student makes of a batch in an iteration, for the update of `role`."""
        ...

    def reference(self, batch: Batch, step: int, role: str, output: RolloutOutput, steps: int) -> Tensor:
        """x_0 of a rollout of K = `steps` that leaves at the same t_s as `output`, from the same noise; a constant.

        Raises SaltError where rollouts are always of |T_train| steps, so that there is no denser one.
        """
        raise SaltError(f"rollout.kind={self.kind} has no reference of K={steps}; accepted: autoregressive")


@dataclass(frozen=True)
class NoisedData(Rollout):
    """`rollout.kind: noised_data`."""

    kind: ClassVar[str] = "noised_data"
    model: Any
    grid: Sequence[float]
    causal: Causal | None
    draws: Draws
    last: float = 0.0
    clean: bool = False

    def __call__(self, batch: Batch, step: int, role: str) -> RolloutOutput:
        """Every sample, or every chunk of a causal student, at its own t_s; at level 0 x_0 is the data, a constant."""
        frames = batch.x_0.shape[2]
        chunk = frames if self.causal is None else self.causal.chunk
        number = frames // chunk
        velocity = bind(self.model, batch.text, batch.image)
        if self.causal is not None:
            velocity = by_chunk(velocity, number, chunk)
        levels = (*self.grid, 0.0) if self.clean else self.grid
        index = self.draws.exits(self.last, role, batch, step, len(levels), number)
        noise = self.draws.normal(f"{role}/noise", batch, step)
        sample = noised_data(velocity, fold_chunks(batch.x_0, chunk), levels, fold_chunks(noise, chunk), index)
        return RolloutOutput(sample, unfold_chunks(sample.x_0, number), len(self.grid))


@dataclass(frozen=True)
class BackwardSimulation(Rollout):
    """`rollout.kind: backward_simulation`."""

    kind: ClassVar[str] = "backward_simulation"
    model: Any
    grid: Sequence[float]
    draws: Draws
    last: float = 0.0

    def __call__(self, batch: Batch, step: int, role: str) -> RolloutOutput:
        """Every sample at its own t_s, on the student's own path."""
        index = self.draws.exits(self.last, role, batch, step, len(self.grid))
        noise = self.draws.normal(f"{role}/noise", batch, step)
        velocity = bind(self.model, batch.text, batch.image)
        renoise = partial(_renoise, self.draws, batch, step, role, 1)
        sample = backward_simulation(velocity, noise, self.grid, index, renoise, max_over_ranks(int(index.max())))
        return RolloutOutput(sample, sample.x_0, len(self.grid))


@dataclass(frozen=True)
class FlowMapSimulation(Rollout):
    """`rollout.kind: flow_map`."""

    kind: ClassVar[str] = "flow_map"
    model: Any
    grid: Sequence[float]
    draws: Draws
    last: float = 0.0

    def __call__(self, batch: Batch, step: int, role: str) -> RolloutOutput:
        """Every sample by way of its own t_s, in three steps."""
        index = self.draws.exits(self.last, role, batch, step, len(self.grid))
        noise = self.draws.normal(f"{role}/noise", batch, step)
        velocity = bind(self.model, batch.text, batch.image)
        if not isinstance(velocity, MeanVelocity):
            raise SaltError(f"rollout.kind={self.kind}: the network takes one time; accepted: one of two (flow_map)")
        sample = flow_map_simulation(velocity, noise, self.grid, index)
        return RolloutOutput(sample, sample.x_0, len(self.grid))


@dataclass(frozen=True)
class Autoregressive(Rollout):
    """`rollout.kind: autoregressive`: one K and one exit for a whole update (Self Forcing; Salt's released trainer)."""

    kind: ClassVar[str] = "autoregressive"
    model: Any
    causal: Causal
    law: dict[int, float]
    """K -> how often."""
    history: History | None
    levels: int
    """|T_train|."""
    warp: Warp
    draws: Draws
    last: float = 0.0
    carry: bool = False

    def __call__(self, batch: Batch, step: int, role: str) -> RolloutOutput:
        """Mixed-step rollout: K is drawn, then its exit."""
        steps = self._draw_steps(self.draws.shared(f"{role}/steps", batch, step))
        exit_at = int(self.draws.shared(f"{role}/exit", batch, step) * steps)
        if self.last and self.draws.shared(f"{role}/last", batch, step) < self.last:
            exit_at = steps - 1
        return self.run(batch, step, role, steps, exit_at)

    def run(self, batch: Batch, step: int, role: str, steps: int, exit_at: int) -> RolloutOutput:
        """A rollout of K = `steps` that every chunk leaves at T^(K)[exit_at]."""
        size, _, frames, height, width = batch.x_0.shape
        clips, text_before = self._history(batch, step, role)
        judged_from = clips * frames
        memory = self.model.open_memory(self.causal.memory, size, height, width, judged_from + frames)
        index = torch.full((size,), exit_at, device=batch.x_0.device)

        def clipwise(draw: Callable[[str], Tensor]) -> Tensor:
            """Of all clips; the judged one, which comes last, is named as where there is no history."""
            return torch.cat([draw(f"{role}/history{i}") for i in range(clips)] + [draw(role)], dim=2)

        sample = autoregressive(
            self.model,
            memory,
            lambda start: text_before if start < judged_from else batch.text,
            clipwise(lambda name: self.draws.normal(f"{name}/noise", batch, step)),
            time_grid(steps, self.warp),
            index,
            lambda i, like: clipwise(
                lambda name: _renoise(self.draws, batch, step, name, self.levels // steps, i, like)
            ),
            judged_from,
            self.carry,
        )
        return RolloutOutput(sample, sample.x_0, steps)

    def _history(self, batch: Batch, step: int, role: str) -> tuple[int, Tensor]:
        """How many clips come before the judged one, and the captions that condition them."""
        if self.history is None:
            return 0, batch.text
        clips = int(self.draws.shared(f"{role}/clips", batch, step) * (self.history.clips + 1))
        switched = self.draws.shared(f"{role}/switch", batch, step) < self.history.switch
        if not switched:
            return clips, batch.text
        assert batch.text_before is not None  # a LatentBank, the only source of clips to distil on, gives it
        return clips, batch.text_before

    @torch.no_grad()
    def reference(self, batch: Batch, step: int, role: str, output: RolloutOutput, steps: int) -> Tensor:
        """See `Rollout`; it has a memory of its own."""
        exit_at = int(output.sample.index[0]) * steps // output.steps
        return self.run(batch, step, role, steps, exit_at).x_0

    def _draw_steps(self, u: float) -> int:
        for steps, share in sorted(self.law.items()):  # the order in which a file gives them means nothing
            u -= share
            if u < 0:
                return steps
        return steps


def build_rollout(experiment: Experiment, model: Any, draws: Draws) -> Rollout:
    """The rollout that an experiment asks for, of a student."""
    levels, warp = experiment.grid.train_steps, experiment.grid.warp
    rollout, causal = experiment.rollout, experiment.causal
    if rollout.kind == "autoregressive" and causal is not None:
        law = rollout.steps or {levels: 1.0}
        carry = rollout.cache_gradient == "exit"
        return Autoregressive(model, causal, law, rollout.history, levels, warp, draws, rollout.last, carry)
    grid = time_grid(levels, warp)
    if rollout.kind == "backward_simulation":
        return BackwardSimulation(model, grid, draws, rollout.last)
    if rollout.kind == "flow_map":
        return FlowMapSimulation(model, grid, draws, rollout.last)
    return NoisedData(model, grid, causal, draws, rollout.last, rollout.clean)


def max_over_ranks(value: int) -> int:
    """The largest of a number over all processes: those that share their weights must ask networks equally often."""
    if not distributed.is_initialized():
        return value
    agreed = torch.tensor(value)
    distributed.all_reduce(agreed, distributed.ReduceOp.MAX)
    return int(agreed)


def _renoise(draws: Draws, batch: Batch, step: int, role: str, stride: int, i: int, like: Tensor) -> Tensor:
    """Fresh noise with which level i of T^(K) is left; named by the level of T_train before the one it leads to.

    So rollouts of all K reach a level that they share with the same fresh noise.
    """
    return draws.normal(f"{role}/renoise{(i + 1) * stride - 1}", batch, step)
