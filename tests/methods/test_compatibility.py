"""Any memory policy with any autoregressive method, for a clip and for videos four times as long."""

from typing import Any

import pytest
import torch

from salt.errors import SaltError
from salt.flow.path import batch_time
from salt.rollout import roll
from support.students import CHUNKS, SALT, build, causal_experiment, causal_network, clips
from support.tiny import TEXT

POLICIES: dict[str, dict[str, Any]] = {
    "full (Self Forcing)": {},
    "rolling window": {"window": 1},
    "window and sink (LongLive)": {"window": 2, "sink": 1},
    "EMA sink (Reward Forcing)": {"window": 1, "sink": 1, "sink_ema": 0.9},
    "relative positions (Infinity-RoPE)": {"window": 1, "sink": 1, "positions": "relative"},
    "re-cached on a switch": {"window": 2, "sink": 1, "on_switch": "recache"},
}
BASELINE: dict[str, Any] = {"rollout": {"kind": "autoregressive"}}
HISTORY: dict[str, Any] = {"history": {"clips": 2, "switch": 1.0}}
METHODS = {
    "Self Forcing": BASELINE,
    "Salt": SALT,
    "Self Forcing, long": BASELINE | {"rollout": BASELINE["rollout"] | HISTORY},
    "Salt, long": SALT | {"rollout": SALT["rollout"] | HISTORY},
}
LONG = 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("policy", POLICIES)
def test_every_method_trains_under_every_policy(policy: str, method: str) -> None:
    """Both roles of several updates, so that all K come: finite losses, and a gradient for every parameter."""
    distill, networks = build(causal={"chunk": 1, "memory": POLICIES[policy]}, **METHODS[method])
    for step in range(3):
        for role, network in distill.trainable.items():
            network.zero_grad()
            loss, _ = distill.loss(role, clips(2 * step), step)
            loss.backward()
            grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            assert loss.isfinite()
            assert grads
            assert all(bool(grad.isfinite().all()) for grad in grads)
    assert any(bool(grad.any()) for grad in grads)
    assert set(networks) >= set(distill.trainable)


@pytest.mark.parametrize("length", [1, LONG])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_makes_videos_of_any_length(policy: str, length: int) -> None:
    setting = causal_experiment(causal={"chunk": 1, "memory": POLICIES[policy]})
    model, frames = causal_network(setting), length * CHUNKS
    noise = torch.randn(1, 2, frames, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    told = [torch.full((1, *TEXT), value, dtype=torch.float64) for value in (0.5, -0.5)]
    memory = model.open_memory(setting.causal.memory, 1, 2, 2, frames)
    with torch.no_grad():
        made = list(
            roll(
                model,
                memory,
                lambda start: told[start >= frames // 2],
                noise.split(1, dim=2),
                lambda velocity, x, start: x - velocity(x, batch_time(1.0, x)),
            )
        )
    assert len(made) == frames
    assert all(bool(x.isfinite().all()) for x in made)


@pytest.mark.parametrize(("positions", "fits"), [("absolute", False), ("relative", True)])
def test_only_relative_positions_go_beyond_the_rotary_table(positions: str, fits: bool) -> None:
    """The table of these networks has 16 places."""
    setting = causal_experiment(causal={"chunk": 1, "memory": {"window": 1, "positions": positions}})
    model, frames = causal_network(setting), 17
    noise, text = torch.zeros(1, 2, frames, 2, 2, dtype=torch.float64), torch.zeros(1, *TEXT, dtype=torch.float64)

    @torch.no_grad()
    def video() -> int:
        memory = model.open_memory(setting.causal.memory, 1, 2, 2, frames)
        return sum(1 for _ in roll(model, memory, lambda _: text, noise.split(1, dim=2), lambda v, x, start: x))

    if fits:
        assert video() == frames
    else:
        with pytest.raises(SaltError, match=r"beyond the rotary table.*set a window and memory.positions: relative"):
            video()
