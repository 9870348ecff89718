"""Samples of every member of an ensemble, from random numbers that all arms share.

Symbols: E members, n samples of each. Numbers are keyed by the member's seed and by what they are for, never by the
arm, so that arms are compared sample by sample. Fresh noise of the consistency sampler is keyed by the level that it
leads to, so that grids which share a level share its noise, as rollouts in training do.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.evaluation.sampling.solvers import generate
from salt.flow.grid import Warp, time_grid
from salt.flow.path import Velocity
from salt.flow.transport import Renoise
from salt.models.protocol import CausalModel
from salt.rollout.autoregressive import bind_context, roll
from salt.streams import MemberStreams

LEVELS = 1 << 20
"""In which levels are counted, as keys of their noise."""
BLOCK = 512
"""Samples of each member that a network is given at once: what lies between its layers fits the processor's cache."""
ONE_CHUNK = Memory(window=1)
"""All that a small causal network can remember."""
Field = Callable[[int], Velocity]
"""The number of samples in a batch, E * n -> the velocity of one caption for them."""


@dataclass(frozen=True)
class CommonNoise:
    """The random numbers of the samples of one caption.

    Attributes:
        seeds: of the members.
        n: samples of each.
        shape: of one sample, `(C, T, 1, 1)`.
        caption: its number.
    """

    seeds: tuple[int, ...]
    n: int
    shape: tuple[int, ...]
    caption: int = 0

    def initial(self) -> Tensor:
        """x_1 of every sample, `(E, n, *shape)`."""
        return self._normal("noise", 0)

    def fresh(self, nfe: int) -> list[Tensor]:
        """The noise with which step i of nfe leaves its level for the next, `(E, n, *shape)` each."""
        return [self._normal("renoise", round((i + 1) / nfe * LEVELS)) for i in range(nfe - 1)]

    def _normal(self, purpose: str, step: int) -> Tensor:
        drawn = MemberStreams(self.seeds).normal(f"lab/{purpose}/{self.caption}", step, range(self.n), self.shape)
        return drawn.unflatten(0, (len(self.seeds), self.n))

    def blocks(self) -> Iterator[slice]:
        """Places of samples that are made together."""
        yield from (slice(start, min(start + BLOCK, self.n)) for start in range(0, self.n, BLOCK))


def _renoise(fresh: Sequence[Tensor], block: slice, chunk: slice, i: int, like: Tensor) -> Tensor:
    return fresh[i][:, block, :, chunk].flatten(0, 1).to(like)


def renoise_of(fresh: Sequence[Tensor], block: slice, chunk: slice = slice(None)) -> Renoise:
    """The noise of some samples, and of some chunks of theirs, as a sampler takes it."""
    return partial(_renoise, fresh, block, chunk)


def of_members(x: Tensor, members: int) -> Tensor:
    """`(E * n, C, ...)` -> `(E, n, C, ...)`."""
    return x.unflatten(0, (members, -1))


@torch.no_grad()
def sample(field: Field, noise: CommonNoise, nfe: int, solver: str, warp: Warp) -> Tensor:
    """The samples of one caption, `(E, n, C)`, in the dtype of the field."""
    grid, start, members = time_grid(nfe, warp), noise.initial(), len(noise.seeds)
    fresh = noise.fresh(nfe) if solver == "cm" else []
    parts = []
    for block in noise.blocks():
        x = start[:, block].flatten(0, 1)
        made = generate(field(len(x)), x, grid, solver, renoise_of(fresh, block))
        parts.append(of_members(made, members))
    return torch.cat(parts, dim=1).flatten(2)


# ---------------------------------------------------------------------------------------------------- chains
@torch.no_grad()
def roll_chains(model: CausalModel, text: Tensor, noise: CommonNoise, nfe: int, solver: str, warp: Warp) -> Tensor:
    """Whole sequences, every chunk in nfe steps, `(E, n, C, T)`.

    Args:
        model: makes a chunk of one frame at a time.
        text: the caption, `(1, L, D)`.
        noise: of sequences as long as those that are made.
        nfe: evaluations of each chunk.
        solver: euler or cm.
        warp: of the grid.
    """
    grid, members = time_grid(nfe, warp), len(noise.seeds)
    start, fresh = noise.initial(), noise.fresh(nfe) if solver == "cm" else []
    parts = []
    for block in noise.blocks():
        x = start[:, block].flatten(0, 1)
        caption = text.expand(len(x), -1, -1)

        def solve(velocity: Velocity, chunk: Tensor, first: int, block: slice = block) -> Tensor:
            return generate(velocity, chunk, grid, solver, renoise_of(fresh, block, slice(first, first + 1)))

        def prompt(first: int, caption: Tensor = caption) -> Tensor:
            return caption

        memory = model.open_memory(ONE_CHUNK, len(x), 1, 1, x.shape[2])
        chunks = list(roll(model, memory, prompt, x.split(1, dim=2), solve))
        parts.append(of_members(torch.cat(chunks, dim=2), members))
    return torch.cat(parts, dim=1).flatten(3)


@torch.no_grad()
def next_chunks(
    model: CausalModel, text: Tensor, noise: CommonNoise, before: Tensor, nfe: int, solver: str, warp: Warp
) -> Tensor:
    """The chunk after given ones, in nfe steps, `(E, n, C)`: what it would be in a sequence that began with those.

    Args:
        model: as of `roll_chains`, and so are all but one of the others.
        text: the caption.
        noise: of whole sequences.
        before: the chunks in memory, `(E, n, C, T)`.
        nfe: evaluations of the chunk.
        solver: euler or cm.
        warp: of the grid.
    """
    grid, members, place = time_grid(nfe, warp), len(noise.seeds), before.shape[3]
    start, fresh = noise.initial(), noise.fresh(nfe) if solver == "cm" else []
    chunk = slice(place, place + 1)
    parts = []
    for block in noise.blocks():
        x = start[:, block, :, chunk].flatten(0, 1)
        past = before[:, block].flatten(0, 1)[..., None, None]
        caption = text.expand(len(x), -1, -1)
        memory = model.open_memory(ONE_CHUNK, len(x), 1, 1, place + 1)
        for done in past.split(1, dim=2):
            model.remember(memory, done, caption)
        velocity = bind_context(model, memory, caption)
        made = generate(velocity, x, grid, solver, renoise_of(fresh, block, chunk))
        parts.append(of_members(made, members))
    return torch.cat(parts, dim=1).flatten(2)
