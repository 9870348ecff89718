"""From a network and captions to latents: guidance, the two solvers, and their random numbers.

Latents are `(B, C, T, H, W)`; grids are those of `salt.flow.grid`. Random numbers depend on (sampling seed, prompt
number, purpose, step) alone, so every method, solver and NFE starts from the same noise, in batches of any size.
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
    """A velocity network, and how it is conditioned on captions.

    Attributes:
        model: on `device`.
        text_encoder: its embeddings may be on any device.
        cfg_weight: w of the guidance; None: no guidance, as for students.
        device: where latents are computed.
        negative: the caption of the unconditional branch of guidance.
    """

    model: VelocityModel
    text_encoder: TextEncoder
    cfg_weight: float | None
    device: str = "cpu"
    negative: str = ""

    def velocity(self, captions: Sequence[str], image: FirstFrame | None = None) -> Velocity:
        """The velocity under B captions and first frames; with guidance, an evaluation calls the network twice."""
        text = self.text_encoder.encode(captions).to(self.device)
        cond = bind(self.model, text, image)
        if self.cfg_weight is None:
            return cond
        weight = self.cfg_weight
        uncond = bind(self.model, self.text_encoder.encode([self.negative]).to(self.device).expand_as(text), image)
        return lambda x_t, t: guide(cond(x_t, t), uncond(x_t, t), weight)


# ----------------------------------------------------------------------------------------- random numbers
class Draw(NamedTuple):
    """The key of one video's random numbers."""

    seed: int
    """The sampling seed."""
    prompt: int
    """The prompt's number in the list."""


BLOCK = 1 << 16
"""Step numbers reserved for each block in the stream of fresh noise: more than any NFE."""


def initial_noise(draws: Sequence[Draw], shape: Sequence[int], block: int = 0) -> Tensor:
    """x_1 of each draw, `(B, *shape)` on the CPU: the same for every method, solver and NFE.

    A video longer than in training gets one block of noise of training length after another; the first block is the
    noise of a video of training length.
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
        velocity: the velocity field, with captions bound.
        noise: `(B, C, T, H, W)`.
        grid: len(grid) is the NFE.
        solver: euler or cm.
        renoise: used by cm only.

    Raises:
        SaltError: the solver is unknown, or `grid` is not a grid.
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
    """Index in the batch of the first sample with NaN or infinity, if there is one."""
    broken = (~latents.isfinite()).flatten(1).any(1).nonzero()
    return int(broken[0]) if len(broken) else None
