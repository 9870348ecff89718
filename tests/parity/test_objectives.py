"""Our losses, laws of times and optimiser steps beside the published ones."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.config.train import Optimiser
from salt.flow.grid import TripleLaw, shift_time, time_grid
from salt.flow.path import Velocity, expand, guide, interpolate, x0_from_velocity
from salt.objectives.align import alignment_loss
from salt.objectives.dmd import dmd_direction, dmd_loss
from salt.objectives.regression import flow_matching_loss
from salt.objectives.scm import jvp_along_path, scm_loss, scm_tangent, trigflow
from salt.training.ema import EMA
from salt.training.state import build_optimisers, take_step
from support.published import published


def relative(ours: Tensor, theirs: Tensor) -> float:
    """|a - b| / |b|."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).detach().norm() / theirs.norm())


def mixed(matrix: Tensor, x: Tensor) -> Tensor:
    """The matrix on the channels of `(B, C, ...)`."""
    return torch.einsum("dc,bc...->bd...", matrix, x)


# ---------------------------------------------------------------------------------------- DMD
def dmd(case: dict[str, Any], of_noise: Tensor, of_score: Tensor) -> dict[str, float]:
    """How far our DMD and critic are from the published ones; sigma in noising, and in what the networks predict."""
    x_0, eps, told = case["x_0"].clone().requires_grad_(), case["eps"], expand(case["t"], case["x_0"])
    x_t, fake = interpolate(case["x_0"], eps, of_noise), case["fake"].clone().requires_grad_()

    def velocity(matrix: Tensor, prompt: float) -> Tensor:
        return torch.tanh(mixed(matrix, x_t) * (0.3 + told) + prompt)

    def clean(matrix: Tensor, prompt: float) -> Tensor:
        return x0_from_velocity(x_t, velocity(matrix, prompt), of_score)

    x0_real = guide(*(clean(case["real"], case[name]) for name in ("prompt", "prompt_uncond")), case["cfg_weight"])
    x0_fake = clean(case["fake"], case["prompt"])
    loss = dmd_loss(x_0, dmd_direction(x_0.detach(), x0_fake, x0_real, "per_sample"))
    loss.backward()
    v_fake = velocity(fake, case["prompt"]) * expand(of_score / of_noise, x_t)  # clean data, as a velocity again
    critic = flow_matching_loss(v_fake, case["x_0"], eps).mean()
    critic.backward()
    assert x_0.grad is not None
    assert fake.grad is not None
    return {
        "x_t": relative(x_t, case["x_t"]),
        "loss": abs(float(loss.detach()) / case["loss"] - 1),
        "gradient": relative(x_0.grad, case["grad_x_0"]),
        "critic": abs(float(critic.detach()) / case["critic_loss"] - 1),
        "gradient of the critic": relative(fake.grad, case["grad_critic"]),
    }


def sigma(t: Tensor, shift: float) -> Tensor:
    """The nearest of the 1,000 noise levels of a published table."""
    table = t.new_tensor(time_grid(1000, shift))
    return table[(table - t[:, None]).abs().argmin(1)]


DMD = ["dmd_on_table", "dmd_clamped", "dmd_mismatched_table"]


@pytest.mark.parametrize("name", DMD)
def test_dmd_with_the_published_tables_of_noise_levels(name: str) -> None:
    case = published(name)
    t = shift_time(case["u"].double() / 1000, case["shift"]).clamp(*case["clamp"].tolist())
    torch.testing.assert_close(t, case["t"], rtol=0, atol=1e-6)
    found = dmd(case, sigma(t, case["shift"]), sigma(t, case["score_table_shift"]))
    assert max(found.values()) < 1e-6, found
    x_0 = case["x_0"].clone().requires_grad_()
    dmd_loss(x_0, dmd_direction(case["x_0"], case["x0_fake"], case["x0_real"], "per_sample")).backward()
    assert x_0.grad is not None
    assert relative(x_0.grad, case["grad_x_0"]) < 1e-6


@pytest.mark.parametrize(("name", "least", "most"), zip(DMD, (0, 1e-4, 1e-4), (1e-6, 1e-3, 2e-3), strict=True))
def test_dmd_with_sigma_equal_to_t(name: str, least: float, most: float) -> None:
    """Ours. Their tables lack the clamped times, or are not those that x_0 was noised by (Self-Forcing's issue 88)."""
    case = published(name)
    found = dmd(case, case["t"], case["t"])
    assert max(found.values()) < most, found
    assert min(found["gradient"], found["gradient of the critic"]) > least, found


# ---------------------------------------------------------------------------------------- alignment
def test_alignment() -> None:
    case = published("alignment")
    z_low = case["z_low"].requires_grad_()
    loss = alignment_loss(z_low, case["z_ref"], case["margin"]).mean()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(case["loss"], rel=1e-12)
    assert z_low.grad is not None
    assert relative(z_low.grad, case["grad_z_low"]) < 1e-12


