"""Our causal network, whole clips and through the cache, beside the published ones."""

from typing import Any

import pytest
import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.flow.grid import time_grid
from salt.rollout import noised_data
from salt.rollout.autoregressive import by_chunk, fold_chunks, unfold_chunks
from support.published import GRADIENTS, VALUES, apart, causal_wan, gradients, published

APART = 0.1
"""What is not meant is further away than this."""
FULL = Memory()
LONGLIVE = Memory(window=6, sink=3)
INFINITY = Memory(window=6, sink=3, positions="relative")
SHORT = Memory(window=2, sink=1, positions="relative")


def largest(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).detach().abs().max())


# ---------------------------------------------------------------------------------------- whole clips
@torch.no_grad()
def test_a_clip_with_a_time_for_each_chunk_or_one_for_all() -> None:
    case = published("forward_block_causal")
    network = causal_wan(case["weights"])
    by_chunk_times = network(case["x_t"], case["t"], case["text"])
    one_time = network(case["x_t"], case["t_clip"], case["text"])
    assert largest(by_chunk_times, case["velocity"]) < VALUES
    assert largest(one_time, case["velocity_clip"]) < VALUES
    assert largest(one_time, case["velocity"]) > APART


@torch.no_grad()
def test_teacher_forcing() -> None:
    case = published("forward_teacher_forcing")
    network = causal_wan(case["weights"])
    forced = network(case["x_t"], case["t"], case["text"], case["clean"])
    assert largest(forced, case["velocity"]) < VALUES
    assert largest(network(case["x_t"], case["t"], case["text"]), case["velocity"]) > APART


# ---------------------------------------------------------------------------------------- chunk by chunk
@torch.no_grad()
def through_the_cache(case: dict[str, Any], policy: Memory) -> Tensor:
    """velocity[chunk, time]: each chunk is evaluated at all times, then remembered as it is."""
    network, x_t, text = causal_wan(case["weights"]), case["x_t"], case["text"]
    memory = network.open_memory(policy, len(x_t), *x_t.shape[-2:], x_t.shape[2])
    found = []
    for chunk in x_t.split(network.chunk, dim=2):
        found.append(torch.stack([network.step(chunk, t, text, memory.context()) for t in case["times"][:, None]]))
        network.remember(memory, chunk, text)
    return torch.stack(found)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("cache_full", FULL),
        ("cache_local_sink", LONGLIVE),
        ("cache_relative", INFINITY),
        ("cache_relative_short_window", SHORT),
    ],
)
def test_chunks_through_the_cache(name: str, policy: Memory) -> None:
    case = published(name)
    assert (case["window"], case["sink"]) == (-1 if policy.window is None else policy.window, policy.sink)
    assert largest(through_the_cache(case, policy), case["velocity"]) < VALUES


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("cache_full", Memory(window=6)),
        ("cache_full", Memory(window=6, sink=3)),
        ("cache_local_sink", Memory(window=9, sink=3)),
        ("cache_local_sink", Memory(window=6)),
        ("cache_local_sink", INFINITY),
        ("cache_relative", Memory(window=9, sink=3, positions="relative")),
        ("cache_relative", Memory(window=6, positions="relative")),
        ("cache_relative", LONGLIVE),
        ("cache_relative_short_window", Memory(window=3, sink=1, positions="relative")),
        ("cache_relative_short_window", Memory(window=2, positions="relative")),
        ("cache_relative_short_window", Memory(window=2, sink=1)),
    ],
)
def test_another_policy_is_told_apart(name: str, policy: Memory) -> None:
    case = published(name)
    assert largest(through_the_cache(case, policy), case["velocity"]) > APART


# ---------------------------------------------------------------------------------------- chunks of data
@pytest.mark.parametrize("theirs", [False, True], ids=["ours", "with their sigma at level 0"])
def test_noised_chunks_agree_but_at_level_zero(theirs: bool) -> None:
    """CausVid's list of levels ends with 0, and its network is told 0 there, but its table has sigma = .0079.

    So its x_0 there is the data less .0079 v, with a gradient; ours, whose sigma is t, is the data, without one.
    """
    case = published("causvid_level0")
    network, (_, number) = causal_wan(case["weights"]), case["index"].shape
    data, noise = (fold_chunks(case[name], network.chunk) for name in ("x_0_data", "noise"))
    index, grid = case["index"].flatten(), (*time_grid(4, 8.0), 0.0)
    velocity = by_chunk(lambda x_t, t: network(x_t, t, case["text"]), number, network.chunk)
    sample = noised_data(velocity, data, grid, noise, index)
    x_0, clean = sample.x_0, index == len(grid) - 1
    assert torch.equal(sample.x_s[clean], data[clean])
    assert torch.equal(x_0[clean], data[clean])
    (of_v,) = torch.autograd.grad(x_0.sum(), sample.v_s, retain_graph=True)
    assert [bool(each.any()) for each in of_v] == (~clean).tolist()
    if theirs:
        x_0 = torch.where(clean.view(-1, 1, 1, 1, 1), data - case["sigma_at_level0"] * sample.v_s, x_0)

    for found, name, bound in ((sample.x_s, "x_s", 1e-6), (sample.v_s, "v_s", VALUES)):
        assert largest(unfold_chunks(found, number), case[name]) < bound
    published_x_0 = fold_chunks(case["x_0"], network.chunk)
    assert largest(x_0[~clean], published_x_0[~clean]) < VALUES
    loss = (case["cotangent"] * unfold_chunks(x_0, number)).mean()
    loss.backward()
    difference = apart(gradients(network), case["grad"])
    if theirs:
        assert largest(x_0, published_x_0) < VALUES
        assert float(loss.detach()) == pytest.approx(case["loss"], abs=1e-6)
        assert difference < GRADIENTS
    else:
        assert largest(x_0[clean], published_x_0[clean]) > 1e-2
        assert 1e-3 < difference < 1e-2
