"""Intervals against simulated methods whose true difference is known, and the degenerate cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from salt.errors import SaltError
from salt.report.statistics import (
    PromptScores,
    halves_interval,
    holm,
    minimum_detectable_difference,
    paired_interval,
    prompt_scores,
    seed_interval,
    two_sided_p,
)

TRUE = 0.3


def identity(means: np.ndarray) -> np.ndarray:
    return means


def made(values: np.ndarray, name: str = "method", first_prompt: int = 0) -> PromptScores:
    seeds, prompts, _, dimensions = values.shape
    names = [f"p{first_prompt + i}" for i in range(prompts)]
    return prompt_scores(name, range(seeds), names, [f"d{i}" for i in range(dimensions)], values)


def simulated(
    rng: np.random.Generator, seeds: int, captions: float, training: float, both: float
) -> tuple[PromptScores, PromptScores]:
    """Two methods over 100 captions of very different difficulty; the deviations are those of the difference."""
    shape = (seeds, 100, 1, 1)
    difficulty = 3 * rng.normal(size=(1, *shape[1:]))
    effect = TRUE + captions * rng.normal(size=(1, *shape[1:])) + training * rng.normal(size=(seeds, 1, 1, 1))
    noise = both / np.sqrt(2)
    return (
        made(difficulty + effect + noise * rng.normal(size=shape)),
        made(difficulty + noise * rng.normal(size=shape), "baseline"),
    )


@pytest.mark.parametrize(
    ("seeds", "captions", "training", "both"),
    [
        (1, 0.5, 0.0, 1.0),
        (2, 0.5, 0.1, 1.0),
        (2, 0.0, 0.1, 0.01),
        (3, 0.5, 0.0, 0.01),
        (3, 0.0, 0.1, 0.01),
        (3, 0.0, 0.0, 1.0),
    ],
)
def test_intervals_cover_the_truth_as_often_as_they_say(seeds, captions, training, both):
    rng = np.random.default_rng(5)
    repeats = 300
    intervals = [
        paired_interval(*simulated(rng, seeds, captions, training, both), identity, resamples=200)[0]
        for _ in range(repeats)
    ]
    hits = sum(i.low <= TRUE <= i.high for i in intervals)
    assert stats.binomtest(hits, repeats, 0.95, alternative="less").pvalue > 1e-3, hits / repeats
    true_error = np.sqrt(captions**2 / 100 + training**2 / seeds + both**2 / seeds / 100)
    found = np.sqrt(np.mean([i.standard_error**2 for i in intervals]))
    assert true_error / 1.15 < found < 1.3 * true_error


def test_one_seed_misses_training_variance_and_says_so():
    rng = np.random.default_rng(1)
    intervals = [paired_interval(*simulated(rng, 1, 0.0, 0.3, 0.5), identity, resamples=100)[0] for _ in range(100)]
    assert {i.covers for i in intervals} == {"captions"}
    assert sum(i.low <= TRUE <= i.high for i in intervals) < 60


def test_pairing_uses_that_both_answer_the_same_captions():
    method, baseline = simulated(np.random.default_rng(2), 2, 0.1, 0.0, 0.1)
    (paired,) = paired_interval(method, baseline, identity)
    (alone,) = paired_interval(method, None, identity)
    assert paired.standard_error < alone.standard_error / 5


def test_estimate_is_the_mean_over_videos_of_scored_captions():
    values = np.full((1, 4, 2, 2), np.nan)
    values[0, :, :, 0] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    values[0, 2:, :, 1] = [[1, np.nan], [0, 0]]
    assert made(values).means().tolist() == [[4.5, 1 / 3]]


def test_captions_are_resampled_within_groups_that_score_the_same_dimensions():
    """Two groups far apart: only the spread inside each matters, with the classical stratified variance."""
    rng = np.random.default_rng(3)
    values = np.full((1, 60, 1, 2), np.nan)
    values[0, :, 0, 0] = np.where(np.arange(60) < 30, 100.0, 0.0) + rng.normal(size=60)
    values[0, :30, 0, 1] = 1.0
    interval, _ = paired_interval(made(values), None, identity, resamples=20000)
    halves = values[0, :, 0, 0].reshape(2, 30)
    expected = np.sqrt((halves.var(axis=1, ddof=1) / 30).sum()) / 2
    assert interval.standard_error == pytest.approx(expected, rel=0.03)


def test_one_caption_bounds_nothing():
    (interval,) = paired_interval(made(np.ones((3, 1, 1, 1))), None, identity)
    assert (interval.low, interval.high, interval.bounded) == (-np.inf, np.inf, False)


def test_captions_alone_in_their_group_still_carry_variance():
    values = np.full((1, 3, 1, 3), np.nan)
    values[0, [0, 1, 2], 0, [0, 1, 2]] = 1.0
    values[0, :, 0, 0] = [0.0, 1.0, 2.0]
    (first, *_) = paired_interval(made(values), None, lambda means: means[..., :1])
    assert first.standard_error > 0.3


def test_identical_methods_differ_by_exactly_nothing():
    method, _ = simulated(np.random.default_rng(0), 2, 0.5, 0.1, 0.5)
    (interval,) = paired_interval(method, method, identity)
    assert (interval.low, interval.estimate, interval.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([np.nan, 1.0]), r"seed 0, prompt 'p0': every dimension is empty"),
        (np.array([np.inf, 1.0]), r"an infinite value"),
    ],
)
def test_values_that_are_no_scores_are_refused(values, message):
    with pytest.raises(SaltError, match=message):
        made(values.reshape(1, 2, 1, 1))


def test_a_dimension_nobody_scores_is_refused():
    values = np.ones((1, 2, 1, 2))
    values[..., 1] = np.nan
    with pytest.raises(SaltError, match=r"no video is scored on d1"):
        paired_interval(made(values), None, identity)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (made(np.ones((2, 4, 1, 1)), "other", first_prompt=1), "prompts"),
        (made(np.ones((3, 4, 1, 1)), "other"), "seeds"),
        (made(np.ones((2, 4, 1, 2)), "other"), "dimensions"),
    ],
)
def test_methods_that_cannot_be_paired_are_refused(other, what):
    with pytest.raises(SaltError, match=f"method and other cannot be paired: their {what} differ"):
        paired_interval(made(np.ones((2, 4, 1, 1))), other, identity)


def test_seed_interval_is_student_t():
    values, baseline = [1.0, 1.4, 1.9], [0.8, 0.9, 1.5]
    interval = seed_interval(values, baseline)
    expected = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert not seed_interval([1.0]).bounded
    for bad in ([], [1.0, np.nan]):
        with pytest.raises(SaltError, match="not finite"):
            seed_interval(bad)
    with pytest.raises(SaltError, match="2 values against 1"):
        seed_interval([1.0, 2.0], [1.0])


def test_halves_interval_is_welchs():
    one, other = np.array([1.0, 2.0, 4.0, 3.5]), np.array([2.0, 2.2, 1.9])
    interval = halves_interval(one, other, level=0.999)
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.999)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.estimate == pytest.approx(one.mean() - other.mean())
    assert not halves_interval([1.0], other).bounded
    assert halves_interval([1.0, 1.0], [1.0, 1.0]).low == 0.0
    with pytest.raises(SaltError, match="no value on one side"):
        halves_interval([], other)


def test_two_sided_p_is_that_of_students_t_and_its_interval_agrees():
    values = [0.3, 0.1, 0.4, 0.2]
    interval = seed_interval(values)
    assert two_sided_p(interval) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    edge = seed_interval(np.array(values) - interval.low)
    assert two_sided_p(edge) == pytest.approx(0.05)
    assert two_sided_p(seed_interval([0.3])) == 1.0
    assert two_sided_p(seed_interval([0.3, 0.3])) == 0.0
    assert two_sided_p(seed_interval([0.0, 0.0])) == 1.0


def test_holm_against_a_hand_computed_example():
    # sorted .005 .01 .03 .04 -> times 4 3 2 1: .02 .03 .06 .04, and none below one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]).size == 0


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12), alpha=st.floats(0.001, 0.2))
def test_holm_rejects_what_stepping_down_rejects(p, alpha):
    order, rejected = np.argsort(p, kind="stable"), np.zeros(len(p), dtype=bool)
    for rank, place in enumerate(order):
        if p[place] * (len(p) - rank) > alpha:
            break
        rejected[place] = True
    assert (holm(p) <= alpha).tolist() == rejected.tolist()


def test_minimum_detectable_difference_is_found_with_the_stated_power():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(400, 12))
    detectable = minimum_detectable_difference(seed_interval(values[0]), power=0.8)
    shift = detectable / seed_interval(values[0]).standard_error / np.sqrt(12)
    found = [seed_interval(v + shift).low > 0 for v in values]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
