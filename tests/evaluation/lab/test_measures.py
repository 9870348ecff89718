"""Each measure against an independent route: scipy, brute force over all pairs, closed forms, known faults."""

from collections.abc import Callable
from math import log, pi, sqrt

import numpy as np
import pytest
import torch
from scipy.stats import rice, wasserstein_distance
from torch import Tensor

from salt.data.exact import chain_modes
from salt.evaluation.lab.measures import (
    chain_nll,
    chunk_measures,
    cross_step,
    distances,
    energy_distance,
    mixture_measures,
    mode_shares,
    nll,
    residual,
    rice_mean,
    sliced_w1,
    sorted_projections,
    step_defects,
    turn_tv,
)
from salt.evaluation.lab.truth import (
    CaptionTruth,
    PlaneMixture,
    caption_truths,
    chunk_truth,
    directions_of,
    sample_captions,
    sample_chains,
)
from salt.flow.semigroup import semigroup_defect
from salt.models.exact import ExactTeacher
from support.exact_worlds import chain, exact

DIRECTIONS = directions_of(16)
N = 2000
WORLD = exact().world
LEFT = caption_truths(WORLD)[0]
Q = LEFT.mixture.quantiles(DIRECTIONS, N)


@pytest.fixture(scope="module")
def x() -> Tensor:
    """Three members' samples of the truth of the first caption."""
    return sample_captions(WORLD, [0, 1, 2], N)[0]


def measured(x: Tensor, truth: CaptionTruth = LEFT) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in mixture_measures(x, truth, DIRECTIONS, Q).items()}


# --------------------------------------------------------------------------------------------- distances
def test_sliced_w1_is_scipys_against_a_large_sample_of_the_truth(x: Tensor) -> None:
    moved = x * 1.2 + 0.1
    many = sample_captions(WORLD, [9], 100_000)[0][0].numpy()
    found = sliced_w1(sorted_projections(moved, DIRECTIONS), Q)
    for member in range(3):
        expected = [wasserstein_distance(moved[member].numpy() @ u, many @ u) for u in DIRECTIONS.numpy()]
        assert float(found[member]) == pytest.approx(float(np.mean(expected)), abs=2e-3)


def _brute_energy(x: Tensor, y: Tensor) -> float:
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def test_the_energy_distance_is_that_over_all_pairs(randn: Callable[..., Tensor]) -> None:
    x, y, directions = randn(2, 300, 2) * 0.5 + 0.3, randn(300, 2), directions_of(64)
    found = energy_distance(sorted_projections(x, directions), sorted_projections(y[None], directions)[:, 0])
    expected = [_brute_energy(one, y) for one in x]
    assert found.tolist() == pytest.approx(expected, rel=2e-3)


def test_the_energy_distance_to_quantiles_is_that_to_a_large_sample(x: Tensor) -> None:
    moved = x[:1] + 0.3
    many = sample_captions(WORLD, [9], 8000)[0][0]
    found = float(energy_distance(sorted_projections(moved, DIRECTIONS), Q)[0])
    assert found == pytest.approx(_brute_energy(moved[0], many), rel=0.03)


def test_distances_of_a_shifted_and_of_a_scaled_gaussian() -> None:
    """Along u a shift d has W = |<d, u>|, a scale c has W1 = |c - 1| s sqrt(2 / pi) and W2 = |c - 1| s."""
    gaussian = PlaneMixture(torch.ones(1).double(), torch.zeros(1, 2).double(), 0.25 * torch.eye(2).double()[None])
    half = torch.special.ndtri((torch.arange(1, 41).double() - 0.5) / 40) * 0.5
    x = torch.cartesian_prod(half, half)[None]  # a symmetric grid: close to the Gaussian
    q = gaussian.quantiles(DIRECTIONS, x.shape[1])
    shift = torch.tensor([0.6, -0.8]).double()
    along = (DIRECTIONS @ shift).abs()
    moved = distances(x + shift, DIRECTIONS, q)
    assert float(moved["sliced_w1"]) == pytest.approx(float(along.mean()), rel=0.01)
    assert float(moved["sliced_w2"]) == pytest.approx(float(along.square().mean().sqrt()), rel=0.01)
    wide = distances(1.5 * x, DIRECTIONS, q)
    assert float(wide["sliced_w1"]) == pytest.approx(0.25 * sqrt(2 / pi), rel=0.03)
    assert float(wide["sliced_w2"]) == pytest.approx(0.25, rel=0.05)


