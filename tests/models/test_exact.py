"""The exact teachers against quadrature, Monte Carlo, dense algebra and autograd, and what their flows lead to."""

from math import cos, pi, radians, sin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal

from salt.config.lab import Mixture
from salt.data.exact import CausalTeacher, chain_modes, guided_teacher, modes_of
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.path import score_from_x0
from salt.flow.transport import euler_sample
from salt.models.conditioning import guided
from salt.models.exact import ExactTeacher, Modes
from salt.models.protocol import Batch
from support.lab import chain, mixture, normal, text_of

TIMES = (0.05, 0.3, 0.7, 0.95)
PRIORS = {"left": [1.0, 0.0], "right": [0.0, 1.0], "both": [0.5, 0.5]}
ONE_NUMBER = Mixture.model_validate(
    {
        "captions": {
            "a": [{"weight": 0.2, "mean": [-1.0], "spread": [0.1]}, {"weight": 0.8, "mean": [0.6], "spread": [0.4]}],
            "b": [{"weight": 0.5, "mean": [0.0], "spread": [0.2]}, {"weight": 0.5, "mean": [2.0], "spread": [0.3]}],
        },
        "style": 0,
    }
)


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def prior_of(which: str, size: int) -> Tensor:
    return float64(*PRIORS[which]).expand(size, 2)


