"""Exact worlds: their modes, their captions, and what networks are trained on in them.

A state is `(C, T, 1, 1)`; flat, it is the numbers of chunk 1 .. T for coordinate 1, then for coordinate 2, as
`Tensor.flatten` gives them. A caption's "embedding" is the probability of each condition (`salt.models.exact`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import cos, radians, sin

import torch
from torch import Tensor

from salt.config.files import accepted
from salt.config.lab import Chain, Exact, Mixture
from salt.errors import SaltError
from salt.flow.grid import merged_grid, time_grid
from salt.flow.path import Velocity, guide
from salt.flow.transport import euler_sample
from salt.models.exact import Modes
from salt.models.protocol import Batch, VelocityModel
from salt.streams import MemberStreams

POOL_SEED = 0
"""Seed of the noise of the trajectories that students are started with: the same for all training seeds."""


# --------------------------------------------------------------------------------------------------- modes
def modes_of(world: Mixture | Chain) -> Modes:
    """All modes of a world, of states of training length."""
    return _modes_of_mixture(world) if isinstance(world, Mixture) else chain_modes(world, world.chunks)


def _modes_of_mixture(world: Mixture) -> Modes:
    every = [list(modes) for modes in world.captions.values()]
    weights = torch.tensor([[mode.weight for mode in modes] for modes in every], dtype=torch.float64)
    means = torch.tensor([[mode.mean for mode in modes] for modes in every], dtype=torch.float64)
    spreads = torch.tensor([[mode.spread for mode in modes] for modes in every], dtype=torch.float64)
    return Modes(weights, means, torch.diag_embed(spreads))


def turns(world: Chain, chunks: int) -> tuple[Tensor, Tensor]:
    """Every future of a chain: its probability `(M,)`, and the angle by which each chunk is turned, `(M, chunks)`."""
    signs = torch.tensor(list(product((1.0, -1.0), repeat=chunks - 1)), dtype=torch.float64).reshape(-1, chunks - 1)
    left, right = world.weights
    shares = torch.where(signs > 0, signs.new_tensor(left), signs.new_tensor(right)).prod(1)  # of numbers: float32
    angles = torch.cat([torch.zeros(len(signs), 1, dtype=torch.float64), signs.cumsum(1)], dim=1)
    return shares, angles * radians(world.angle)


def chain_modes(world: Chain, chunks: int) -> Modes:
    """The modes of the first `chunks` chunks of a chain: one for each future.

    z_i turned back by its angle is (1, 0) plus the sum of i independent noises turned by some angle, which are as
    isotropic as before; so its covariance with z_j, both turned back, is spread^2 min(i, j).
    """
    shares, angles = turns(world, chunks)
    c, s = angles.cos(), angles.sin()  # (M, chunks)
    means = torch.cat([c, s], dim=1)  # coordinate 1 of all chunks, then coordinate 2
    steps = world.spread * torch.ones(chunks, chunks, dtype=torch.float64).tril()
    # z_i = R(angle_i) ((1, 0) + sum_{j <= i} spread xi_j): two numbers xi_j for each j
    factors = torch.cat(
        [
            torch.cat([c[:, :, None] * steps, -s[:, :, None] * steps], dim=2),
            torch.cat([s[:, :, None] * steps, c[:, :, None] * steps], dim=2),
        ],
        dim=1,
    )
    return Modes(shares[None], means[None], factors[None])


# ------------------------------------------------------------------------------------------------ captions
@dataclass(frozen=True)
class Captions:
    """A `TextEncoder`: the probability of each condition, given a caption."""

    names: tuple[str, ...]

    def encode(self, captions: Sequence[str]) -> Tensor:
        """N captions -> `(N, 1, C)`; the empty caption leaves the condition open.

        Raises:
            SaltError: a caption that the world has no modes for.
        """
        rows = [self._row(caption) for caption in captions]
        return torch.tensor(rows, dtype=torch.float32)[:, None]

    def _row(self, caption: str) -> list[float]:
        if caption == "":
            return [1 / len(self.names)] * len(self.names)
        if caption not in self.names:
            raise SaltError(f"caption {caption!r}: the world has no modes for it; {accepted(caption, self.names)}")
        return [float(name == caption) for name in self.names]


def captions_of(world: Mixture | Chain) -> Captions:
    """The captions of a world; a chain has one, which says nothing."""
    return Captions(tuple(world.captions) if isinstance(world, Mixture) else ("chain",))


# ------------------------------------------------------------------------------------------- training data
@dataclass(frozen=True)
class ExactData:
    """Samples of a world, drawn afresh for every update and every member of an ensemble."""

    exact: Exact
    streams: MemberStreams

    def batch(self, samples: Sequence[int]) -> Batch:
        """`(E * len(samples), C, T, 1, 1)` and captions; a function of the seeds and of the first number."""
        modes, captions = modes_of(self.exact.world), captions_of(self.exact.world)
        condition = self.streams.integers("data/caption", 0, samples, len(captions.names))
        u = self.streams.uniform("data/mode", 0, samples)
        noise = self.streams.normal("data/noise", 0, samples, modes.factors.shape[3:])
        x_0 = modes.sample(condition, draw_mode(modes, condition, u), noise)
        text = torch.eye(len(captions.names))[condition][:, None]
        return Batch(x_0.view(-1, *self.exact.world.latent_shape), text, captions.encode([""]), tuple(samples))


def draw_mode(modes: Modes, condition: Tensor, u: Tensor) -> Tensor:
    """A mode for each condition `(B,)`, by its weight, from a uniform number."""
    bounds = modes.weights.cumsum(1)[condition]
    return (u.double()[:, None] > bounds[:, :-1]).sum(1)


@dataclass(frozen=True)
class ExactPairs:
    """Trajectories of a teacher from noise to data, from which every member draws its own."""

    states: Tensor
    """`(P, S, C, T, 1, 1)` at the levels of T_train and 0; of a causal teacher the clean clips come last once more."""
    text: Tensor
    empty: Tensor
    streams: MemberStreams

    def batch(self, samples: Sequence[int]) -> Batch:
        """Trajectories of a common pool; `x_0` is the clip on which those of a causal teacher are conditioned."""
        rows = self.streams.integers("data/pair", 0, samples, len(self.states))
        states = self.states[rows]
        return Batch(states[:, -1], self.text[rows], self.empty, tuple(samples), states)


@torch.no_grad()
def pairs_of(
    exact: Exact,
    teacher: VelocityModel,
    times: Sequence[float],
    shift: float,
    solver_steps: int,
    cfg_weight: float,
    streams: MemberStreams,
) -> ExactPairs:
    """Trajectories of the guided exact teacher: `exact.pool` of them, captions in turn.

    Args:
        exact: the world.
        teacher: its exact teacher.
        times: T_train, at which states are kept.
        shift: of the solver's grid.
        solver_steps: Euler steps, besides those that end at `times` off their grid.
        cfg_weight: w of the guidance.
        streams: by which members draw from the pool.
    """
    captions, shape = captions_of(exact.world), exact.world.latent_shape
    text = captions.encode([captions.names[i % len(captions.names)] for i in range(exact.pool)])
    empty = captions.encode([""])
    noise = MemberStreams([POOL_SEED]).normal("pairs/noise", 0, range(exact.pool), shape)
    path = _states(guided_teacher(teacher, text, empty, cfg_weight), noise, times, time_grid(solver_steps, shift))
    return ExactPairs(torch.stack(path, dim=1), text, empty, streams)


def _states(velocity: Velocity, noise: Tensor, times: Sequence[float], solver: Sequence[float]) -> list[Tensor]:
    """At `times` and 0, of Euler's path on the grid `solver`, which stops at every one of them."""
    grid = merged_grid(solver, times)
    path = euler_sample(velocity, noise, grid, True)
    return [*(path[grid.index(t)] for t in times), path[-1]]


