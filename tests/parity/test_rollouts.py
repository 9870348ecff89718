"""Our rollout through the cache, and its gradients, beside those of the published trainers (`tests/parity`)."""

from typing import Any

import pytest
import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.models.causal import CausalWan
from salt.objectives.sc import sc_objective
from salt.rollout.autoregressive import autoregressive
from salt.rollout.sample import Sample
from support.published import GRADIENTS, VALUES, apart, causal_wan, gradients, published

ROLLOUTS = [f"rollout_{name}_exit{i}" for name, exits in (("self_forcing", "013"), ("longlive", "03")) for i in exits]
CARRIED = pytest.mark.parametrize(("carry", "expected"), [(False, "grad_none"), (True, "grad_released")])


def rollout(case: dict[str, Any], carry: bool) -> tuple[CausalWan, Sample]:
    """The file's network, rolled out on its noise up to its exit."""
    network, noise = causal_wan(case["weights"]), case["noise"]
    window = None if case.get("window", -1) == -1 else int(case["window"])
    policy = Memory(window=window, sink=int(case.get("sink", 0)))
    memory = network.open_memory(policy, len(noise), *noise.shape[-2:], noise.shape[2])

    def renoise(i: int, like: Tensor) -> Tensor:
        return case["renoise"][i]

    index = torch.full((len(noise),), int(case["exit"]))
    text = case["text"]
    grid = tuple(case["grid"].tolist())
    return network, autoregressive(network, memory, lambda _: text, noise, grid, index, renoise, 0, carry)


@pytest.mark.parametrize("name", ROLLOUTS)
@CARRIED
def test_rollouts_and_their_gradients_are_the_published_ones(name: str, carry: bool, expected: str) -> None:
    case = published(name)
    network, sample = rollout(case, carry)
    assert (sample.x_0 - case["x_0"]).abs().max() < VALUES
    loss = (case["cotangent"] * sample.x_0).mean()
    assert float(loss.detach()) == pytest.approx(case["loss"], abs=1e-6)
    loss.backward()
    assert apart(gradients(network), case[expected]) < GRADIENTS
    assert apart(gradients(network), case["grad_none" if carry else "grad_released"]) > 0.1


@pytest.mark.parametrize("name", ["self_consistency_exit2", "self_consistency_exit4"])
@CARRIED
def test_self_consistency_under_the_cache_is_the_published_one(name: str, carry: bool, expected: str) -> None:
    case = published(name)
    network, sample = rollout(case, carry)
    t_m, t_e = (torch.full((1,), float(case[key]), dtype=torch.float64) for key in ("t_m", "t_e"))
    every = torch.ones(1, dtype=torch.bool)
    loss = sc_objective(
        sample.velocity, sample.x_s, sample.v_s, sample.t_s, t_m, t_e, every, "composed", "one_minus_ts"
    ).mean()
    assert float(loss.detach()) == pytest.approx(case["loss"], rel=1e-5)
    loss.backward()
    assert apart(gradients(network), case[expected]) < GRADIENTS
