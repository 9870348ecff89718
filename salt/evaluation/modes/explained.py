"""Latents explained by the modes of the world: of each sample its most probable mode, its style and what is left over.

A sample x is taken for a noised state at time `NEARLY_CLEAN`, (1 - t) x, whose posterior is exact
(`salt.models.factored`): so near the data, its most probable mode is the nearest one, whatever the style.

Symbols: B samples; K modes; R numbers of a style; distances are root mean squares over the numbers of a latent.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from salt.models.factored import FactoredModes, FactoredTeacher

NEARLY_CLEAN = 0.05
"""The time for which a sample is taken."""
HALF_WAY = 0.5
"""A sample is off the support where it is further from its mode, in any style, than this share of the distance from
there to the next mode of its caption: as far as a mean of two modes is."""
FAR = 6.0
"""Or where a number of its style is more standard deviations away: the truth is in one of 500 million samples. So the
wrong colour is not taken for a tint."""


@dataclass(frozen=True, eq=False)
class Explained:
    """B samples."""

    mode: Tensor
    """`(B,)`."""
    style: Tensor
    """z of the mode's plane nearest to the sample, in standard deviations, `(B, R)`."""
    left: Tensor
    """The distance from that plane, `(B,)`."""
    reach: Tensor
    """The distance at which a sample of its mode is off the support, `(B,)`."""

    @property
    def off_support(self) -> Tensor:
        """Whether each sample is nothing that its caption allows, `(B,)`."""
        return (self.left > self.reach) | (self.style.abs() > FAR).any(1)


@torch.no_grad()
def explain(teacher: FactoredTeacher, x: Tensor, text: Tensor) -> Explained:
    """Explain samples `(B, C, T, h, w)` by the modes that their captions `(B, L, D)` leave open.

    Raises:
        SaltError: a caption that the world has no modes for.
    """
    known = teacher.conditions.modes(text)
    found = teacher.posterior((1 - NEARLY_CLEAN) * x.double(), torch.full((len(x),), NEARLY_CLEAN), known)
    best = _last_of_largest(found.log_joint, known.sample, len(x))
    mode, axes = known.mode[best], teacher.modes.products.axes
    style = torch.einsum("brs,bs->br", axes[teacher.modes.figure[mode]], found.style[best])
    left = _rms(x.double() - teacher.modes.states(mode, style))
    return Explained(mode, style, left, HALF_WAY * _apart(teacher.modes, known.mode, known.sample, mode))


def _last_of_largest(values: Tensor, sample: Tensor, count: int) -> Tensor:
    """For each sample, the place of its largest value, `(count,)`."""
    largest = values.new_full((count,), -torch.inf).scatter_reduce_(0, sample, values, "amax")
    places = torch.arange(len(values)).masked_fill(values < largest[sample], -1)
    return places.new_full((count,), -1).scatter_reduce_(0, sample, places, "amax")


def _apart(modes: FactoredModes, every: Tensor, sample: Tensor, mode: Tensor) -> Tensor:
    """The distance from each sample's mode to the nearest other one that is open to it, without style, `(B,)`."""
    none = torch.zeros(1, modes.style.shape[2])
    distances = []
    for i, own in enumerate(mode):
        others = every[sample == i]
        others = others[others != own]
        apart = modes.states(others, none.expand(len(others), -1)) - modes.states(own[None], none)
        distances.append(_rms(apart).min())
    return torch.stack(distances)


def _rms(x: Tensor) -> Tensor:
    return x.square().flatten(1).mean(1).sqrt()
