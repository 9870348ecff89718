"""Gradients and values of SC and alignment of autoregressive students, every term by hand; and CausVid's rollout."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from salt.flow.grid import time_grid, triples
from salt.methods import rollouts
from salt.methods.terms import sc
from salt.models.protocol import Batch
from support.students import (
    CHUNKS,
    CLOSE,
    SALT,
    always,
    build,
    causal_experiment,
    causal_network,
    clips,
    grads,
    rollout_of,
    spy,
    watch,
)

CAUSVID_SC: dict[str, Any] = {
    "rollout": {"kind": "noised_data"},
    "objectives": {"dmd": {"weight": 0.0}, "sc": {"weight": 1.0}},
}


def loss_of(step: int = 0, batch: Batch | None = None, **changes: Any) -> tuple[float, dict[str, float]]:
    value, metrics = build(**changes)[0].loss("generator", batch or clips(), step)
    return value.item(), metrics


# --------------------------------------------------------------------------------------------- gradients
def test_a_term_of_weight_zero_leaves_the_gradient_as_it_is_without_it() -> None:
    """Bit for bit, whatever K is drawn."""
    objectives = {"dmd": {}, "sc": {"weight": 0.0}, "align": {"weight": 0.0}}
    plain, weightless = (build(rollout=SALT["rollout"], objectives=given) for given in ({"dmd": {}}, objectives))
    steps = set()
    for step in range(8):
        for method, networks in (plain, weightless):
            networks["generator"].zero_grad()
            loss, metrics = method.loss("generator", clips(4 * step), step)
            loss.backward()
            steps.add(metrics["steps"])
            assert metrics.keys() == {"dmd_direction", "steps"}
        pairs = zip(grads(plain[1]["generator"]), grads(weightless[1]["generator"]), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert steps == {2, 4, 8}


@pytest.mark.parametrize("features", ["teacher", "critic"])
def test_the_gradient_of_alignment_reaches_the_generator_alone(features: str) -> None:
    align = {"margin": 0.0, "features": features}
    method, networks = build(rollout=always(2), objectives={"dmd": {"weight": 0.0}, "align": align})
    for step in range(9):
        loss, metrics = method.loss("generator", clips(4 * step), step)
        if "align" in metrics:
            break
    assert loss.item() == pytest.approx(0.1 * metrics["align"])
    loss.backward()
    assert all(gradient is not None for gradient in grads(networks["generator"]))
    assert all(gradient.any() for gradient in grads(networks["generator"])[1:])
    assert grads(networks["critic"]) == [None] * len(grads(networks["critic"]))
    assert grads(networks["teacher"]) == [None] * len(grads(networks["teacher"]))
    assert all(parameter.requires_grad for parameter in networks["critic"].parameters())
    assert not any(parameter.requires_grad for parameter in networks["teacher"].parameters())


@pytest.mark.parametrize("role", ["generator", "critic"])
def test_each_update_gives_gradients_to_its_own_role(role: str) -> None:
    method, networks = build(**SALT)
    for step in range(6):
        loss, _ = method.loss(role, clips(4 * step), step)
        loss.backward()
        assert [name for name in networks if any(g is not None for g in grads(networks[name]))] == [role]
    assert all(gradient.isfinite().all() for gradient in grads(networks[role]))


@pytest.mark.parametrize("role", ["generator", "critic"])
@pytest.mark.parametrize("changes", [SALT, CAUSVID_SC], ids=["autoregressive", "noised_data"])
def test_halves_of_a_batch_average_to_the_whole(changes: dict[str, Any], role: str) -> None:
    method, _ = build(**changes)
    for step in range(5):
        whole = method.loss(role, clips(4 * step, 4), step)[0]
        halves = [method.loss(role, clips(4 * step + first, 2), step)[0] for first in (0, 2)]
        torch.testing.assert_close(torch.stack(halves).mean(), whole, **CLOSE)


def test_the_generator_loss_is_dmd_plus_the_term_of_its_k() -> None:
    """Eq. (13), on the same draws."""
    steps = set()
    for step in range(8):
        batch = clips(4 * step)
        dmd, _ = loss_of(step, batch, rollout=SALT["rollout"])
        value, metrics = loss_of(step, batch, **SALT)
        steps.add(metrics["steps"])
        assert value == pytest.approx(dmd + 0.3 * metrics.get("sc", 0.0) + 0.1 * metrics.get("align", 0.0), rel=1e-6)
    assert steps == {2, 4, 8}


# ------------------------------------------------------------------------------------- terms by hand
def by_hand(model: Any, sample: Any, text: Tensor, wanted: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """`wanted(velocity, x_s)` of every chunk, under a context of the chunks before it as constants."""
    x_0 = sample.x_0.detach()
    memory = model.open_memory(causal_experiment().causal.memory, len(x_0), *x_0.shape[-2:], x_0.shape[2])
    found = []
    for x_s, clean in zip(sample.x_s.split(1, dim=2), x_0.split(1, dim=2), strict=True):
        found.append(wanted(partial(step_at, model, memory.context(), text), x_s))
        model.remember(memory, clean, text)
    return torch.cat(found, dim=2)


def step_at(model: Any, context: Any, text: Tensor, x: Tensor, t: Tensor) -> Tensor:
    return model.step(x, t, text, context)


@pytest.mark.parametrize("stop_gradient", ["none", "composed"])
def test_self_consistency_under_caches_is_two_endpoints_per_chunk(
    stop_gradient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eq. (8) literally: for every chunk one long and two short Euler steps under the context it was made in."""
    section = {"weight": 1.0, "rollouts": (8,), "stop_gradient": stop_gradient}
    method, networks = build(rollout=always(8), objectives={"dmd": {"weight": 0.0}, "sc": section})
    objective, made = spy(monkeypatch, sc, "sc_objective"), spy(monkeypatch, rollouts, "autoregressive")
    model: Any = networks["generator"]
    parameters, seen = list(model.parameters()), set()
    allowed = set(triples(time_grid(4, 5.0), time_grid(8, 5.0)))
    for step in range(6):
        batch = clips(4 * step, 4)
        objective.clear()
        loss, _ = method.loss("generator", batch, step)
        ((_, _, _, t_s, t_m, t_e, valid, *_), _) = objective[0]
        sample = made[-1][1]
        for drawn_ in zip(t_s.tolist(), t_m.tolist(), t_e.tolist(), strict=True):
            assert drawn_ in allowed
            seen.add(drawn_)

        def gap(velocity: Any, x_s: Tensor, times: Any = (t_s, t_m, t_e)) -> Tensor:
            wide_s, wide_m, wide_e = (t.view(-1, 1, 1, 1, 1) for t in times)
            v_s = velocity(x_s, times[0])
            x_1 = x_s - (wide_s - wide_e) * v_s
            x_m = x_s - (wide_s - wide_m) * v_s
            x_2 = x_m - (wide_m - wide_e) * velocity(x_m, times[1])
            return x_1 - (x_2.detach() if stop_gradient == "composed" else x_2)

        gaps = by_hand(model, sample, batch.text, gap)
        assert valid.all()
        expected = gaps.square().mean()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-12)
        got, wanted = (torch.autograd.grad(value, parameters) for value in (loss, expected))
        for a, b in zip(got, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-9)
    assert len({t_s for t_s, *_ in seen}) > 2
    assert len(seen) > 8


