"""A causal model in a rollout: gradients while the memory rolls on, the text's keys, a change of prompt."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from salt.config.memory import Memory
from support.causal_nets import ALL, CLOSE, SIDE, causal, clip, fill, opened, prompt, times


def rollout_gradients(policy: Memory, checkpointing: bool) -> list[Tensor]:
    """Every chunk is evaluated with gradient, then remembered; backward comes when the memory has long rolled on."""
    model, text = causal(chunk=1), prompt()
    if checkpointing:
        model.transformer.enable_gradient_checkpointing()
    memory, loss = model.open_memory(policy, 1, SIDE, SIDE, 6), torch.zeros((), dtype=torch.float64)
    for i, noise in enumerate(clip(6).split(1, dim=2)):
        x_0 = noise - model.step(noise, times(1.0), text, memory.context())
        loss = loss + (i + 1) * x_0.square().mean()
        model.remember(memory, x_0, text)
    loss.backward()
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize(
    "policy",
    [
        ALL,
        Memory(window=2),
        Memory(window=1, sink=1, sink_ema=0.5),
        Memory(window=2, sink=1, positions="relative"),
    ],
    ids=str,
)
def test_gradient_checkpointing_is_exact_while_the_memory_rolls(policy: Memory) -> None:
    for kept, recomputed in zip(rollout_gradients(policy, False), rollout_gradients(policy, True), strict=True):
        assert torch.equal(kept, recomputed)
        assert kept.isfinite().all()


def test_gradient_checkpointing_of_a_whole_clip_is_exact() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = causal(chunk=1, memory=Memory(window=1, sink=1))
        if checkpointing:
            model.transformer.enable_gradient_checkpointing()
        model(clip(4), times(0.5), prompt(), clip(4, seed=3)).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_no_gradient_crosses_chunks() -> None:
    model, text, first = causal(chunk=1), prompt(), clip(1).requires_grad_()
    memory = opened(model, ALL, 2)
    model.remember(memory, first, text)
    context = memory.context()
    assert not context.keys.requires_grad
    assert not context.values.requires_grad
    second = clip(1, seed=1).requires_grad_()
    model.step(second, times(0.5), text, context).sum().backward()
    assert first.grad is None
    assert second.grad.abs().max() > 0


def test_text_keys_are_computed_once_per_prompt_and_afresh_with_gradients() -> None:
    model, text, other = causal(chunk=1), prompt(), prompt(seed=9)
    calls = []
    for block in model.transformer.blocks:
        block.attn2.to_k.register_forward_hook(lambda *_: calls.append(1))
    memory, x_t = opened(model, ALL, 9), clip(1)
    with torch.no_grad():
        for _ in range(3):
            model.step(x_t, times(0.5), text, memory.context())
            model.remember(memory, x_t, text)
        assert len(calls) == 2, "one per layer"
        with_cache = model.step(x_t, times(0.5), other, memory.context())
        assert len(calls) == 4, "another prompt"
    afresh = model.step(x_t, times(0.5), other, memory.context())
    assert len(calls) == 6
    torch.testing.assert_close(with_cache, afresh.detach(), **CLOSE)
    assert (afresh - model.step(x_t, times(0.5), text, memory.context())).abs().max() > 1e-4
    afresh.sum().backward()
    assert all(block.attn2.to_k.weight.grad.abs().max() > 0 for block in model.transformer.blocks)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_recaching_is_a_fresh_memory_under_the_new_prompt(positions: str) -> None:
    model, old, new, x_0, x_t = causal(chunk=2), prompt(), prompt(seed=9), clip(6), clip(2, seed=7)
    policy = Memory(window=6, positions=positions, on_switch="recache")
    memory = fill(model, opened(model, policy, 12), x_0, old)
    before = model.step(x_t, times(0.5), new, memory.context())
    model.switch(memory, new)
    fresh = fill(model, opened(model, policy, 12), x_0, new)
    after = model.step(x_t, times(0.5), new, memory.context())
    assert torch.equal(after, model.step(x_t, times(0.5), new, fresh.context()))
    assert (before - after).abs().max() > 1e-4
    for chunk in clip(6, seed=4).split(2, dim=2):
        model.remember(memory, chunk, new)
        model.remember(fresh, chunk, new)
    assert torch.equal(memory.context().keys, fresh.context().keys), "the rings turn alike afterwards"


@torch.no_grad()
def test_recaching_a_rolled_memory_keeps_its_frames_and_their_places() -> None:
    model, old, new = causal(chunk=2), prompt(), prompt(seed=9)
    memory = opened(model, Memory(window=3, sink=1, on_switch="recache"), 20)
    fill(model, memory, clip(8), old)
    frames, start, shape = memory.frames, memory.start, memory.context().keys.shape
    model.recache(memory, new)
    context = memory.context()
    assert (memory.frames, memory.start, context.place) == (frames, start, start) == ([0, 5, 6, 7], 8, 8)
    assert context.keys.shape == shape


@torch.no_grad()
def test_keeping_on_a_switch_keeps_the_memory() -> None:
    model = causal(chunk=1)
    memory = fill(model, opened(model, ALL, 3), clip(2), prompt())
    context = memory.context()
    model.switch(memory, prompt(seed=9))
    assert memory.context() is context


class NoWaiting(TorchDispatchMode):
    """Refuses operations whose result the host must wait for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.name() not in ("aten::_local_scalar_dense", "aten::equal", "aten::nonzero"), func
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def test_the_host_never_waits_for_the_device() -> None:
    model, x_t, text, t = causal(chunk=1), clip(1), prompt(), times(0.5)
    policy = Memory(window=2, sink=1, sink_ema=0.5, positions="relative", on_switch="recache")
    memory = opened(model, policy, 9)
    with NoWaiting():
        for _ in range(5):
            model.step(x_t, t, text, memory.context())
            model.remember(memory, x_t, text)
        model.switch(memory, text)
        model(x_t, t, text)
    with pytest.raises(AssertionError), NoWaiting():
        t.item()
