"""Measures of samples against an exact truth: pure functions, one number for each member of an ensemble.

Symbols: E members, n samples of each, D directions; x `(E, n, 2)` are the samples of one caption, q `(D, n)` the exact
quantiles of the truth along each direction at (i + 1/2) / n (`salt.evaluation.lab.truth`). Lengths are in units of the
world's coordinates. `mixture_measures` and `chunk_measures` put all of them together, by the names of the records.
"""

from math import cos, log, pi, radians, sin, sqrt

import torch
from torch import Tensor
from torch.special import i0e, i1e

from salt.config.lab import Chain
from salt.evaluation.lab.truth import CaptionTruth, PlaneMixture
from salt.flow.path import Velocity, batch_time
from salt.flow.semigroup import composed_endpoint, direct_endpoint, semigroup_defect

SUPPORT = 0.999
"""The share of a mode that counts as its support."""
Numbers = dict[str, Tensor]
"""Metric -> one number for each member, `(E,)`."""


# ---------------------------------------------------------------------------------- distances of distributions
def sorted_projections(x: Tensor, directions: Tensor) -> Tensor:
    """<x, u> along each direction, in ascending order, `(D, E, n)` float64."""
    return torch.einsum("eni,di->den", x.double(), directions).sort(dim=2).values


def sliced_w1(projected: Tensor, q: Tensor) -> Tensor:
    """mean_u W1(u), with W1(u) = mean_i |x_(i) - q_i| of sorted projections; a length.

    The primary metric: its floor goes with 1 / sqrt(n), while that of W2 is blown up by errors of the modes' masses.
    """
    return (projected - q[:, None]).abs().mean((0, 2))


def sliced_w2(projected: Tensor, q: Tensor) -> Tensor:
    """sqrt(mean_u W2(u)^2), with W2(u)^2 = mean_i (x_(i) - q_i)^2 of sorted projections; a length."""
    return (projected - q[:, None]).square().mean((0, 2)).sqrt()


def energy_distance(projected: Tensor, q: Tensor) -> Tensor:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013, not its root); a length.

    In the plane |z| = pi/2 mean_u |<z, u>|, so it is pi/2 times the mean over directions of the same on the line, where
    it is 2 int (F - G)^2, the distance of Cramer. All pairs count, those of a sample with itself, too (V-statistic).
    """
    n = q.shape[1]
    values = projected.flatten(1)
    below = torch.searchsorted(q, values)
    sums = torch.cat([q.new_zeros(len(q), 1), q.cumsum(1)], dim=1)
    crossed = values * (2 * below - n) + sums[:, -1:] - 2 * sums.gather(1, below)  # sum_j |x - q_j|
    between = crossed.view_as(projected).mean(2) / n
    line = 2 * between - _mean_gap(projected) - _mean_gap(q)[:, None]
    return pi / 2 * line.mean(0)


def _mean_gap(x: Tensor) -> Tensor:
    """E|X - X'| of sorted numbers `(..., n)`: 2 / n^2 sum_i (2 i - n - 1) x_(i), i from 1."""
    n = x.shape[-1]
    ranks = 2 * torch.arange(1, n + 1, dtype=x.dtype) - n - 1
    return 2 / n**2 * (x * ranks).sum(-1)


def distances(x: Tensor, directions: Tensor, q: Tensor) -> Numbers:
    """The three of them; the samples are sorted once."""
    projected = sorted_projections(x, directions)
    return {
        "sliced_w1": sliced_w1(projected, q),
        "sliced_w2": sliced_w2(projected, q),
        "energy_distance": energy_distance(projected, q),
    }


# ---------------------------------------------------------------------------------------------- modes
def modes_of_samples(x: Tensor, mixture: PlaneMixture) -> Tensor:
    """The most probable mode of each sample, log w_k - d_k^2 / 2 - log|S_k| / 2 at its largest, `(E, n)`.

    This is the exact responsibility at t -> 0, made hard. It is defined for samples however far off, where the
    densities themselves are 0 in float64, and a sample between two modes counts for one of them.
    """
    return mixture.log_joint(x).argmax(-1)


def mode_shares(x: Tensor, mixture: PlaneMixture) -> Tensor:
    """The share of samples in each mode, `(E, M)`."""
    return _one_hot(x, mixture).mean(1)


