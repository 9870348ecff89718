"""Exact densities and quantiles against scipy and against the exact teacher."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from salt.data.exact import captions_of, chain_modes, modes_of
from salt.errors import SaltError
from salt.evaluation.lab.truth import (
    Guidance,
    PlaneMixture,
    caption_truths,
    chunk_truth,
    directions_of,
    guided_quantiles,
    guided_reference,
    sample_captions,
    sample_chains,
)
from salt.models.exact import ExactTeacher
from support.exact_worlds import chain, exact


@pytest.fixture(scope="module")
def mixture() -> PlaneMixture:
    return caption_truths(exact().world)[0].mixture


def test_quantiles_of_a_gaussian_are_those_of_scipy() -> None:
    covariance = torch.tensor([[0.5, 0.2], [0.2, 0.3]]).double()
    gaussian = PlaneMixture(torch.ones(1).double(), torch.tensor([[1.0, -2.0]]).double(), covariance[None])
    directions = directions_of(5)
    levels = (np.arange(101) + 0.5) / 101
    for u, found in zip(directions, gaussian.quantiles(directions, 101), strict=True):
        expected = norm.ppf(levels, float(u @ gaussian.means[0]), float(u @ covariance @ u) ** 0.5)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_cdf_undoes_the_quantiles(mixture: PlaneMixture) -> None:
    directions = directions_of(8)
    levels = mixture.cdf(directions, mixture.quantiles(directions, 64))
    torch.testing.assert_close(levels, ((torch.arange(64).double() + 0.5) / 64).expand(8, 64))


def test_quantiles_are_kept(mixture: PlaneMixture) -> None:
    directions = directions_of(8)
    again = caption_truths(exact().world)[0].mixture
    assert again.quantiles(directions, 32) is mixture.quantiles(directions, 32)


def test_directions_are_even_over_half_a_circle() -> None:
    expected = [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1], [-(0.5**0.5), 0.5**0.5]]
    torch.testing.assert_close(directions_of(4), torch.tensor(expected).double(), atol=1e-7, rtol=0)


@pytest.mark.parametrize("t", [0.02, 0.4, 1.0])
def test_density_and_posterior_mean_are_the_exact_teachers(mixture: PlaneMixture, t: float) -> None:
    teacher, x = ExactTeacher(modes_of(exact().world)), torch.randn(50, 2).double()
    prior = captions_of(exact().world).encode(["left"])[:, 0].double().expand(50, -1)
    expected = teacher.posterior_mean(x, torch.full((50,), t).double(), prior)
    torch.testing.assert_close(mixture.posterior_mean(x, t), expected)
    zero = torch.zeros(50).double()
    torch.testing.assert_close(mixture.log_density(x), teacher.log_density(x, zero, prior))


@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_the_marginal_of_a_chunk_is_that_of_all_futures(chunk: int) -> None:
    world = chain().world
    merged = chunk_truth(world, chunk)
    assert len(merged.weights) == chunk  # as many angles as numbers of turns to the left
    assert float(merged.weights.sum()) == pytest.approx(1, abs=1e-6)
    modes = chain_modes(world, 4)
    means, covariances = modes.means, modes.factors @ modes.factors.mT
    every = PlaneMixture(
        chain_modes(world, 4).weights[0].double(),
        means[0][:, [chunk - 1, 3 + chunk]],
        covariances[0][:, [chunk - 1, 3 + chunk]][:, :, [chunk - 1, 3 + chunk]],
    )
    x = torch.randn(30, 2).double()
    torch.testing.assert_close(merged.log_density(x), every.log_density(x), atol=1e-6, rtol=1e-6)


def test_truth_samples_have_the_moments_of_the_truth() -> None:
    world = exact().world
    for x, truth in zip(sample_captions(world, [0, 1], 20000), caption_truths(world), strict=True):
        assert x.shape == (2, 20000, 2)
        torch.testing.assert_close(x.mean((0, 1)), truth.mixture.mean, atol=0.02, rtol=0)
        torch.testing.assert_close(x.flatten(0, 1).std(0), truth.mixture.deviation, atol=0.02, rtol=0)
        assert not torch.equal(x[0], x[1])


def test_chains_are_sampled_chunk_by_chunk() -> None:
    world = chain().world
    x = sample_chains(world, [3], 20000)
    assert x.shape == (1, 20000, 4, 2)
    for i in range(4):
        torch.testing.assert_close(x[0, :, i].mean(0), chunk_truth(world, i + 1).mean, atol=0.02, rtol=0)


def test_a_world_of_three_coordinates_is_refused() -> None:
    mode = {"weight": 1.0, "mean": [0, 0, 0], "spread": [1, 1, 1]}
    with pytest.raises(SaltError, match=r"exact\.world: states of 3 numbers; accepted: 2"):
        caption_truths(exact({"kind": "mixture", "captions": {"one": [mode]}}).world)


def test_the_sense_of_a_style_is_away_from_the_other_captions() -> None:
    assert [truth.away for truth in caption_truths(exact().world)] == [-1, 1]
    mode = {"weight": 1.0, "mean": [0, 0], "spread": [1, 1]}
    alone = exact({"kind": "mixture", "captions": {"one": [mode]}}).world
    assert [truth.away for truth in caption_truths(alone)] == [0]


def _spread(q: Tensor) -> float:
    return float(q[2].std())


def test_a_reference_without_guidance_is_close_to_the_truth_and_guidance_sharpens_it(mixture: PlaneMixture) -> None:
    world, directions = exact(teacher_nfe=60), directions_of(4)
    plain = guided_quantiles(world, "left", Guidance(1.0, 5.0), directions)
    assert plain.shape == (4, 256)
    true = mixture.quantiles(directions, 256)
    assert float((plain - true).abs().mean()) < 0.05
    guided = guided_quantiles(world, "left", Guidance(4.0, 5.0), directions)
    assert _spread(guided) < 0.8 * _spread(plain)
    assert float(guided[2].mean()) < float(plain[2].mean()) - 0.05  # away from the other caption's style
    assert guided_reference(world, "left", Guidance(4.0, 5.0)).shape == (8 * 256, 2)
    assert guided_reference(world, "left", Guidance(4.0, 5.0)) is guided_reference(world, "left", Guidance(4.0, 5.0))
