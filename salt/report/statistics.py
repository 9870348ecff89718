"""How far apart two methods are, and how sure that is, over captions and training seeds.

Symbols and shapes: R training seeds, P captions (prompts), D scored dimensions, M aggregates (Quality, Semantic, Total,
or single dimensions), B resamples. A score is a function of the D dimension means, `(..., D) -> (..., M)`; a dimension
mean is the mean over all videos of the captions that score the dimension, as VBench takes it.

What an interval of `paired_interval` covers:

* captions: other captions of the same kinds. Both methods answer the same captions with the same sampling seeds, so
  captions are resampled once for both. They are resampled within groups that score the same dimensions, because a
  protocol fixes how many captions each dimension has; m - 1 of m are drawn and rescaled (Rao and Wu 1988), so that
  small groups are not too sure of themselves.
* training seeds, when there are at least two: the methods are paired by seed, and the spread over seeds enters as a
  sample variance with R - 1 degrees of freedom. Resampling two or three seeds would make intervals far too narrow,
  so seeds are not resampled.
* with one training seed: captions only. Another training run may lie outside such an interval far more often than
  its level says.

Never covered: the choice of teacher, of hyper-parameters, of scorer, and the numerical differences between machines.
Nothing corrects for the number of comparisons in a table.

Captions and seeds are crossed: every seed answers every caption. With s_ab the variance that caption and seed share,
Var = Var_captions + Var_seeds - Var_both, where each term is estimated from the same caption resamples; the limits are
those of Student's t with Satterthwaite's degrees of freedom.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit  # scipy.stats takes .5 s to import

from salt.errors import SaltError

LEVEL = 0.95
RESAMPLES = 2000
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Dimension means `(..., D)` to aggregates `(..., M)`, vectorised over the leading axes."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval; unbounded where the data cannot bound it."""

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    level: float
    covers: str
    """`captions`, `training seeds` or `captions and training seeds`."""

    @property
    def bounded(self) -> bool:
        """Whether the data say anything about the spread."""
        return bool(np.isfinite(self.standard_error))

    @property
    def half(self) -> float:
        """From the estimate to either end."""
        return self.high - self.estimate


@dataclass(frozen=True)
class PromptScores:
    """Raw scores of one method: of every training seed, caption and dimension, the sum over videos and their number."""

    name: str
    seeds: tuple[int, ...]
    prompts: tuple[str, ...]
    dimensions: tuple[str, ...]
    sums: NDArray[np.float64]
    """`(R, P, D)`, 0 where nothing is scored."""
    counts: NDArray[np.float64]
    """`(R, P, D)`, number of scored videos."""

    def means(self) -> NDArray[np.float64]:
        """Dimension means of each training seed, `(R, D)`.

        Raises:
            SaltError: where no video of a seed is scored on a dimension.
        """
        counts = self.counts.sum(axis=1)
        if not counts.all():
            seed, dimension = np.argwhere(counts == 0)[0]
            raise SaltError(
                f"scores of {self.name}, seed {self.seeds[seed]}: no video is scored on {self.dimensions[dimension]}; "
                "accepted: at least one per dimension"
            )
        means: NDArray[np.float64] = self.sums.sum(axis=1) / counts
        return means


def prompt_scores(
    name: str, seeds: Sequence[int], prompts: Sequence[str], dimensions: Sequence[str], values: ArrayLike
) -> PromptScores:
    """Gather per-video values `(R, P, V, D)`; NaN where a video is not scored on a dimension.

    Raises:
        SaltError: on an infinite value, or a caption that no dimension of some seed scores.
    """
    array = np.asarray(values, dtype=np.float64)
    scored = ~np.isnan(array)
    if np.isinf(array).any():
        raise SaltError(f"scores of {name}: an infinite value; accepted: finite numbers, or empty where not scored")
    empty = ~scored.any(axis=(2, 3))
    if empty.any():
        seed, prompt = np.argwhere(empty)[0]
        raise SaltError(
            f"scores of {name}, seed {seeds[seed]}, prompt {prompts[prompt]!r}: every dimension is empty (NaN); "
            "accepted: at least one scored dimension per caption"
        )
    sums = np.where(scored, array, 0.0).sum(axis=2)
    return PromptScores(name, tuple(seeds), tuple(prompts), tuple(dimensions), sums, scored.sum(axis=2).astype(float))