def _one_hot(x: Tensor, mixture: PlaneMixture) -> Tensor:
    return torch.nn.functional.one_hot(modes_of_samples(x, mixture), len(mixture.weights)).double()


def mode_tv(shares: Tensor, mixture: PlaneMixture) -> Tensor:
    """1/2 sum_k |share_k - w_k|, the total variation of the modes' masses, in [0, 1]."""
    return 0.5 * (shares - mixture.weights).abs().sum(1)


def mode_entropy(shares: Tensor, mixture: PlaneMixture) -> Tensor:
    """H(shares) / H(w): 1 is right, 0 is one mode alone. Of a single mode it is 1."""
    truth = torch.special.entr(mixture.weights).sum()
    return torch.special.entr(shares).sum(1) / truth if truth > 0 else torch.ones(len(shares), dtype=torch.float64)


def spread(x: Tensor, mixture: PlaneMixture, coordinate: int) -> Tensor:
    """The standard deviation within modes over the truth's, along the coordinate of the futures; 1 is right.

    sqrt(sum_k share_k var_k / sum_k share_k s_k^2): each mode about the mean of its own samples, so that a shifted mode
    is not a wide one, and compared in the samples' own shares, so that a mode that is missing is not a narrow one.
    """
    member = _one_hot(x, mixture)
    value = x[..., coordinate].double()[..., None]
    number = member.sum(1).clamp(min=1)
    centred = value - ((member * value).sum(1) / number)[:, None]
    own = (member * centred.square()).sum((1, 2))
    return (own / (member.sum(1) @ mixture.covariances[:, coordinate, coordinate])).sqrt()


def off_support(x: Tensor, mixture: PlaneMixture) -> Tensor:
    """The share of samples beyond the .999 quantile of chi^2 (2 degrees) of every mode's squared Mahalanobis distance,
    -2 log .001.

    Of the truth it is .001 at most: samples between the futures, in none of them, and samples far from all.
    """
    limit = -2 * log(1 - SUPPORT)
    return (mixture.distances(x).amin(-1) > limit).double().mean(1)


def nll(x: Tensor, mixture: PlaneMixture) -> Tensor:
    """-mean log p(x) under the truth, in nats; low is too narrow, high is off the data."""
    return -mixture.log_density(x).mean(1)


# ---------------------------------------------------------------------------------------------- style
def style_spread(x: Tensor, truth: CaptionTruth) -> Tensor:
    """The standard deviation of the style over the truth's; 1 is right, less is what guidance does."""
    return x[..., truth.style].double().std(1) / truth.mixture.deviation[truth.style]


def style_shift(x: Tensor, truth: CaptionTruth) -> Tensor:
    """(mean style - the truth's) / its standard deviation, positive away from the other captions: saturation."""
    shift = x[..., truth.style].double().mean(1) - truth.mixture.mean[truth.style]
    return truth.away * shift / truth.mixture.deviation[truth.style]


def mixture_measures(x: Tensor, truth: CaptionTruth, directions: Tensor, q: Tensor) -> Numbers:
    """Everything of one caption; `q` is what the distances are to, all others are relative to the plain truth."""
    shares = mode_shares(x, truth.mixture)
    return distances(x, directions, q) | {
        "mode_tv": mode_tv(shares, truth.mixture),
        "mode_entropy": mode_entropy(shares, truth.mixture),
        "spread": spread(x, truth.mixture, truth.futures),
        "style_spread": style_spread(x, truth),
        "style_shift": style_shift(x, truth),
        "off_support": off_support(x, truth.mixture),
        "nll": nll(x, truth.mixture),
    }


# ---------------------------------------------------------------------------------------------- paths
def step_defects(velocity: Velocity, x_s: Tensor, t_s: float, t_m: float, t_e: float, members: int) -> Numbers:
    """Eq. (16) on one interval, from states `(E * n, ...)` of a path.

    `defect` is mean |x_1 - x_2|^2 / mean |x_1 - x_s|^2, a ratio of means: the mean of Eq. (16)'s ratios is that of the
    few samples which hardly move. `defect_median` is the median of the ratios. Neither has a unit.
    """
    v_s = velocity(x_s, batch_time(t_s, x_s))
    x_1 = direct_endpoint(x_s, v_s, t_s, t_e)
    x_2 = composed_endpoint(velocity, x_s, v_s, t_s, t_m, t_e)
    error, length = (
        (x_1 - other).double().square().flatten(1).sum(1).view(members, -1).mean(1) for other in (x_2, x_s)
    )
    ratios = semigroup_defect(x_1, x_2, x_s).double().view(members, -1)
    return {"defect": error / length, "defect_median": ratios.median(1).values}