def dense(modes: Modes, x: Tensor, t: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """E[x_0 | x_t] and log p(x_t) with the covariance matrices themselves, mode by mode."""
    size = modes.means.shape[2]
    means, logs = [], []
    for c in range(len(modes.weights)):
        for k in range(modes.weights.shape[1]):
            mean, factor = modes.means[c, k], modes.factors[c, k]
            covariance, a = factor @ factor.T, 1 - t[:, None, None]
            noisy = a**2 * covariance + t[:, None, None] ** 2 * torch.eye(size, dtype=torch.float64)
            centred = x - (1 - t[:, None]) * mean
            gain = a * covariance @ torch.linalg.inv(noisy)
            means.append(mean + (gain @ centred[:, :, None])[:, :, 0])
            density = MultivariateNormal((1 - t[:, None]) * mean, noisy).log_prob(x)
            logs.append(prior[:, c].log() + modes.weights[c, k].log() + density)
    weights = torch.stack(logs, dim=1)
    return (weights.softmax(1)[:, :, None] * torch.stack(means, dim=1)).sum(1), weights.logsumexp(1)


def low_rank() -> Modes:
    """Two conditions of two modes of four numbers, each of which spreads in two directions alone."""
    weights = float64(0.3, 0.7, 0.6, 0.4).view(2, 2)
    return Modes(weights, normal(2, 2, 4, seed=1), 0.4 * normal(2, 2, 4, 2, seed=2))


# -------------------------------------------------------------------------------------------- quadrature
@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("which", PRIORS)
@pytest.mark.parametrize("numbers", [1, 2])
def test_posterior_mean_is_that_of_quadrature(numbers: int, which: str, t: float) -> None:
    """int x_0 p(x_0) N(x_t; (1 - t) x_0, t^2) / int p(x_0) N(...), from the numbers of the file alone."""
    world = ONE_NUMBER if numbers == 1 else mixture()
    axis = torch.linspace(-3, 4, 1401, dtype=torch.float64)
    every = [one for modes in world.captions.values() for one in modes]
    mean, spread = (
        torch.tensor([getattr(one, name) for one in every], dtype=torch.float64) for name in ("mean", "spread")
    )
    mean, spread = mean.view(2, 2, numbers, 1), spread.view(2, 2, numbers, 1)
    along = torch.exp(-0.5 * ((axis - mean) / spread) ** 2) / spread  # (C, M, N, axis), but for a common factor
    weights = float64(*(one.weight for one in every)).view(2, 2)
    x = 0.8 * normal(5, numbers, seed=4)
    seen = torch.exp(-((x[:, :, None] - (1 - t) * axis) ** 2) / (2 * t * t))  # (B, N, axis)
    mass = torch.einsum("cmna,bna->bcmn", along, seen)
    first = torch.einsum("cmna,bna,a->bcmn", along, seen, axis)
    each = weights * mass.prod(3) * float64(*PRIORS[which])[:, None]
    expected = torch.einsum("bcm,bcmn->bn", each, first / mass) / each.sum((1, 2))[:, None]
    teacher = ExactTeacher(modes_of(world))
    got = teacher.posterior_mean(x, x.new_full((5,), t), prior_of(which, 5))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------------------- Monte Carlo
def simulated_chain(number: int, chunks: int) -> Tensor:
    """A chain as its definition says, step by step: `(number, 2 * chunks)`, coordinate 1 of all chunks first."""
    world, generator = chain(), torch.Generator().manual_seed(5)
    z = float64(1.0, 0.0) + world.spread * torch.randn(number, 2, generator=generator, dtype=torch.float64)
    states = [z]
    for _ in range(chunks - 1):
        sign = torch.where(torch.rand(number, generator=generator) < world.weights[0], 1.0, -1.0).double()
        c, s = cos(radians(world.angle)), sign * sin(radians(world.angle))
        turned = torch.stack([c * z[:, 0] - s * z[:, 1], s * z[:, 0] + c * z[:, 1]], dim=1)
        z = turned + world.spread * torch.randn(number, 2, generator=generator, dtype=torch.float64)
        states.append(z)
    return torch.stack(states, dim=2).flatten(1)


def drawn(modes: Modes, number: int) -> Tensor:
    """Samples of condition 0."""
    mode = torch.multinomial(modes.weights[0], number, True, generator=torch.Generator().manual_seed(6))
    condition = torch.zeros(number, dtype=torch.int64)
    return modes.sample(condition, mode, normal(number, modes.factors.shape[3], seed=7))


@pytest.mark.parametrize("t", [0.35, 0.6, 0.9])
@pytest.mark.parametrize("world", ["mixture", "chain", "low rank"])
def test_posterior_mean_is_that_of_weighted_samples(world: str, t: float) -> None:
    """Self-normalised importance sampling; five of its own standard errors in every coordinate."""
    number = 200_000
    modes = {"mixture": modes_of(mixture()), "chain": chain_modes(chain(), 4), "low rank": low_rank()}[world]
    x_0 = simulated_chain(number, 4) if world == "chain" else drawn(modes, number)
    x_t = (1 - t) * x_0[:3] + t * normal(3, x_0.shape[1], seed=8)
    teacher = ExactTeacher(modes)
    prior = torch.eye(len(modes.weights), dtype=torch.float64)[:1].expand(3, -1)
    got = teacher.posterior_mean(x_t, x_t.new_full((3,), t), prior)
    for state, mean in zip(x_t, got, strict=True):
        share = (-(state - (1 - t) * x_0).square().sum(1) / (2 * t * t)).softmax(0)[:, None]
        estimate = (share * x_0).sum(0)
        error = (share.square() * (x_0 - estimate).square()).sum(0).sqrt()
        assert 1 / share.square().sum() > 100, "an estimate of its own error needs some samples that matter"
        assert ((mean - estimate).abs() < 5 * error + 1e-12).all()
        assert error.max() < 0.1


# ---------------------------------------------------------------------------------------- dense algebra
@st.composite
def mixtures(draw: st.DrawFn) -> Modes:
    """Random worlds: up to three conditions, modes and numbers, of any rank."""
    conditions, number, size = (draw(st.integers(1, 3)) for _ in range(3))
    rank, seed = draw(st.integers(1, size)), draw(st.integers(0, 1000))
    weights = normal(conditions, number, seed=seed).softmax(1)
    factors = draw(st.floats(0.05, 2)) * normal(conditions, number, size, rank, seed=seed + 2)
    return Modes(weights, normal(conditions, number, size, seed=seed + 1), factors)


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.floats(0.05, 1.0))
def test_any_mixture_is_what_dense_algebra_says(modes: Modes, t: float) -> None:
    size, count = modes.means.shape[2], len(modes.weights)
    x, time = normal(4, size, seed=9), float64(*[t] * 4)
    prior = normal(4, count, seed=10).softmax(1)
    teacher = ExactTeacher(modes)
    mean, density = dense(modes, x, time, prior)
    torch.testing.assert_close(teacher.posterior_mean(x, time, prior), mean, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(teacher.log_density(x, time, prior), density, rtol=1e-8, atol=1e-7)
    every = teacher.responsibilities(x, time, prior)
    torch.testing.assert_close(every.sum((1, 2)), torch.ones(4, dtype=torch.float64))
    assert (every >= 0).all()


@settings(max_examples=40, deadline=None)
@given(mixtures(), st.floats(0.05, 1.0))
def test_the_score_is_the_gradient_of_the_log_density(modes: Modes, t: float) -> None:
    """And Tweedie's formula of salt/flow on the posterior mean."""
    x, time = normal(4, modes.means.shape[2], seed=11), float64(*[t] * 4)
    prior = normal(4, len(modes.weights), seed=12).softmax(1)
    teacher, moving = ExactTeacher(modes), x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(teacher.log_density(moving, time, prior).sum(), moving)
    score = teacher.score(x, time, prior)
    torch.testing.assert_close(score, gradient, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(score, score_from_x0(x, teacher.posterior_mean(x, time, prior), time))


# ------------------------------------------------------------------------------- conditions and guidance
def test_without_a_caption_it_is_the_mixture_over_captions() -> None:
    teacher, x, t = ExactTeacher(modes_of(mixture())), normal(6, 2), torch.linspace(0.1, 1, 6, dtype=torch.float64)
    each = [teacher.posterior_mean(x, t, prior_of(which, 6)) for which in ("left", "right")]
    densities = torch.stack([teacher.log_density(x, t, prior_of(which, 6)) for which in ("left", "right")])
    share = densities.softmax(0)[:, :, None]
    torch.testing.assert_close(teacher.posterior_mean(x, t, prior_of("both", 6)), (share * torch.stack(each)).sum(0))
    both = teacher.log_density(x, t, prior_of("both", 6))
    torch.testing.assert_close(both, densities.logsumexp(0) + float64(0.5).log())


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0, 4.0])
def test_guidance_extrapolates_from_the_mixture_over_captions(weight: float) -> None:
    """The same field where trajectories are made (salt.data.exact) and where students are judged."""
    teacher, size = ExactTeacher(modes_of(mixture())), 6
    x, t = normal(size, 2, 1, 1, 1), torch.linspace(0.1, 1, size, dtype=torch.float64)
    text, empty = text_of(mixture(), "left", size), text_of(mixture(), "", 1)
    cond, uncond = (x.flatten(1) - teacher.posterior_mean(x.flatten(1), t, prior_of(w, size)) for w in ("left", "both"))
    expected = ((uncond + weight * (cond - uncond)) / t[:, None]).view_as(x)
    torch.testing.assert_close(guided_teacher(teacher, text, empty, weight)(x, t), expected)
    batch = Batch(x, text, empty, tuple(range(size)))
    torch.testing.assert_close(guided(teacher, batch, weight)(x, t), expected)


