"""The truth of an exact world in the plane: its densities, and its quantiles along directions, without any sample.

Symbols: M modes, D directions, n levels. A Gaussian mixture in the plane, seen along a direction u, is a Gaussian
mixture on the line with means <m_k, u> and variances u^T S_k u, whose quantiles a bisection finds in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor

from salt.config.lab import Chain, Exact, Mixture
from salt.data.exact import captions_of, chain_modes, draw_mode, guided_teacher, modes_of
from salt.digest import json_digest
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.models.exact import ExactTeacher, Modes
from salt.streams import MemberStreams

REFERENCE_SEED = 0
"""Of the noise from which the guided teacher makes its reference samples."""
REFERENCE_SAMPLES = 8
"""Reference samples for each sample that is measured."""
BISECTIONS = 52
"""They narrow a bracket of a few units down to the spacing of float64."""
Row = tuple[float, ...]
Rows = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class PlaneMixture:
    """A mixture of Gaussians in the plane; all tensors are float64.

    Attributes:
        weights: `(M,)`, adding up to 1.
        means: `(M, 2)`.
        covariances: `(M, 2, 2)`, none of them flat.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def mean(self) -> Tensor:
        """E[x], `(2,)`."""
        return self.weights @ self.means

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of each coordinate, over all modes, `(2,)`."""
        within = self.covariances.diagonal(dim1=1, dim2=2)
        return (self.weights @ (within + (self.means - self.mean).square())).sqrt()

    def distances(self, x: Tensor) -> Tensor:
        """The squared Mahalanobis distance to each mode, `(..., 2)` -> `(..., M)`."""
        centred = x.double()[..., None, :] - self.means
        return torch.einsum("...mi,mij,...mj->...m", centred, torch.linalg.inv(self.covariances), centred)

    def log_joint(self, x: Tensor) -> Tensor:
        """The log of the weight of each mode times its density, `(..., 2)` -> `(..., M)`."""
        volume = torch.linalg.slogdet(self.covariances).logabsdet
        return self.weights.log() - 0.5 * (self.distances(x) + volume + 2 * log(2 * pi))

    def log_density(self, x: Tensor) -> Tensor:
        """The log of p(x), `(..., 2)` -> `(...)`."""
        return self.log_joint(x).logsumexp(-1)

    def posterior_mean(self, x: Tensor, t: float) -> Tensor:
        """E[x_0 | x_t = x] at one time for all, `(B, 2)` -> `(B, 2)`; as `ExactTeacher`, but quicker."""
        clean, flat = 1 - t, t**2 * torch.eye(2, dtype=torch.float64)
        precision = torch.linalg.inv(clean**2 * self.covariances + flat)
        gain = clean * self.covariances @ precision
        root = torch.linalg.cholesky(precision)
        weight = torch.cat([root, gain.mT], dim=2).to(x)  # (M, 2, 4): whitened, and the mean within the mode
        rest = torch.cat([torch.zeros_like(self.means), self.means], dim=1)[:, None].to(x)
        rest = rest - clean * self.means[:, None].to(x) @ weight
        found = torch.baddbmm(rest, x.expand(len(weight), -1, -1), weight)
        constant = (self.weights.log() + 0.5 * torch.linalg.slogdet(precision).logabsdet).to(x)
        share = (constant[:, None] - 0.5 * found[..., :2].square().sum(2)).softmax(0)
        return (share[..., None] * found[..., 2:]).sum(0)

    def along(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the modes along unit vectors `(D, 2)`, each `(D, M)`."""
        variances = torch.einsum("di,mij,dj->dm", directions, self.covariances, directions)
        return directions @ self.means.T, variances.sqrt()

    def cdf(self, directions: Tensor, x: Tensor) -> Tensor:
        """P(<X, u> <= x) along each direction, x `(D, n)` -> `(D, n)`."""
        return _cdf(self.weights, *self.along(directions), x)

    def quantiles(self, directions: Tensor, n: int) -> Tensor:
        """The quantiles of <X, u> at (i + 1/2) / n, i = 0 .. n - 1, along each direction, `(D, n)`; kept."""
        means, deviations = self.along(directions)
        return _quantiles(tuple(self.weights.tolist()), _rows(means), _rows(deviations), n)


def _rows(x: Tensor) -> Rows:
    return tuple(map(tuple, x.tolist()))