def test_at_the_last_level_sc_is_zero_and_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """T_train has no t_m below it: loss and gradient are those without SC, bit for bit."""
    settings = ({"dmd": {}}, {"dmd": {}, "sc": {"weight": 100.0}})
    (plain, alone), (method, networks) = (build(rollout=always(8), objectives=given) for given in settings)
    made, seen = spy(monkeypatch, rollouts, "autoregressive"), watch(networks["generator"])
    last = 0
    for step in range(24):
        seen.clear()
        loss, metrics = method.loss("generator", clips(4 * step), step)
        exit_at = int(made[-1][1].index[0])
        assert len(seen) == CHUNKS * (exit_at + 1) + CHUNKS - 1 + CHUNKS * (exit_at < 7)
        assert (metrics["sc"] > 0) == (exit_at < 7)
        if exit_at == 7:
            last += 1
            expected, _ = plain.loss("generator", clips(4 * step), step)
            assert torch.equal(loss, expected)
            pairs = [
                torch.autograd.grad(v, n.parameters())
                for v, n in ((loss, networks["generator"]), (expected, alone["generator"]))
            ]
            assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))
    assert last


def test_naive_sc_stops_at_the_levels_of_t8_on_rollouts_of_four_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 5's second row: t_s is an exit of T^(4), and t_m one of the finer T_train."""
    method, _ = build(rollout=always(4), objectives={"dmd": {"weight": 0.0}, "sc": {}})
    objective = spy(monkeypatch, sc, "sc_objective")
    four, eight = time_grid(4, 5.0), time_grid(8, 5.0)
    between = set()
    for step in range(12):
        metrics = method.loss("generator", clips(4 * step, 4), step)[1]
        assert metrics["steps"] == 4
        _, _, _, t_s, t_m, t_e, valid, *_ = objective[-1][0]
        assert valid.all(), "even the last exit of T^(4) has a level of T^(8) below it"
        assert set(t_s.tolist()) <= set(four)
        assert set(t_e.tolist()) <= {*four, 0.0}
        assert ((t_s > t_m) & (t_m > t_e)).all()
        between |= set(t_m.tolist())
    assert between <= set(eight)
    assert between - set(four)