def cross_step(few: Tensor, many: Tensor) -> Tensor:
    """The mean over samples of the RMS over coordinates between the samples of nfe / 2 and nfe steps; a length.

    As `cross_step` in `salt.evaluation.diagnostics.defect`; both `(E, n, 2)` are made from the same noise.
    """
    return (few.double() - many.double()).square().mean(2).sqrt().mean(1)


# ---------------------------------------------------------------------------------------------- chains
def futures(before: Tensor | None, like: Tensor, world: Chain) -> Tensor:
    """Where the next chunk may lie after the chunk `before` `(E, n, 2)`, left and right: `(2, E, n, 2)`.

    The first chunk, before which there is none, has one future, (1, 0): both are that.
    """
    if before is None:
        return like.new_tensor([1.0, 0.0]).double().expand(2, *like.shape)
    c, s = cos(radians(world.angle)), sin(radians(world.angle))
    x, y = before.double().unbind(-1)
    return torch.stack([torch.stack([c * x - k * s * y, k * s * x + c * y], dim=-1) for k in (1.0, -1.0)])


def turn_tv(before: Tensor, x: Tensor, world: Chain) -> Tensor:
    """|share that turned to the left - the truth's|; a chunk turned to where it is the more probable to have come."""
    gaps = (x.double() - futures(before, x, world)).square().sum(-1) / (2 * world.spread**2)
    left, right = (torch.tensor(weight).log() - gap for weight, gap in zip(world.weights, gaps, strict=True))
    return ((left > right).double().mean(1) - world.weights[0]).abs()


def radius(x: Tensor, chunk: int, world: Chain) -> Tensor:
    """The mean of |z_i| over the truth's, the mean of a Rice distribution with spread sqrt(i) about 1; 1 is right."""
    return x.double().norm(dim=-1).mean(1) / rice_mean(world.spread * sqrt(chunk))


def rice_mean(deviation: float) -> float:
    """E|z| of z ~ N((1, 0), deviation^2 I): deviation sqrt(pi / 2) L_{1/2}(-h) of Laguerre, h = 1 / (2 deviation^2)."""
    h = torch.tensor(1 / (2 * deviation**2), dtype=torch.float64)
    return deviation * sqrt(pi / 2) * float((1 + h) * i0e(h / 2) + h * i1e(h / 2))


def residual(before: Tensor | None, x: Tensor, world: Chain) -> Tensor:
    """The mean distance to the nearer future over that of the truth, spread sqrt(pi / 2); 1 is right, more is blur."""
    gaps = (x.double() - futures(before, x, world)).norm(dim=-1).amin(0)
    return gaps.mean(1) / (world.spread * sqrt(pi / 2))


def chain_nll(x: Tensor, world: Chain) -> Tensor:
    """-mean log p(z_1, ..., z_T) of whole sequences `(E, n, T, 2)`, in nats.

    A chain is Markov: log p(z_1) + sum_i log sum_b P_b N(z_i; R_b z_(i-1), spread^2 I).
    """
    shares = torch.tensor(world.weights, dtype=torch.float64).log()[:, None, None]
    total = torch.zeros(x.shape[:2], dtype=torch.float64)
    for i in range(x.shape[2]):
        means = futures(x[:, :, i - 1] if i else None, x[:, :, i], world)
        distance = (x[:, :, i].double() - means).square().sum(-1) / world.spread**2
        total += (shares - 0.5 * distance).logsumexp(0)
    return -total.mean(1) + x.shape[2] * torch.tensor(2 * pi * world.spread**2).double().log()


def chunk_measures(
    before: Tensor | None, x: Tensor, chunk: int, world: Chain, directions: Tensor, q: Tensor
) -> Numbers:
    """Everything of chunk 1, 2, ... given the chunk before it; the first one has not turned."""
    apart = distances(x, directions, q)
    turned = {} if before is None else {"turn_tv": turn_tv(before, x, world)}
    return (
        {"sliced_w1": apart["sliced_w1"], "energy_distance": apart["energy_distance"]}
        | turned
        | {"radius": radius(x, chunk, world), "residual": residual(before, x, world)}
    )
