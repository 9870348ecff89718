"""Closed-form fields, captions and clips in place of networks: what the tests of sampling and diagnostics share."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from salt.config import load_experiment
from salt.config.schema import Experiment
from salt.config.world import World
from salt.evaluation.sampling.solvers import Network

LATENT = (3, 2, 4, 4)
Field = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t `(B, 1, 1, 1, 1)`, caption's number `(B, 1, 1, 1, 1)`) -> v."""


class Letters:
    """A caption becomes `(1, 2)`: a number from its letters, and 1; the empty one is zero."""

    def encode(self, captions: Sequence[str]) -> Tensor:
        return torch.tensor([[[sum(map(ord, c)) % 97 / 97, float(bool(c))]] for c in captions])


class Pictures:
    """A codec whose latents `LATENT` are a small picture, repeated in all frames."""

    def __init__(self, world: World) -> None:
        self.world = world

    def encode(self, video: Tensor) -> Tensor:
        raise AssertionError("nothing is encoded here")

    def stream(self) -> Callable[[Tensor], Tensor]:
        return self.decode

    def decode(self, latents: Tensor) -> Tensor:
        side = self.world.size // LATENT[-1]
        still = torch.sigmoid(latents[:, :, :1]).repeat_interleave(side, 3).repeat_interleave(side, 4)
        return still.expand(-1, -1, self.world.frames, -1, -1)


class Plain:
    """A codec without loss."""

    def encode(self, video: Tensor) -> Tensor:
        return video

    def stream(self) -> Callable[[Tensor], Tensor]:
        return self.decode

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def network(field: Field, cfg_weight: float | None = None) -> Network:
    """A field as a network."""

    def model(x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        assert t.shape == (len(x_t),)
        return field(x_t, t.view(-1, 1, 1, 1, 1), text[:, 0, 0].view(-1, 1, 1, 1, 1))

    return Network(model, Letters(), cfg_weight)


def small(name: str = "sc_dmd", **evaluation: Any) -> Experiment:
    """A shipped experiment at smoke scale with another evaluation."""
    experiment = load_experiment(name, "smoke")
    changed = experiment.scale.evaluation.model_copy(update=evaluation)
    return experiment.model_copy(update={"scale": experiment.scale.model_copy(update={"evaluation": changed})})