def test_quantiles_themselves_are_at_distance_zero() -> None:
    projected = Q[:, None]
    assert float(sliced_w1(projected, Q)) == 0
    assert float(energy_distance(projected, Q)) == pytest.approx(0, abs=1e-12)


# --------------------------------------------------------------------------------------------- modes and style
def test_the_truth_is_right_in_every_measure(x: Tensor) -> None:
    for name, expected, within in (
        ("sliced_w1", 0, 0.04),
        ("sliced_w2", 0, 0.15),
        ("energy_distance", 0, 0.004),
        ("mode_tv", 0, 0.03),
        ("mode_entropy", 1, 0.03),
        ("spread", 1, 0.05),
        ("style_spread", 1, 0.05),
        ("style_shift", 0, 0.07),
        ("off_support", 0.001, 0.002),
        ("nll", -float(LEFT.mixture.log_density(sample_captions(WORLD, [9], 100_000)[0]).mean()), 0.08),
    ):
        assert measured(x)[name] == pytest.approx([expected] * 3, abs=within), name


def test_the_nll_of_the_truth_is_its_entropy() -> None:
    """Modes that do not overlap: the entropy of the choice and of two Gaussians of the same spreads."""
    choice = -0.65 * log(0.65) - 0.35 * log(0.35)
    expected = choice + log(2 * pi) + 1 + log(0.15 * 0.25)
    many = sample_captions(WORLD, [9], 100_000)[0]
    assert float(nll(many, LEFT.mixture)) == pytest.approx(expected, abs=0.02)


def test_a_collapsed_sample_is_one_mode_without_spread() -> None:
    found = measured(torch.tensor([-1.0, -0.5]).expand(1, N, 2))
    assert found["mode_tv"] == pytest.approx([0.35], abs=1e-6)
    for name in ("mode_entropy", "spread", "style_spread", "off_support"):
        assert found[name] == [0], name
    assert found["style_shift"] == pytest.approx([0], abs=1e-6)


def test_blur_between_futures_is_off_the_support_and_a_mode_that_is_missing_is_not_narrow(x: Tensor) -> None:
    between = torch.zeros(1, N, 2) + torch.tensor([0.0, -0.5])
    assert measured(between)["off_support"] == [1]
    one = x[:1].clone()
    one[..., 0] = -one[..., 0].abs()  # all in the mode on the left
    found = measured(one)
    assert found["mode_entropy"] == [0]
    assert found["spread"] == pytest.approx([1], abs=0.05)


def test_modes_are_named_however_far_off_a_sample_is() -> None:
    far = torch.tensor([[[1e6, 0.0], [-1e6, 0.0], [0.0, 1e8], [0.1, 3.0]]])
    assert mode_shares(far, LEFT.mixture)[0].sum() == 1
    assert torch.isfinite(mode_shares(far, LEFT.mixture)).all()


def test_spread_along_the_futures_and_along_the_style(x: Tensor) -> None:
    wide = x.clone().double()
    centre = torch.where(wide[..., 0] < 0, -1.0, 1.0)
    wide[..., 0] = centre + 1.5 * (wide[..., 0] - centre)
    wide[..., 1] = -0.5 + 0.5 * (wide[..., 1] + 0.5)
    found, plain = measured(wide), measured(x)
    assert found["spread"] == pytest.approx([1.5 * value for value in plain["spread"]], rel=0.02)
    assert found["style_spread"] == pytest.approx([0.5 * value for value in plain["style_spread"]])


@pytest.mark.parametrize(("caption", "away"), [(0, -1), (1, 1)])
def test_a_shift_of_the_style_is_positive_away_from_the_other_caption(caption: int, away: int) -> None:
    truth = caption_truths(WORLD)[caption]
    x = sample_captions(WORLD, [0], N)[caption]
    before = float(mixture_measures(x, truth, DIRECTIONS, Q)["style_shift"])
    moved = x + torch.tensor([0.0, 0.1 * away])
    assert float(mixture_measures(moved, truth, DIRECTIONS, Q)["style_shift"]) - before == pytest.approx(0.1 / 0.25)