def guided_teacher(teacher: VelocityModel, text: Tensor, empty: Tensor, cfg_weight: float) -> Velocity:
    """The field of a guided teacher; unguided it is asked once."""
    if cfg_weight == 1:
        return lambda x_t, t: teacher(x_t, t, text)
    none = empty.expand_as(text)
    return lambda x_t, t: guide(teacher(x_t, t, text), teacher(x_t, t, none), cfg_weight)


class CausalTeacher(torch.nn.Module):
    """The exact velocity of a chain's chunk given the clean chunk before it; of all chunks of a clip at once.

    The chunk after z is R(+-angle) z plus noise: two Gaussians, which are evaluated about z as it is.
    """

    def __init__(self, world: Chain) -> None:
        super().__init__()
        self._world = world

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor) -> Tensor:
        """`(B, 2, T, 1, 1)`, t `(B,)`, a caption, clean clips -> v of every chunk given the clean one before it."""
        before = clean[:, :, :-1].flatten(2).double()  # (B, 2, T - 1)
        x, time = x_t.flatten(2).double(), t.double()[:, None, None]
        spread, share = self._world.spread, torch.tensor(self._world.weights, dtype=torch.float64).log()
        variance = (1 - time).square() * spread**2 + time.square()
        first = torch.tensor([1.0, 0.0], dtype=torch.float64)[None, :, None].expand(len(x), 2, 1)
        c, s = cos(radians(self._world.angle)), sin(radians(self._world.angle))
        turned = [
            torch.cat(
                [
                    first,
                    torch.stack([c * before[:, 0] - k * s * before[:, 1], k * s * before[:, 0] + c * before[:, 1]], 1),
                ],
                2,
            )
            for k in (1.0, -1.0)
        ]
        means = torch.stack(turned)  # (2, B, 2, T)
        centred = x - (1 - time) * means
        logits = share[:, None, None] - centred.square().sum(2) / (2 * variance[:, 0])
        weights = logits.softmax(0)[:, :, None]
        x_0 = (weights * (means + (1 - time) * spread**2 / variance * centred)).sum(0)
        return ((x - x_0) / time).view_as(x_t).to(x_t.dtype)


@torch.no_grad()
def causal_pairs_of(
    exact: Exact, times: Sequence[float], shift: float, solver_steps: int, streams: MemberStreams
) -> ExactPairs:
    """The same of the exact causal teacher of a chain, every chunk given the clean one before it."""
    world = exact.world
    if not isinstance(world, Chain):
        raise SaltError("trajectories of a causal teacher: accepted: the world of kind chain")
    captions, modes = captions_of(world), modes_of(world)
    pool, every = MemberStreams([POOL_SEED]), range(exact.pool)
    condition = torch.zeros(exact.pool, dtype=torch.int64)
    mode = draw_mode(modes, condition, pool.uniform("pairs/mode", 0, every))
    drawn = modes.sample(condition, mode, pool.normal("pairs/data", 0, every, modes.factors.shape[3:]))
    clean = drawn.view(-1, *world.latent_shape)
    text = captions.encode(["chain"] * exact.pool)
    noise = pool.normal("pairs/noise", 0, every, world.latent_shape)
    velocity = partial(_given, CausalTeacher(world), text, clean)
    path = _states(velocity, noise, times, time_grid(solver_steps, shift))
    return ExactPairs(torch.stack([*path, clean], dim=1), text, captions.encode([""]), streams)


def _given(teacher: CausalTeacher, text: Tensor, clean: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    return teacher(x_t, t, text, clean)