# ---------------------------------------------------------------------------------------- rCM
@pytest.mark.parametrize(("share", "suffix"), [(1.0, "r1"), (0.3, "r03")])
def test_consistency_in_continuous_time(share: float, suffix: str) -> None:
    case = published("rcm_tangent")
    a, weights = case["angle"], {name: case[f"student_{name}"].requires_grad_() for name in "Ab"}

    def network(matrix: Tensor, bias: Tensor, prompt: float) -> Velocity:
        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return torch.tanh(mixed(matrix, x) * (1 + expand((3 * t).sin(), x)) + prompt + bias.view(-1, 1, 1, 1))

        return trigflow(velocity)

    x = expand(a.cos(), case["x_0"]) * case["x_0"] + expand(a.sin(), case["eps"]) * case["eps"]
    teachers = (network(case["teacher_A"], case["teacher_b"], case[name]) for name in ("prompt", "prompt_uncond"))
    f_teacher = guide(*(teacher(x, a) for teacher in teachers), case["cfg_weight"])
    student = network(weights["A"], weights["b"], case["prompt"])
    f = student(x, a)
    derivative = jvp_along_path(student, x, a, f_teacher, "forward_mode", 0.0)
    g = scm_tangent(f.detach(), f_teacher, derivative, x, a, share, whole=True)
    loss = scm_loss(f, g) * f[0].numel()
    loss.backward()

    for ours, name in ((x, "x_a"), (f_teacher, "f_teacher"), (f, "f_student"), (derivative, "derivative")):
        assert relative(ours, case[name]) < 1e-12, name
    assert relative(g, case[f"tangent_{suffix}"]) < 1e-12
    assert float(loss.detach()) == pytest.approx(case[f"loss_{suffix}"], rel=1e-12)
    for name, weight in weights.items():
        assert weight.grad is not None
        assert relative(weight.grad, case[f"grad_{name}_{suffix}"]) < 1e-12


# ---------------------------------------------------------------------------------------- times
def test_times_and_grids() -> None:
    case = published("times")
    t = shift_time(case["u"], case["shift"]).clamp(*case["clamp"].tolist())
    torch.testing.assert_close(t, case["t"], rtol=0, atol=1e-6)
    for shift in (5, 8):
        for steps in (1, 2, 4, 8):
            theirs = case[f"grid{steps}_shift{shift}"]
            torch.testing.assert_close(theirs.new_tensor(time_grid(steps, shift)), theirs, rtol=0, atol=1e-6)


def test_the_law_of_triples() -> None:
    """Exact: every pair of u on a lattice whose sides all numbers of choices (at most 2, and at most 7) divide."""
    case = published("triples_top2")
    inference, training = (tuple(case[name].tolist()) for name in ("inference", "training"))
    sides = [(torch.arange(side, dtype=torch.float64) + 0.5) / side for side in (2, 420)]
    u = torch.cartesian_prod(*sides)
    times = torch.tensor([*training, 0.0], dtype=torch.float64)
    law, found = TripleLaw(inference, training, "top2"), torch.zeros_like(case["probability"])
    for i in range(len(training)):
        t_m, t_e, valid = law.sample(torch.full((len(u),), i), u)
        m, e = ((t[valid, None] - times).abs().argmin(1) for t in (t_m, t_e))
        found[i].index_put_((m, e), found.new_tensor(1 / len(u)), accumulate=True)
    torch.testing.assert_close(found, case["probability"], rtol=0, atol=1e-9)


# ---------------------------------------------------------------------------------------- training
def test_the_average_of_weights() -> None:
    case = published("ema")
    network = nn.Linear(4, 3, bias=False).double()
    ema = EMA(network, case["decay"], case["start"])
    for update, (weight, average) in enumerate(zip(case["weight"], case["average"], strict=True), start=1):
        with torch.no_grad():
            network.weight.copy_(weight)
        ema.update(network, update)
        torch.testing.assert_close(ema.module.weight, average, rtol=0, atol=1e-6)


def test_clipped_steps_of_adamw() -> None:
    case = published("adamw_clip")
    network = nn.Linear(6, 5)  # in float32, as theirs
    with torch.no_grad():
        network.weight.copy_(case["weight_start"])
        network.bias.copy_(case["bias_start"])
    config = Optimiser(**{name: case[name] for name in ("lr", "weight_decay", "clip")}, betas=case["betas"].tolist())
    optimisers, norms = build_optimisers(network, config), []
    for step, (weight, bias) in enumerate(zip(case["grad_weight"], case["grad_bias"], strict=True)):
        network.weight.grad, network.bias.grad = weight.float(), bias.float()
        norms.append(float(nn.utils.clip_grad_norm_(network.parameters(), config.clip)))
        take_step(optimisers, 1.0)
        for ours, name in ((network.weight, "weight"), (network.bias, "bias")):
            torch.testing.assert_close(ours.detach().double(), case[name][step], rtol=0, atol=1e-7)
    assert min(norms) < config.clip < max(norms)