# ------------------------------------------------------------------------------------------------ limits
@pytest.mark.parametrize("modes", [modes_of(mixture()), chain_modes(chain(), 4), low_rank()])
def test_limits_of_the_posterior_mean(modes: Modes) -> None:
    """t -> 1: the mean of the data, whatever x_t is; t -> 0: x_t itself, where there are data."""
    teacher, x_0 = ExactTeacher(modes), drawn(modes, 50)
    prior = torch.eye(len(modes.weights), dtype=torch.float64)[:1].expand(50, -1)
    mean = (modes.weights[0, :, None] * modes.means[0]).sum(0)
    got = teacher.posterior_mean(normal(*x_0.shape), x_0.new_ones(50), prior)
    torch.testing.assert_close(got, mean.expand(50, -1))
    for t in (1e-2, 1e-3, 1e-4):
        away = teacher.posterior_mean((1 - t) * x_0, x_0.new_full((50,), t), prior) - x_0
        assert away.abs().max() < 100 * t, t


# --------------------------------------------------------------------------------------------------- flow
def test_the_flow_of_one_gaussian_is_its_closed_form_map(gaussian_flow: type) -> None:
    """Errors of Euler's steps fall as their length does; extrapolated to none, the end is that of the exact map."""
    truth = gaussian_flow(mean=0.7, std=0.4)
    one = Modes(float64(1.0).view(1, 1), float64(0.7, 0.7).view(1, 1, 2), float64(0.4, 0.4).diag()[None, None])
    teacher = ExactTeacher(one)
    noise, text = normal(64, 2, 1, 1, 1), torch.ones(64, 1, 1)
    ends = [euler_sample(lambda x, t: teacher(x, t, text), noise, time_grid(n, 1.0)).flatten(1) for n in (200, 400)]
    expected = truth.flow_map(noise.flatten(1), 1.0, 0.0)
    errors = [(end - expected).abs().max().item() for end in ends]
    assert errors[1] < 0.01
    assert 0.45 < errors[1] / errors[0] < 0.55
    torch.testing.assert_close(2 * ends[1] - ends[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("caption", ["left", "right", ""])
def test_the_flow_leads_from_noise_to_the_world(caption: str) -> None:
    """Shares, means and spreads of the modes within four standard errors, and half a percent for Euler's steps."""
    world, number = mixture(), 2048
    teacher, text = ExactTeacher(modes_of(world)), text_of(world, caption, number)
    noise = normal(number, 2, 1, 1, 1, seed=3)
    end = euler_sample(lambda x, t: teacher(x, t, text), noise, time_grid(256, 1.0)).flatten(1)
    if not caption:  # each caption as often, and so each side
        assert ((end > 0).double().mean(0) - 0.5).abs().max() < 4 * 0.5 / number**0.5
    for mode in world.captions.get(caption, ()):
        here = end[(end[:, 0] > 0) == (mode.mean[0] > 0)]
        share, n = len(here) / number, len(here)
        assert abs(share - mode.weight) < 4 * (mode.weight * (1 - mode.weight) / number) ** 0.5 + 0.005
        for i in range(2):
            assert abs(here[:, i].mean() - mode.mean[i]) < 4 * mode.spread[i] / n**0.5 + 0.005
            assert abs(here[:, i].std() / mode.spread[i] - 1) < 4 / (2 * n) ** 0.5 + 0.02


def test_the_flow_of_a_chain_leads_to_the_chain() -> None:
    """Turns as often as it should, and each at its angle, with its spread."""
    world, number = chain(), 2048
    teacher, text = ExactTeacher(modes_of(world)), torch.ones(number, 1, 1)
    noise = normal(number, *world.latent_shape, seed=4)
    end = euler_sample(lambda x, t: teacher(x, t, text), noise, time_grid(256, 1.0)).flatten(2)
    for i in range(1, world.chunks):
        before, here = (torch.complex(end[:, 0, j], end[:, 1, j]) for j in (i - 1, i))
        left = (here / before).angle() > 0
        assert abs(left.double().mean() - world.weights[0]) < 4 * (0.65 * 0.35 / number) ** 0.5 + 0.005
        turn = torch.exp(torch.where(left, 1j, -1j) * radians(world.angle))
        rest = here - turn * before
        assert (rest.abs().square().mean() / (2 * world.spread**2)).sqrt().item() == pytest.approx(1, abs=0.06)
        assert abs(rest.mean()) < 0.01


# ------------------------------------------------------------------------------------------ causal teacher
def causal_x_0(x_t: Tensor, t: Tensor, clean: Tensor) -> Tensor:
    v = CausalTeacher(chain())(x_t, t, torch.ones(len(x_t), 1, 1), clean)
    return (x_t - t.view(-1, 1, 1, 1, 1) * v).flatten(2)


def clips(number: int = 3) -> Tensor:
    return simulated_chain(number, 4).view(number, 2, 4, 1, 1)


@pytest.mark.parametrize("t", TIMES)
def test_the_causal_teacher_is_two_gaussians_about_the_chunk_before(t: float) -> None:
    """Chunk by chunk with dense algebra; the first one has a Gaussian of its own."""
    world, clean = chain(), clips()
    x_t, time = (1 - t) * clean + t * normal(*clean.shape), float64(*[t] * len(clean))
    got = causal_x_0(x_t, time, clean)
    for b, chunk in ((b, chunk) for b in range(len(clean)) for chunk in range(4)):
        c, s = cos(radians(world.angle)), sin(radians(world.angle))
        turns = [torch.eye(2)] if not chunk else [torch.tensor([[c, -k * s], [k * s, c]]) for k in (1, -1)]
        before = float64(1.0, 0.0) if not chunk else clean[b, :, chunk - 1].flatten()
        means = torch.stack([turn.double() @ before for turn in turns])[None]
        shares = float64(1.0) if not chunk else float64(*world.weights)
        factors = world.spread * torch.eye(2, dtype=torch.float64).expand(1, len(means[0]), 2, 2)
        state = x_t[b, :, chunk].flatten()[None]
        expected, _ = dense(Modes(shares[None], means, factors), state, time[:1], torch.ones(1, 1).double())
        torch.testing.assert_close(got[b, :, chunk], expected[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("t", [0.3, 0.7])
@pytest.mark.parametrize("chunk", [1, 2])
def test_the_causal_teacher_is_the_joint_one_conditioned_on_the_past(chunk: int, t: float) -> None:
    """int z p(past, z) N(x_t; (1 - t) z, t^2) / int p(past, z) N(...), p the joint density of `chain_modes`."""
    world, clean = chain(), clips()
    teacher = ExactTeacher(chain_modes(world, chunk + 1))
    axis = torch.linspace(-2, 2, 161, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    x_t = (1 - t) * clean + t * normal(*clean.shape)
    got = causal_x_0(x_t, float64(*[t] * len(clean)), clean)
    for b in range(len(clean)):
        past = clean[b, :, :chunk, 0, 0].expand(len(z), 2, chunk)
        joint = teacher.log_density(
            torch.cat([past, z[:, :, None]], 2).flatten(1), torch.zeros(len(z)).double(), torch.ones(len(z), 1).double()
        )
        seen = -(x_t[b, :, chunk].flatten() - (1 - t) * z).square().sum(1) / (2 * t * t)
        expected = ((joint + seen).softmax(0)[:, None] * z).sum(0)
        torch.testing.assert_close(got[b, :, chunk], expected, rtol=1e-6, atol=1e-6)


def test_the_modes_of_a_next_chunk_are_the_causal_teachers() -> None:
    """Of states whose chunk before lies at (1, 0) with its spread: the means of the second chunk are its two turns."""
    modes, world = chain_modes(chain(), 2), chain()
    second = modes.means[0].view(2, 2, 2)[:, :, 1]  # (mode, coordinate)
    angle = torch.atan2(second[:, 1], second[:, 0]) * 180 / pi
    torch.testing.assert_close(angle, float64(world.angle, -world.angle))
    torch.testing.assert_close(modes.weights[0], float64(*world.weights))


# ------------------------------------------------------------------------------------------------- errors
def test_modes_that_are_none_are_refused_in_one_line() -> None:
    means, factors = torch.zeros(1, 2, 2).double(), torch.eye(2).double().expand(1, 2, 2, 2)
    for weights in ([0.5, 0.4], [1.5, -0.5], [float("nan"), 0.5]):
        with pytest.raises(SaltError, match=r"modes: weights .*; accepted: positive ones that add up to 1"):
            Modes(float64(*weights)[None], means, factors)
    for spread in (0.0, float("nan")):
        with pytest.raises(SaltError, match="a spread that is not positive"):
            Modes(float64(0.5, 0.5)[None], means, spread * factors)


def test_states_and_captions_of_another_world_are_refused() -> None:
    teacher = ExactTeacher(modes_of(mixture()))
    one = torch.ones(1)
    with pytest.raises(SaltError, match="states of 3 numbers; accepted: 2"):
        teacher(torch.zeros(1, 3, 1, 1, 1), one, torch.ones(1, 1, 2))
    with pytest.raises(SaltError, match="a caption of 3 conditions; accepted: 2"):
        teacher(torch.zeros(1, 2, 1, 1, 1), one, torch.ones(1, 1, 3))


def test_it_has_nothing_to_train_and_answers_in_the_dtype_that_it_is_asked_in() -> None:
    teacher = ExactTeacher(modes_of(mixture()))
    assert not list(teacher.parameters())
    assert not teacher.state_dict()
    for dtype in (torch.float32, torch.float64):
        v = teacher(normal(2, 2, 1, 1, 1, dtype=dtype), torch.full((2,), 0.02), text_of(mixture(), "left", 2))
        assert v.dtype == dtype
        assert v.isfinite().all()
