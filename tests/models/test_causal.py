"""The causal transformer: a whole clip against chunk by chunk and against diffusers' own, policies, and mistakes."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.models.causal import CausalWan
from salt.models.wan import build_wan, load_wan, save_wan
from support.causal_nets import ALL, CLOSE, PLAIN, SIDE, causal, clip, fill, opened, prompt, times


@torch.no_grad()
def by_chunks(model: CausalWan, policy: Memory, noisy: Tensor, t: Tensor, text: Tensor, clean: Tensor) -> Tensor:
    """The velocity of `noisy`, a time per chunk `(B, chunks)`, each chunk seeing the clean ones before it."""
    memory, velocities = opened(model, policy, noisy.shape[2], len(noisy)), []
    for i, (x_t, x_0) in enumerate(zip(noisy.split(model.chunk, 2), clean.split(model.chunk, 2), strict=True)):
        velocities.append(model.step(x_t, t[:, i], text, memory.context()))
        model.remember(memory, x_0, text)
    return torch.cat(velocities, dim=2)


@st.composite
def settings_of_a_clip(draw: st.DrawFn) -> tuple[CausalWan, Memory, int, int]:
    """A model with its policy, chunks and batch."""
    chunk = draw(st.integers(1, 3))
    window = draw(st.none() | st.integers(1, 4))
    sink = 0 if window is None else draw(st.integers(0, min(window, 2)))
    policy = Memory(window=window, sink=sink)
    patch = draw(st.sampled_from([(1, 1, 1), (1, 2, 2), (1, 2, 4)]))
    model = causal(chunk, policy, patch, seed=draw(st.integers(0, 99)))
    return model, policy, draw(st.integers(1, 4)), draw(st.integers(1, 2))


@settings(max_examples=12, deadline=None)
@given(settings_of_a_clip())
def test_a_whole_clip_is_its_chunks_one_by_one(case: tuple[CausalWan, Memory, int, int]) -> None:
    """A memory holds clean chunks, so all are clean but the last, which is at any time."""
    model, policy, chunks, batch = case
    x_t, text, t = clip(chunks * model.chunk, batch), prompt(batch), torch.zeros(batch, chunks, dtype=torch.float64)
    t[:, -1] = torch.linspace(0.3, 1, batch)
    with torch.no_grad():
        whole = model(x_t, t, text)
    torch.testing.assert_close(whole, by_chunks(model, policy, x_t, t, text, x_t), **CLOSE)


@settings(max_examples=12, deadline=None)
@given(settings_of_a_clip())
def test_teacher_forcing_is_chunks_that_remember_clean_ones(case: tuple[CausalWan, Memory, int, int]) -> None:
    model, policy, chunks, batch = case
    clean, noisy = (clip(chunks * model.chunk, batch, seed) for seed in (0, 1))
    text = prompt(batch)
    t = torch.rand(batch, chunks, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        forced = model(noisy, t, text, clean)
        same_time = model(noisy, t[:, 0], text, clean)
    torch.testing.assert_close(forced, by_chunks(model, policy, noisy, t, text, clean), **CLOSE)
    expected = by_chunks(model, policy, noisy, t[:, :1].expand(-1, chunks), text, clean)
    torch.testing.assert_close(same_time, expected, **CLOSE)


@torch.no_grad()
def test_one_chunk_is_diffusers_bidirectional_transformer() -> None:
    model, x_t, t, text = causal(chunk=4), clip(4, 2), torch.tensor([0.3, 0.9]).double(), prompt(2)
    theirs = model.transformer(x_t, 1000 * t, text).sample
    torch.testing.assert_close(model(x_t, t, text), theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(model(x_t, t[:, None], text), theirs, **CLOSE)
    torch.testing.assert_close(model.step(x_t, t, text, opened(model, ALL, 4, 2).context()), theirs, **CLOSE)


@torch.no_grad()
def test_fused_projections_change_nothing() -> None:
    x_0, text = clip(3), prompt()
    plain, fused = causal(1), causal(1)
    fused.transformer.fuse_qkv_projections()
    for block in fused.transformer.blocks:
        block.attn1.to_q = block.attn1.to_k = block.attn1.to_v = None  # they are not asked
    torch.testing.assert_close(fused(x_0, times(0.5), text), plain(x_0, times(0.5), text), **CLOSE)


@torch.no_grad()
def test_the_transformer_itself_stays_bidirectional_to_the_bit() -> None:
    plain = build_wan(PLAIN, seed=3)
    model = CausalWan(copy.deepcopy(plain.transformer), chunk=1)
    x_t, t, text = clip(3).float(), torch.tensor([0.4]), prompt().float()
    model(x_t, t, text)
    assert torch.equal(model.transformer(x_t, 1000 * t, text).sample, plain(x_t, t, text))
    assert not torch.allclose(model(x_t, t, text), plain(x_t, t, text), atol=1e-3)


@torch.no_grad()
def test_a_chunk_does_not_see_later_ones_and_sees_earlier_ones() -> None:
    model, x_t, text = causal(chunk=2), clip(6), prompt()
    before = model(x_t, times(0.5), text).split(2, dim=2)
    x_t[:, :, 2:4] += 1
    after = model(x_t, times(0.5), text).split(2, dim=2)
    assert torch.equal(before[0], after[0])
    for chunk in (1, 2):
        assert (before[chunk] - after[chunk]).abs().max() > 1e-3


@torch.no_grad()
def test_a_noisy_chunk_does_not_see_other_noisy_ones_nor_its_own_clean_one() -> None:
    model, noisy, clean, text = causal(chunk=1), clip(3), clip(3, seed=5), prompt()
    before = model(noisy, times(0.5), text, clean)
    noisy[:, :, 0] += 1
    clean[:, :, 1] += 1
    after = model(noisy, times(0.5), text, clean)
    assert torch.equal(before[:, :, 1], after[:, :, 1])
    for chunk in (0, 2):
        assert (before[:, :, chunk] - after[:, :, chunk]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(
    "policy",
    [
        Memory(window=6),
        Memory(window=4, sink=2),
        Memory(window=4, sink=2, sink_ema=0.9),
        Memory(window=6, positions="relative"),
        Memory(positions="relative"),
    ],
    ids=str,
)
def test_a_policy_that_covers_the_video_is_the_full_memory(policy: Memory) -> None:
    model, x_t, x_0, text = causal(chunk=2), clip(2, seed=8), clip(6), prompt()
    full = fill(model, opened(model, ALL, 8), x_0, text)
    other = fill(model, opened(model, policy, 8), x_0, text)
    expected = model.step(x_t, times(0.7), text, full.context())
    torch.testing.assert_close(model.step(x_t, times(0.7), text, other.context()), expected, **CLOSE)
    whole = causal(chunk=2, memory=policy)(torch.cat([x_0, x_t], dim=2), times(0.7), text)
    torch.testing.assert_close(whole, model(torch.cat([x_0, x_t], dim=2), times(0.7), text), **CLOSE)


@torch.no_grad()
def test_relative_positions_equal_absolute_ones_far_into_a_video() -> None:
    """Without a sink, all positions are shifted alike, and the rotary embedding sees differences only."""
    x_0, x_t, text = clip(20), clip(1, seed=7), prompt()
    velocities = []
    for positions, rope in (("absolute", 64), ("relative", 5)):
        model = causal(chunk=1, rope=rope)
        memory = fill(model, model.open_memory(Memory(window=4, positions=positions), 1, SIDE, SIDE), x_0, text)
        velocities.append(model.step(x_t, times(0.6), text, memory.context()))
    torch.testing.assert_close(*velocities, **CLOSE)


@torch.no_grad()
def test_the_sink_is_kept_for_ever_and_averages_on_request() -> None:
    model, x_t, text = causal(chunk=1), clip(1, seed=7), prompt()
    x_0 = clip(9)
    other = torch.cat([x_0[:, :, :1] + 1, x_0[:, :, 1:]], dim=2)
    for policy in (Memory(window=2, sink=1), Memory(window=2, sink=1, sink_ema=0.5)):
        contexts = [fill(model, opened(model, policy, 9), video, text).context() for video in (x_0, other)]
        first, second = (model.step(x_t, times(0.5), text, context) for context in contexts)
        assert (first - second).abs().max() > 1e-4
    kept, averaged = (
        fill(model, opened(model, Memory(window=2, sink=1, sink_ema=ema), 9), x_0, text).context()
        for ema in (None, 0.5)
    )
    tokens = kept.keys.shape[-2] // 3
    start = fill(model, opened(model, ALL, 9), x_0[:, :, :1], text).context()
    assert torch.equal(kept.keys[..., :tokens, :], start.keys)
    assert not torch.allclose(averaged.keys[..., :tokens, :], start.keys, atol=1e-3)


def test_weights_go_both_ways(tmp_path: Path) -> None:
    plain = build_wan(PLAIN, seed=3)
    keys = list(plain.state_dict())
    model = CausalWan(copy.deepcopy(plain.transformer), chunk=1)
    assert list(model.state_dict()) == keys
    save_wan(model, tmp_path / "causal")
    loaded = load_wan(tmp_path / "causal", expect=PLAIN)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), plain.parameters(), strict=True))
    x_t, t, text = clip(2).float(), torch.tensor([0.4]), prompt().float()
    with torch.no_grad():
        torch.testing.assert_close(loaded(x_t, t, text), plain(x_t, t, text))
        torch.testing.assert_close(CausalWan(loaded.transformer, chunk=1)(x_t, t, text), model(x_t, t, text))


def test_a_copy_stands_alone_and_a_transformer_can_be_wrapped_twice() -> None:
    model, x_t, text = causal(chunk=1), clip(4), prompt()
    twin = copy.deepcopy(model)
    pairs = CausalWan(twin.transformer, chunk=2)
    with torch.no_grad():
        expected = model(x_t, times(0.5), text)
        for parameter in model.parameters():
            parameter.zero_()
        assert torch.equal(twin(x_t, times(0.5), text), expected)
        assert not torch.allclose(pairs(x_t, times(0.5), text), expected, atol=1e-3)
        memory = opened(twin, ALL, 4)
        twin.remember(memory, x_t[:, :, :1], text)
        step = twin.step(x_t[:, :, 1:2], times(0.0), text, memory.context())
        torch.testing.assert_close(step, twin(x_t, times(0.0), text)[:, :, 1:2], **CLOSE)


ERRORS = {
    "frames": (
        lambda: causal(chunk=3)(clip(7), times(0.5), prompt()),
        "latent frames=7, but a video is made in chunks of chunk=3: a multiple of it is expected, e.g. 6 or 9",
    ),
    "patch": (
        lambda: causal(chunk=1, patch=(2, 2, 2)),
        "backbone.patch_size=[2, 2, 2]: a causal model has patches of 1",
    ),
    "chunk to step": (
        lambda: causal(chunk=2).step(clip(3), times(0.5), prompt(), opened(causal(chunk=2), ALL, 4).context()),
        "3 latent frames given as a chunk, but chunk=2",
    ),
    "chunk to remember": (
        lambda: causal(chunk=2).remember(opened(causal(chunk=2), ALL, 4), clip(1), prompt()),
        "1 latent frames given as a chunk, but chunk=2",
    ),
    "no bound": (
        lambda: causal(chunk=1).open_memory(ALL, 1, SIDE, SIDE),
        "memory.window=None keeps all frames: capacity_frames, the video's length, is needed",
    ),
    "rope, clip": (
        lambda: causal(chunk=1, rope=8)(clip(9), times(0.5), prompt()),
        "latent frame 8 is beyond the rotary table: backbone.rope_max_seq_len=8 allows 8 frames; shorten",
    ),
    "rope, video": (
        lambda: opened(causal(chunk=1, rope=8), Memory(window=2), 9),
        "latent frame 8 is beyond the rotary table: backbone.rope_max_seq_len=8",
    ),
    "rope, window": (
        lambda: causal(chunk=2, rope=8).open_memory(Memory(window=6, sink=1, positions="relative"), 1, SIDE, SIDE),
        "latent frame 8 is beyond the rotary table: backbone.rope_max_seq_len=8",
    ),
    "rope, unknown length": (
        lambda: fill(
            model := causal(chunk=1, rope=8), model.open_memory(Memory(window=2), 1, SIDE, SIDE), clip(9), prompt()
        ),
        "or set a window and memory.positions: relative",
    ),
    "relative clip": (
        lambda: causal(1, Memory(window=2, positions="relative"))(clip(4), times(0.5), prompt()),
        "memory.positions=relative cannot be a mask over a clip of 4 latent frames, of which some leave",
    ),
    "ema clip": (
        lambda: causal(1, Memory(window=2, sink=1, sink_ema=0.9))(clip(5), times(0.5), prompt()),
        "memory.sink_ema=0.9 cannot be a mask over a clip of 5 latent frames",
    ),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_a_mistake_is_one_line(mistake: str) -> None:
    make, expected = ERRORS[mistake]
    with pytest.raises(SaltError) as caught:
        make()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_a_failed_call_leaves_the_transformer_usable() -> None:
    model, x_t, t, text = causal(chunk=1), clip(2), times(0.5), prompt()
    expected = model.transformer(x_t, 1000 * t, text).sample
    with pytest.raises(RuntimeError):
        model(x_t, t, prompt()[..., :1])
    assert torch.equal(model.transformer(x_t, 1000 * t, text).sample, expected)