def test_members_get_their_own_numbers(x: Tensor) -> None:
    mixed = torch.stack([x[0], x[1] * 2, x[2] + 1])
    together = measured(mixed)
    for member in range(3):
        for name, (value,) in measured(mixed[member : member + 1]).items():
            assert together[name][member] == pytest.approx(value, rel=1e-12, abs=1e-12), name


# ------------------------------------------------------------------------------------------------- paths
def test_the_defect_is_a_ratio_of_means(randn: Callable[..., Tensor]) -> None:
    x_s = randn(6, 2, 1, 1, 1)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return x * t.view(-1, 1, 1, 1, 1)

    found = step_defects(velocity, x_s, 0.8, 0.5, 0.2, members=2)
    v_s = 0.8 * x_s
    x_1, x_m = x_s - 0.6 * v_s, x_s - 0.3 * v_s
    x_2 = x_m - 0.3 * 0.5 * x_m
    error, length = ((x_1 - other).square().flatten(1).sum(1).view(2, 3) for other in (x_2, x_s))
    torch.testing.assert_close(found["defect"], error.mean(1) / length.mean(1))
    torch.testing.assert_close(found["defect_median"], semigroup_defect(x_1, x_2, x_s).view(2, 3).median(1).values)


def test_cross_step_is_a_root_mean_square() -> None:
    few, many = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    assert float(cross_step(few, many)) == pytest.approx((12.5**0.5 + 0) / 2)


# ------------------------------------------------------------------------------------------------- chains
CHAIN = chain().world


@pytest.fixture(scope="module")
def sequences() -> Tensor:
    return sample_chains(CHAIN, [0, 1], N)


def test_a_true_chain_is_right_in_every_measure(sequences: Tensor) -> None:
    for i in range(4):
        q = chunk_truth(CHAIN, i + 1).quantiles(DIRECTIONS, N)
        before = sequences[:, :, i - 1] if i else None
        found = chunk_measures(before, sequences[:, :, i], i + 1, CHAIN, DIRECTIONS, q)
        assert ("turn_tv" in found) == (i > 0)
        assert float(found["sliced_w1"].max()) < 0.05
        assert float(found["energy_distance"].max()) < 0.004
        assert found["radius"].tolist() == pytest.approx([1, 1], abs=0.02)
        assert found["residual"].tolist() == pytest.approx([1, 1], abs=0.04)


@pytest.mark.parametrize("deviation", [0.05, 0.2, 1.5])
def test_the_mean_radius_is_scipys(deviation: float) -> None:
    assert rice_mean(deviation) == pytest.approx(rice.mean(1 / deviation, scale=deviation), rel=1e-12)
    assert rice_mean(1e-3) == pytest.approx(1 + 5e-7, rel=1e-9)  # where scipy's own overflows


def test_the_joint_nll_is_that_of_all_futures(sequences: Tensor) -> None:
    x = sequences[:, :, :3]
    flat = x.transpose(2, 3).flatten(2)
    teacher, zero = ExactTeacher(chain_modes(CHAIN, 3)), torch.zeros(N).double()
    for member in range(2):
        expected = -teacher.log_density(flat[member].double(), zero, torch.ones(N, 1).double()).mean()
        torch.testing.assert_close(chain_nll(x, CHAIN)[member], expected, atol=1e-5, rtol=1e-5)


def test_turns_and_residuals_of_known_faults(sequences: Tensor) -> None:
    before = sequences[:, :, 1].double()
    c, s = float(torch.tensor(CHAIN.angle).deg2rad().cos()), float(torch.tensor(CHAIN.angle).deg2rad().sin())
    left = before @ torch.tensor([[c, s], [-s, c]]).double()
    assert turn_tv(before, left, CHAIN).tolist() == pytest.approx([0.35, 0.35])
    assert residual(before, left, CHAIN).tolist() == pytest.approx([0, 0], abs=1e-6)
    blurred = c * before  # half way between the two futures
    apart = s * before.norm(dim=-1).mean(1) / (CHAIN.spread * sqrt(pi / 2))
    torch.testing.assert_close(residual(before, blurred, CHAIN), apart)