# ------------------------------------------------------------------------------------------- the intervals
def paired_interval(
    method: PromptScores,
    baseline: PromptScores | None,
    statistic: Statistic,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Intervals of `statistic(method) - statistic(baseline)`, one per aggregate (M of them).

    `baseline=None` gives the intervals of the method's own scores. See the module's docstring for what they cover.

    Raises:
        SaltError: where the two have different captions, training seeds or dimensions.
    """
    pair = [method] if baseline is None else [method, baseline]
    if baseline is not None:
        _same_design(method, baseline)
    weights = _caption_weights(np.concatenate([p.counts for p in pair]), resamples)
    estimate, draws = _per_seed(method, statistic, weights)
    if baseline is not None:
        base, base_draws = _per_seed(baseline, statistic, weights)
        estimate, draws = estimate - base, draws - base_draws
    covers = "captions" if len(method.seeds) == 1 else "captions and training seeds"
    errors, degrees = _standard_errors(estimate, draws, len(method.prompts))
    means = estimate.mean(axis=0)
    return [_interval(m, e, d, level, covers) for m, e, d in zip(means, errors, degrees, strict=True)]


def seed_interval(values: ArrayLike, baseline: ArrayLike | None = None, *, level: float = LEVEL) -> Interval:
    """Student's t interval of a mean over training seeds `(R,)`, or of a difference paired by seed.

    With one seed the interval is unbounded.
    """
    difference = np.asarray(values, dtype=np.float64)
    if baseline is not None:
        if np.shape(baseline) != difference.shape:
            raise SaltError(
                f"paired seeds: {difference.size} values against {np.size(baseline)}; accepted: one of each per seed"
            )
        difference = difference - np.asarray(baseline, dtype=np.float64)
    if difference.size == 0 or not np.isfinite(difference).all():
        raise SaltError("interval over training seeds: no value, or one that is not finite")
    error = float(difference.std(ddof=1) / np.sqrt(difference.size)) if difference.size > 1 else np.inf
    return _interval(float(difference.mean()), error, max(difference.size - 1, 1), level, "training seeds")


def halves_interval(one: ArrayLike, other: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Welch's interval of a difference of two means over training seeds that are not paired.

    With fewer than two seeds on a side the interval is unbounded.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (one, other)]
    if any(side.size == 0 or not np.isfinite(side).all() for side in sides):
        raise SaltError("interval over training seeds: no value on one side, or one that is not finite")
    estimate, error, degrees = float(sides[0].mean() - sides[1].mean()), np.inf, 1.0
    if all(side.size > 1 for side in sides):
        parts = [float(side.var(ddof=1)) / side.size for side in sides]
        error = float(np.sqrt(sum(parts)))
        spread = sum(part**2 / (side.size - 1) for part, side in zip(parts, sides, strict=True))
        degrees = sum(parts) ** 2 / spread if spread else float(sum(side.size for side in sides) - 2)
    return _interval(estimate, error, degrees, level, "training seeds")


def two_sided_p(interval: Interval) -> float:
    """The p value of Student's t test that the true value is 0; 1 where nothing is known of the spread."""
    if not interval.bounded:
        return 1.0
    if interval.standard_error == 0:
        return float(interval.estimate == 0)
    return float(2 * stdtr(interval.degrees_of_freedom, -abs(interval.estimate) / interval.standard_error))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjusted p values of a family, in the order given: an adjusted p <= a controls the family's error at a.

    The smallest of m is multiplied with m, the next with m - 1, and so on; none is less than one before it, or above 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def minimum_detectable_difference(interval: Interval, power: float = 0.8) -> float:
    """The smallest true difference that such an experiment finds (interval excludes 0) with probability `power`."""
    t = stdtrit(interval.degrees_of_freedom, [0.5 + interval.level / 2, power])
    return float(t.sum() * interval.standard_error)


# ---------------------------------------------------------------------------------------------------- parts
def _interval(estimate: float, error: float, degrees: float, level: float, covers: str) -> Interval:
    half = float(stdtrit(degrees, 0.5 + level / 2)) * error if np.isfinite(error) else np.inf
    return Interval(
        float(estimate), float(estimate - half), float(estimate + half), float(error), float(degrees), level, covers
    )


def _same_design(method: PromptScores, baseline: PromptScores) -> None:
    for what, ours, theirs in (
        ("prompts", method.prompts, baseline.prompts),
        ("seeds", method.seeds, baseline.seeds),
        ("dimensions", method.dimensions, baseline.dimensions),
    ):
        if ours != theirs:
            odd = sorted({str(x) for x in ours} ^ {str(x) for x in theirs})[:3]
            raise SaltError(
                f"{method.name} and {baseline.name} cannot be paired: their {what} differ "
                f"({len(ours)} against {len(theirs)}, e.g. {odd}); accepted: the same {what} in the same order"
            )


def _caption_weights(counts: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """How often each caption counts in each resample, `(B, P)`, for counts `(methods * R, P, D)`.

    Captions that are alone in their group form a group together. The stream is fixed: the same records give the same
    digits.
    """
    rng = np.random.default_rng(0)
    weights = np.ones((resamples, counts.shape[1]))
    _, group, size = np.unique(counts.max(axis=0) > 0, axis=0, return_inverse=True, return_counts=True)
    group = np.where(size[group] == 1, -1, group)
    for g in np.unique(group):
        members = np.flatnonzero(group == g)
        m = members.size
        if m > 1:
            weights[:, members] = rng.multinomial(m - 1, np.full(m, 1 / m), size=resamples) * (m / (m - 1))
    return weights


def _per_seed(
    scores: PromptScores, statistic: Statistic, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The statistic of each training seed: as observed `(R, M)` and of each resample `(B, R, M)`."""
    sums = np.einsum("bp,rpd->brd", weights, scores.sums, optimize=True)
    counts = np.einsum("bp,rpd->brd", weights, scores.counts, optimize=True)
    with np.errstate(invalid="ignore"):
        return statistic(scores.means()), statistic(sums / counts)


def _standard_errors(
    estimate: NDArray[np.float64], draws: NDArray[np.float64], captions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard error of the mean over seeds and its degrees of freedom, `(M,)` each.

    `draws.mean(axis=1)` varies with captions and with what captions and seeds share; a single seed's draws vary with R
    times as much of the latter, which is how the shared part is told apart and counted once.
    """
    seeds = estimate.shape[0]
    by_captions = draws.mean(axis=1).var(axis=0)
    variance, degrees = by_captions, np.full(by_captions.shape, float(max(captions - 1, 1)))
    if seeds > 1:
        by_seeds = estimate.var(axis=0, ddof=1) / seeds
        shared = (draws.var(axis=0).mean(axis=0) - by_captions) / (seeds - 1)
        variance = np.maximum(by_captions + by_seeds - shared, np.maximum(by_captions, by_seeds))
        with np.errstate(invalid="ignore"):
            spread = by_seeds**2 / (seeds - 1) + by_captions**2 / degrees
            degrees = np.where(spread > 0, (by_captions + by_seeds) ** 2 / spread, degrees)
    unknown = ~np.isfinite(variance) | (captions < 2)
    return np.where(unknown, np.inf, np.sqrt(variance)), np.where(unknown, 1.0, degrees)
