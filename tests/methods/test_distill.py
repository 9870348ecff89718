"""DMD and SC-DMD: who is called, who gets gradients, and the losses against a second derivation."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from salt.errors import SaltError
from salt.methods import Distill, FlowMatching, build_method
from salt.methods.terms import Components, build_terms
from salt.models.wan import build_wan
from salt.streams import Streams
from support.tiny import Clips, Recorder, experiment, make_method, teacher_experiment

STEP = 3
GRID = (1.0, 0.9, 0.75, 0.5)  # 4 levels at shift 3


def recorded(seed: int = 0, **changes: Any) -> tuple[Distill, dict[str, Recorder]]:
    setting = experiment(**changes)
    networks = {
        name: Recorder(build_wan(setting.scale.backbone, i))
        for i, name in enumerate(("generator", "critic", "teacher"))
    }
    components = Components.of(setting, streams=Streams(seed), **networks)
    return Distill(setting, components, build_terms(setting.objectives, components)), networks


def calls(networks: dict[str, Recorder]) -> dict[str, int]:
    return {name: len(network.calls) for name, network in networks.items()}


def batch(first: int = 0, size: int = 6) -> Any:
    return Clips().batch(range(first, first + size))


def test_objectives_choose_the_method() -> None:
    network = build_wan(experiment().scale.backbone, 0)
    assert isinstance(build_method(teacher_experiment(), network, None, Streams(0)), FlowMatching)
    distill = build_method(experiment(), network, copy.deepcopy(network), Streams(0))
    assert isinstance(distill, Distill)
    assert distill.roles(0) == ("generator", "critic", "critic")
    with pytest.raises(SaltError, match="teacher"):
        build_method(experiment(), network, None, Streams(0))


def test_a_larger_teacher_is_distilled_and_the_critic_stays_of_the_students_size() -> None:
    setting = experiment(objectives__sc=None)
    backbone = setting.scale.backbone
    teacher = Recorder(build_wan(backbone, 0))
    larger = Recorder(build_wan(backbone.model_copy(update={"num_layers": backbone.num_layers + 1}), 1))
    method = build_method(setting, build_wan(backbone, 2), teacher, Streams(0), larger)
    assert isinstance(method, Distill)
    method.loss("generator", batch(), STEP)
    assert (len(larger.calls), len(teacher.calls)) == (2, 0), "guided: with the caption and without"
    assert method.constant == (larger,)
    critic, start = method.trainable["critic"].state_dict(), teacher.state_dict()
    assert critic.keys() == start.keys()
    assert all(torch.equal(critic[name], start[name]) for name in start)


@pytest.mark.parametrize("rollout", ["noised_data", "backward_simulation"])
def test_self_consistency_costs_exactly_one_generator_evaluation(rollout: str) -> None:
    plain, plain_networks = recorded(objectives__sc=None, rollout={"kind": rollout})
    with_sc, sc_networks = recorded(rollout={"kind": rollout})
    weightless, weightless_networks = recorded(objectives__sc={"weight": 0.0}, rollout={"kind": rollout})
    for method in (plain, with_sc, weightless):
        method.loss("generator", batch(), STEP)
    expected = calls(plain_networks)
    assert (expected["critic"], expected["teacher"]) == (1, 2)
    assert expected["generator"] == 1 if rollout == "noised_data" else expected["generator"] <= len(GRID)
    assert calls(weightless_networks) == expected
    assert calls(sc_networks) == expected | {"generator": expected["generator"] + 1}


def test_each_loss_gives_gradients_to_its_own_role_only() -> None:
    for role, other in (("generator", "critic"), ("critic", "generator")):
        method, networks = recorded()
        method.loss(role, batch(), STEP)[0].backward()
        assert all(parameter.grad is not None for parameter in networks[role].parameters())
        assert any(parameter.grad.abs().max() > 0 for parameter in networks[role].parameters())
        for idle in (other, "teacher"):
            assert all(parameter.grad is None for parameter in networks[idle].parameters())
        assert not any(parameter.requires_grad for parameter in networks["teacher"].parameters())


def test_generator_gradient_is_the_written_out_dmd_direction() -> None:
    """The gradient of the loss against an explicit vector-Jacobian product with g / N."""
    method, networks = recorded(objectives__sc=None, objectives__dmd__weight=0.7)
    data = batch()
    method.loss("generator", data, STEP)[0].backward()
    x_s, t_s, _ = networks["generator"].calls[0]
    x_t, t, _ = networks["critic"].calls[0]
    (_, t_cond, text_cond), (_, t_uncond, text_uncond) = networks["teacher"].calls
    assert torch.equal(t_cond, t)
    assert torch.equal(t_uncond, t)
    assert torch.equal(text_cond, data.text)
    assert not text_uncond.any()
    student = copy.deepcopy(networks["generator"].network)
    student.zero_grad()
    x_0 = x_s - t_s.view(-1, 1, 1, 1, 1) * student(x_s, t_s, data.text)
    with torch.no_grad():
        broadcast = t.view(-1, 1, 1, 1, 1)
        teacher = networks["teacher"].network
        cond, uncond = teacher(x_t, t, data.text), teacher(x_t, t, torch.zeros_like(data.text))
        x0_real = x_t - broadcast * (uncond + 3.0 * (cond - uncond))
        x0_fake = x_t - broadcast * networks["critic"].network(x_t, t, data.text)
        size = (x_0 - x0_real).abs().mean((1, 2, 3, 4), keepdim=True)
        g = (x0_fake - x0_real) / size
    x_0.backward(0.7 * g / g.numel())
    for got, expected in zip(networks["generator"].parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-4, atol=1e-7)


def test_times_lie_where_the_experiment_says() -> None:
    method, networks = recorded(objectives__dmd__noise={"shift": 5.0, "t_min": 0.3, "t_max": 0.9})
    method.loss("generator", batch(size=64), STEP)
    grid = torch.tensor(GRID)
    t_s, t_m = (call[1] for call in networks["generator"].calls)
    assert torch.isclose(t_s[:, None], grid).any(1).all()
    assert t_s.unique().numel() == len(GRID)
    assert (t_m <= t_s).all()
    judged = networks["critic"].calls[0][1]
    assert judged.min().item() == pytest.approx(0.3)
    assert judged.max().item() == pytest.approx(0.9)


def test_self_consistency_value_is_the_velocity_gap_times_the_interval() -> None:
    """With T^(1) = {1} every t_e is 0, and x^(1) - x^(2) = t_m (v_m - v_s); the last t_s has no triple and counts 0."""
    method, networks = recorded(grid__steps=1)
    data = batch(size=32)
    metrics = method.loss("generator", data, STEP)[1]
    (x_s, t_s, _), (x_m, t_m, _) = networks["generator"].calls
    network = networks["generator"].network
    gap = (network(x_m, t_m, data.text) - network(x_s, t_s, data.text)).square().mean((1, 2, 3, 4))
    has_triple = t_s > 0.6
    assert 0 < has_triple.sum() < 32
    assert (t_m < t_s)[has_triple].all()
    assert metrics["sc"] == pytest.approx((t_m.square() * gap * has_triple).mean().item(), rel=1e-4)


def test_backward_simulation_ignores_the_data_and_noised_data_does_not() -> None:
    for kind, same in (("backward_simulation", True), ("noised_data", False)):
        method, networks = recorded(rollout={"kind": kind})
        data = batch()
        method.loss("critic", data, STEP)
        method.loss("critic", type(data)(data.x_0 + 1, data.text, data.empty_text, data.samples), STEP)
        (first, *_), (second, *_) = networks["critic"].calls
        assert torch.equal(first, second) == same


@pytest.mark.parametrize("role", ["generator", "critic"])
@pytest.mark.parametrize("rollout", ["noised_data", "backward_simulation"])
def test_halves_of_a_batch_average_to_the_whole(role: str, rollout: str) -> None:
    method, _ = recorded(rollout={"kind": rollout})
    whole = method.loss(role, batch(0, 8), STEP)[0]
    halves = [method.loss(role, batch(first, 4), STEP)[0] for first in (0, 4)]
    torch.testing.assert_close(torch.stack(halves).mean(), whole, rtol=1e-5, atol=1e-7)


def test_roles_and_steps_draw_numbers_of_their_own() -> None:
    method, networks = recorded(objectives__sc=None)
    for role, step in (("generator", 0), ("critic", 0), ("critic", 1)):
        method.loss(role, batch(), step)
    states = [x_s for x_s, _, _ in networks["generator"].calls]
    assert not any(torch.equal(states[i], states[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_the_generator_loss_is_dmd_plus_lambda_times_sc() -> None:
    """Eq. (10), linear in lambda_SC, on the same draws."""

    def loss(weight: float) -> tuple[float, dict[str, float]]:
        value, metrics = recorded(objectives__sc={"weight": weight})[0].loss("generator", batch(), STEP)
        return value.item(), metrics

    dmd = recorded(objectives__sc=None)[0].loss("generator", batch(), STEP)[0].item()
    for weight in (0.0, 0.5, 3.0):
        value, metrics = loss(weight)
        assert value == pytest.approx(dmd + (weight * metrics["sc"] if weight else 0.0), rel=1e-5)


def test_zero_weight_is_dmd_bit_for_bit() -> None:
    """Eq. (10) with lambda_SC = 0, over several optimiser steps."""

    def weights(**changes: Any) -> list[Tensor]:
        method = make_method(experiment(**changes))
        optimisers = {role: torch.optim.AdamW(net.parameters(), lr=1e-2) for role, net in method.trainable.items()}
        for step in range(4):
            for role in method.roles(step):
                optimisers[role].zero_grad()
                method.loss(role, batch(10 * step), step)[0].backward()
                optimisers[role].step()
        return [parameter.detach() for parameter in method.trainable["generator"].parameters()]

    dmd, zero, one = weights(objectives__sc=None), weights(objectives__sc={"weight": 0.0}), weights()
    assert all(torch.equal(a, b) for a, b in zip(dmd, zero, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(dmd, one, strict=True))
