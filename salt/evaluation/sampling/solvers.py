"""From a network and captions to latents: guidance, the two solvers, and the random numbers they start from.

Latents are `(B, C, T, H, W)`; grids are `salt.flow.grid`'s. A draw is a function of (sampling seed, prompt number,
purpose, step) alone, so every method, solver and NFE starts from the same noise, in batches of any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from salt.errors import SaltError
from salt.flow.path import Velocity, guide
from salt.flow.transport import Renoise, cm_sample, euler_sample
from salt.models.conditioning import bind
from salt.models.protocol import FirstFrame, TextEncoder, VelocityModel
from salt.streams import Streams


@dataclass(frozen=True)
class Network:
    """A velocity network and how captions reach it.

    Attributes:
        model: lies on `device`.
        text_encoder: gives embeddings on any device.
        cfg_weight: w of the guidance; None: without, as students are sampled.
        device: where latents are computed.
        negative: what guidance steers away from.
    """

    model: VelocityModel
    text_encoder: TextEncoder
    cfg_weight: float | None
    device: str = "cpu"
    negative: str = ""

    def velocity(self, captions: Sequence[str], image: FirstFrame | None = None) -> Velocity:
        """The field of B captions and first frames; with guidance each evaluation costs two calls of the network."""
        text = self.text_encoder.encode(captions).to(self.device)
        cond = bind(self.model, text, image)
        if self.cfg_weight is None:
            return cond
        weight = self.cfg_weight
        uncond = bind(self.model, self.text_encoder.encode([self.negative]).to(self.device).expand_as(text), image)
        return lambda x_t, t: guide(cond(x_t, t), uncond(x_t, t), weight)


# ----------------------------------------------------------------------------------------- random numbers
class Draw(NamedTuple):
    """What one video's random numbers are keyed by."""

    seed: int
    """The sampling seed."""
    prompt: int
    """The prompt's place in the list."""


BLOCK = 1 << 16
"""Numbers of a block's steps in the stream of fresh noise: more than any NFE."""


def initial_noise(draws: Sequence[Draw], shape: Sequence[int], block: int = 0) -> Tensor:
    """x_1 of each draw, `(B, *shape)` on the CPU: the same for every method, solver and NFE.

    A video longer than those of training is one block of their length after another; the first is their noise.
    """
    return _normal("sampling/noise", block, draws, shape)


def renoise_of(draws: Sequence[Draw], block: int = 0) -> Renoise:
    """Fresh noise for each step of the CM solver."""
    return lambda i, like: _normal("sampling/renoise", BLOCK * block + i, draws, like.shape[1:]).to(like)


def _normal(purpose: str, step: int, draws: Sequence[Draw], shape: Sequence[int]) -> Tensor:
    return torch.cat([Streams(seed).normal(purpose, step, [prompt], shape) for seed, prompt in draws])


# ------------------------------------------------------------------------------------------------ solvers
@torch.no_grad()
def trajectory(velocity: Velocity, noise: Tensor, grid: Sequence[float], solver: str, renoise: Renoise) -> list[Tensor]:
    """The len(grid) + 1 states at (*grid, 0), from `noise` to x_0.

    Args:
        velocity: the field, its captions bound.
        noise: `(B, C, T, H, W)`.
        grid: len(grid) is the NFE.
        solver: euler or cm.
        renoise: used by cm only.

    Raises:
        SaltError: another solver, or `grid` is no grid.
    """
    match solver:
        case "euler":
            return euler_sample(velocity, noise, grid, trajectory=True)
        case "cm":
            return cm_sample(velocity, noise, grid, renoise, trajectory=True)
        case _:
            raise SaltError(f"solver={solver}: accepted: euler, cm")


def generate(velocity: Velocity, noise: Tensor, grid: Sequence[float], solver: str, renoise: Renoise) -> Tensor:
    """x_0 `(B, C, T, H, W)`, the last state of `trajectory`."""
    return trajectory(velocity, noise, grid, solver, renoise)[-1]


def first_broken(latents: Tensor) -> int | None:
    """Place in the batch of the first sample with NaN or infinity, if there is one."""
    broken = (~latents.isfinite()).flatten(1).any(1).nonzero()
    return int(broken[0]) if len(broken) else None