def test_alignment_is_eq_12_on_features_of_both_rollouts_noised_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eq. (12) with whole relation matrices, and its gradient; both rollouts are made anew, chunk by chunk."""
    noise = {"u_max": 0.2, "shift": 5.0, "t_min": 0.02, "t_max": 0.5}
    align = {"weight": 1.0, "margin": 0.01, "noise": noise, "block": 0}
    method, networks = build(rollout=always(4), objectives={"dmd": {"weight": 0.0}, "align": align})
    asked, made = spy(monkeypatch, networks["teacher"], "features"), spy(monkeypatch, rollouts, "autoregressive")
    model: Any = networks["generator"]
    levels = set()
    for step in range(12):
        asked.clear()
        batch = clips(4 * step, 4)
        loss, metrics = method.loss("generator", batch, step)
        if not made[-1][1].index[0]:
            assert not asked, "no reference of a rollout that exits at its first step"
            assert "align" not in metrics
            continue
        (args_low, _), (args_ref, _) = asked
        assert torch.equal(args_low[1], args_ref[1]), "one t_f"
        t = args_low[1].view(-1, 1, 1, 1, 1)
        assert ((t >= 0.02) & (t <= 0.5)).all()
        levels |= set(args_low[1].tolist())
        (_, low), (_, ref) = made[-2:]

        def x_0_of(velocity: Any, x_s: Tensor, t_s: Tensor = low.t_s) -> Tensor:
            return x_s - t_s.view(-1, 1, 1, 1, 1) * velocity(x_s, t_s)

        x_0, better = (by_hand(model, one, batch.text, x_0_of) for one in (low, ref))
        eps = (args_ref[0] - (1 - t) * better.detach()) / t
        assert 0.6 < eps.std() < 1.4
        z_low, z_ref = (
            networks["teacher"].features((1 - t) * x + t * eps, t.flatten(), batch.text, [0])[0] for x in (x_0, better)
        )
        torch.testing.assert_close(args_low[0], (1 - t) * x_0 + t * eps, **CLOSE)
        unit_low, unit_ref = (z / z.norm(dim=-1, keepdim=True) for z in (z_low, z_ref.detach()))
        difference = (unit_low @ unit_low.mT - unit_ref @ unit_ref.mT).abs()
        expected = (difference - 0.01).clamp(min=0).mean()
        assert expected > 0
        torch.testing.assert_close(loss, expected, **CLOSE)
        parameters = list(model.parameters())
        for a, b in zip(*(torch.autograd.grad(value, parameters) for value in (loss, expected)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)
    assert len(levels) > 8


# ------------------------------------------------------------------------------- CausVid: noised data
def test_every_chunk_of_noised_data_has_its_own_level_in_one_block_causal_call() -> None:
    setting = causal_experiment(rollout={"kind": "noised_data"})
    model = causal_network(setting)
    seen: list[tuple[Tensor, Tensor]] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[:2]))
    batch = clips(0, 24)
    made = rollout_of(setting, model)(batch, 0, "generator")
    ((x_t, t),) = seen
    assert t.shape == (24, CHUNKS)
    grid = torch.tensor(time_grid(8, 5.0), dtype=torch.float64)
    assert torch.isin(t, grid).all()
    assert t.unique().numel() == 8
    assert torch.corrcoef(t.T).fill_diagonal_(0).abs().max() < 0.6, "chunks draw for themselves"
    wide = t[:, None, :, None, None]
    eps = (x_t - (1 - wide) * batch.x_0) / wide
    assert eps.std().item() == pytest.approx(1, abs=0.1)
    assert eps[t[:, None].expand(-1, 2, -1) == 1].std().item() == pytest.approx(1, abs=0.2)
    with torch.no_grad():
        expected = x_t - wide * model(x_t, t, batch.text)
    torch.testing.assert_close(made.x_0, expected, **CLOSE)
    assert made.x_0.shape == batch.x_0.shape
    assert made.steps == 8


def test_clean_chunks_are_the_data_and_have_no_gradient() -> None:
    """At level 0 the network sees the chunk as it is, and what it says of it changes nothing."""
    setting = causal_experiment(rollout={"kind": "noised_data", "clean": True})
    model = causal_network(setting)
    seen: list[tuple[Tensor, Tensor]] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[:2]))
    batch = clips(0, 24)
    made = rollout_of(setting, model)(batch, 0, "generator")
    ((x_t, t),) = seen
    clean = (t == 0)[:, None, :, None, None].expand_as(x_t)
    assert 0 < (t == 0).double().mean() < 0.3
    assert torch.equal(x_t[clean], batch.x_0[clean])
    assert torch.equal(made.x_0[clean], batch.x_0[clean])
    (gradient,) = torch.autograd.grad(made.x_0[clean].sum(), [next(model.parameters())], retain_graph=True)
    assert not gradient.any()
    (gradient,) = torch.autograd.grad(made.x_0[~clean].sum(), [next(model.parameters())])
    assert gradient.any()


def test_self_consistency_of_noised_data_gives_every_chunk_a_triple_at_one_more_call() -> None:
    method, networks = build(**CAUSVID_SC)
    calls: list[tuple[Tensor, ...]] = []
    networks["generator"].register_forward_hook(lambda module, args, v: calls.append((*args[:2], v)))
    value, metrics = method.loss("generator", clips(0, 8), 0)
    (_, t_s, v_s), (_, t_m, v_m) = calls
    assert ((t_m < t_s) | (t_s < 0.5)).all(), "only the last level has no triple"
    # x_1 - x_2 = (t_m - t_e) (v_m - v_s), and t_e is at most the level of T^(4) below t_m
    gap = (v_m - v_s).square().mean((1, 3, 4))
    upper = (t_m.square() * gap)[t_m < t_s].sum() / t_s.numel()
    assert 0 < metrics["sc"] <= upper.item() * (1 + 1e-9)
    assert value.item() == pytest.approx(metrics["sc"])