def _cdf(weights: Tensor, means: Tensor, deviations: Tensor, x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for weight, mean, deviation in zip(weights, means.T, deviations.T, strict=True):
        total += weight * torch.special.ndtr((x - mean[:, None]) / deviation[:, None])
    return total


@lru_cache(maxsize=64)
def _quantiles(weights: Row, means: Rows, deviations: Rows, n: int) -> Tensor:
    share, mean, deviation = (torch.tensor(value, dtype=torch.float64) for value in (weights, means, deviations))
    level = ((torch.arange(n, dtype=torch.float64) + 0.5) / n).expand(len(mean), n)
    low = (mean - 10 * deviation).amin(1, keepdim=True).expand(-1, n)
    high = (mean + 10 * deviation).amax(1, keepdim=True).expand(-1, n)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = _cdf(share, mean, deviation, middle) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def directions_of(number: int) -> Tensor:
    """Unit vectors at the angles pi i / number, evenly over half a circle, `(number, 2)` float64."""
    angles = torch.arange(number, dtype=torch.float64) * pi / number
    return torch.stack([angles.cos(), angles.sin()], dim=1)


# ------------------------------------------------------------------------------------------------ mixtures
@dataclass(frozen=True, eq=False)
class CaptionTruth:
    """What a caption of a mixture stands for.

    Attributes:
        caption: its name.
        mixture: its modes.
        style: the coordinate that is its style.
        away: +1 or -1, the sense along the style in which other captions are left behind; 0: theirs is the same.
    """

    caption: str
    mixture: PlaneMixture
    style: int
    away: float

    @property
    def futures(self) -> int:
        """The coordinate of the futures that a caption leaves open: the other one."""
        return 1 - self.style


def caption_truths(world: Mixture) -> list[CaptionTruth]:
    """The truth of each caption, in the world's order.

    Raises:
        SaltError: the world is not in the plane.
    """
    if (size := world.latent_shape[0]) != 2:
        raise SaltError(f"exact.world: states of {size} numbers; accepted: 2, since measures are of the plane")
    modes = modes_of(world)
    mixtures = [_marginal(modes, condition, [0, 1]) for condition in range(len(world.captions))]
    styles = torch.stack([mixture.mean[world.style] for mixture in mixtures])
    others = (styles.sum() - styles) / max(len(styles) - 1, 1)
    away = torch.sign(styles - others) if len(styles) > 1 else torch.zeros(1)
    return [
        CaptionTruth(caption, mixture, world.style, float(sign))
        for caption, mixture, sign in zip(world.captions, mixtures, away, strict=True)
    ]


def chunk_truth(world: Chain, chunk: int) -> PlaneMixture:
    """The marginal of chunk 1, 2, ... of a chain. Futures that turn as often to the left as others are one mode."""
    chunks = max(chunk, 2)
    one = _marginal(chain_modes(world, chunks), 0, [chunk - 1, chunks + chunk - 1])
    keys = torch.cat([one.means, one.covariances.flatten(1)], dim=1).mul(1e9).round()
    _, place = keys.unique(dim=0, return_inverse=True)
    first = torch.stack([(place == group).nonzero()[0, 0] for group in range(int(place.max()) + 1)])
    weights = torch.zeros(len(first), dtype=torch.float64).index_add(0, place, one.weights)
    return PlaneMixture(weights, one.means[first], one.covariances[first])


def _marginal(modes: Modes, condition: int, coordinates: Sequence[int]) -> PlaneMixture:
    factors = modes.factors[condition][:, list(coordinates)]
    return PlaneMixture(
        modes.weights[condition].double(), modes.means[condition][:, list(coordinates)], factors @ factors.mT
    )


# ------------------------------------------------------------------------------------------- truth samples
def sample_captions(world: Mixture, seeds: Sequence[int], n: int) -> list[Tensor]:
    """Samples of each caption for each seed, n of them, `(E, n, 2)`, by streams that no arm uses."""
    modes, streams = modes_of(world), MemberStreams(seeds)
    return [_sample(modes, condition, streams, n) for condition in range(len(world.captions))]


def sample_chains(world: Chain, seeds: Sequence[int], n: int) -> Tensor:
    """Sequences of `generated` chunks, n for each seed, `(E, n, generated, 2)`."""
    flat = _sample(chain_modes(world, world.generated), 0, MemberStreams(seeds), n)
    return flat.unflatten(2, (2, world.generated)).transpose(2, 3)


def _sample(modes: Modes, condition: int, streams: MemberStreams, n: int) -> Tensor:
    which = torch.full((len(streams.seeds) * n,), condition)
    mode = draw_mode(modes, which, streams.uniform("lab/truth/mode", condition, range(n)))
    noise = streams.normal("lab/truth/noise", condition, range(n), modes.factors.shape[3:])
    return modes.sample(which, mode, noise.double()).unflatten(0, (len(streams.seeds), n))


# ------------------------------------------------------------------------------------------------ guidance
class Guidance(NamedTuple):
    """The guided teacher that an arm imitates."""

    cfg_weight: float
    shift: float
    """Of the grid of its Euler steps."""


_references: dict[str, Tensor] = {}


@torch.no_grad()
def guided_reference(exact: Exact, caption: str, guidance: Guidance) -> Tensor:
    """Samples of the guided exact teacher, `(8 n, 2)`: `measured.teacher_nfe` Euler steps from a fixed seed; kept.

    With guidance the field is no longer that of any noised data, so that the truth has no closed form.
    """
    measured, world = exact.measured, exact.world
    number = REFERENCE_SAMPLES * measured.samples
    decides = [world.model_dump(mode="json"), caption, *guidance, measured.teacher_nfe, number]
    key = json_digest(decides)
    if key not in _references:
        captions = captions_of(world)
        text, empty = captions.encode([caption]).expand(number, -1, -1), captions.encode([""])
        noise = MemberStreams([REFERENCE_SEED]).normal("lab/reference", 0, range(number), world.latent_shape)
        velocity = guided_teacher(ExactTeacher(modes_of(world)), text, empty, guidance.cfg_weight)
        made = euler_sample(velocity, noise.double(), time_grid(measured.teacher_nfe, guidance.shift))
        _references[key] = made.flatten(1)
    return _references[key]


def guided_quantiles(exact: Exact, caption: str, guidance: Guidance, directions: Tensor) -> Tensor:
    """The quantiles of the guided teacher's samples at (i + 1/2) / n along each direction, `(D, n)`.

    Of 8 n sorted samples the two on either side of level (i + 1/2) / n are averaged.
    """
    projected = (directions @ guided_reference(exact, caption, guidance).T).sort(1).values
    blocks = projected.unflatten(1, (exact.measured.samples, REFERENCE_SAMPLES))
    half = REFERENCE_SAMPLES // 2
    return blocks[:, :, half - 1 : half + 1].mean(2)
