"""Videos made chunk by chunk: against the sampler under hand-made contexts, and what may and may not cross chunks."""

from itertools import count, islice

import pytest
import torch
from torch.testing import assert_close

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.transport import cm_sample
from salt.rollout import autoregressive, by_chunk, fold_chunks, roll, unfold_chunks
from support.causal_nets import ALL, CLOSE, SIDE, causal, clip, fill, opened, prompt, times

GRID = time_grid(4, 5.0)
BATCH, CHUNKS = 2, 3
POLICIES = [
    ALL,
    Memory(window=2),
    Memory(window=2, sink=1),
    Memory(window=2, sink=1, sink_ema=0.5),
    Memory(window=2, sink=1, positions="relative"),
]


@pytest.fixture
def model():
    """In the third chunk of 2 frames, the first one has left a window of 2."""
    return causal(chunk=2)


def renoise(i, like):
    return clip(like.shape[2], len(like), seed=100 + i)


def rollout(model, policy, exit_at, chunks=CHUNKS, noise=None, judged_from=0):
    """A rollout on its own video, and the memory it leaves behind."""
    noise = clip(chunks * model.chunk, BATCH) if noise is None else noise
    memory = opened(model, policy, noise.shape[2], BATCH)
    index = torch.full((BATCH,), exit_at)
    text = prompt(BATCH)
    return autoregressive(model, memory, lambda _: text, noise, GRID, index, renoise, judged_from), memory


def watch(model):
    """[(1000 t, latents, with gradient)] of every call of the network from now on."""
    seen = []

    def look(module, args, kwargs):
        seen.append((kwargs["timestep"], kwargs["hidden_states"].detach(), torch.is_grad_enabled()))

    model.transformer.register_forward_pre_hook(look, with_kwargs=True)
    return seen


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("exit_at", [0, 2, 3])
def test_every_chunk_has_the_states_of_the_sampler_under_its_context(model, policy, exit_at):
    sample, _ = rollout(model, policy, exit_at)
    memory, text = opened(model, policy, CHUNKS * model.chunk, BATCH), prompt(BATCH)
    noise = clip(CHUNKS * model.chunk, BATCH)
    fresh = [renoise(i, noise) for i in range(3)]
    for frames in torch.arange(CHUNKS * model.chunk).split(model.chunk):
        context = memory.context()
        with torch.no_grad():
            states = cm_sample(
                lambda x, t, context=context: model.step(x, t, text, context),
                noise[:, :, frames],
                GRID,
                lambda i, like, frames=frames: fresh[i][:, :, frames],
                trajectory=True,
            )
            x_s = states[exit_at]
            v_s = model.step(x_s, times(GRID[exit_at], BATCH), text, context)
            x_0 = x_s - GRID[exit_at] * v_s
            model.remember(memory, x_0, text)
        for got, expected in ((sample.x_s, x_s), (sample.v_s, v_s), (sample.x_0, x_0)):
            assert_close(got[:, :, frames], expected, **CLOSE)
        if exit_at == 3:
            assert_close(sample.x_0[:, :, frames], states[-1], **CLOSE)
    assert_close(sample.t_s, times(GRID[exit_at], BATCH))
    assert sample.index.tolist() == [exit_at] * BATCH
    assert not sample.x_s.requires_grad


@pytest.mark.parametrize("exit_at", [0, 1, 3])
def test_calls_of_the_network_are_those_needed(model, exit_at):
    """n (e + 1) + (n - 1): up to the exit in every chunk, gradient only there, then once more to be remembered."""
    seen = watch(model)
    sample, memory = rollout(model, ALL, exit_at)
    one_chunk = [(1000 * t, i == exit_at) for i, t in enumerate(GRID[: exit_at + 1])]
    expected = ([*one_chunk, (0.0, False)] * CHUNKS)[:-1]
    assert len(expected) == CHUNKS * (exit_at + 1) + CHUNKS - 1
    assert [grad for *_, grad in seen] == [grad for _, grad in expected]
    for (asked, latents, _), (t, _) in zip(seen, expected, strict=True):
        assert_close(asked, torch.full((BATCH,), t, dtype=torch.float64))
        assert latents.shape[2] == model.chunk
    remembered = torch.cat([latents for asked, latents, _ in seen if not asked.any()], dim=2)
    assert torch.equal(remembered, sample.x_0[:, :, : -model.chunk]), "every chunk's x_0 but the last"
    assert memory.start == (CHUNKS - 1) * model.chunk


def test_no_gradient_leads_from_a_chunk_to_another(model):
    """At the first level x_s is the noise: a chunk's x_0 depends on the noise of those before, but only as a number."""
    noise = clip(CHUNKS * model.chunk, BATCH).requires_grad_()
    x_0 = rollout(model, ALL, 0, noise=noise)[0].x_0.split(model.chunk, dim=2)
    for i, one in enumerate(x_0):
        reached = torch.autograd.grad(one.sum(), noise, retain_graph=True)[0].split(model.chunk, dim=2)
        assert [bool(part.any()) for part in reached] == [j == i for j in range(CHUNKS)]
    changed = noise.detach().clone()
    changed[:, :, : model.chunk] += 1
    assert (rollout(model, ALL, 0, noise=changed)[0].x_0[:, :, -model.chunk :] - x_0[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_parameters_get_the_gradient_of_every_chunk_by_itself(model, policy):
    """The memory filled by hand with constants, and each chunk evaluated once at its x_s: nothing else counts."""
    sample, _ = rollout(model, policy, 1)
    text, expected = prompt(BATCH), 0
    memory = opened(model, policy, CHUNKS * model.chunk, BATCH)
    chunks = zip(*(x.detach().split(model.chunk, dim=2) for x in (sample.x_s, sample.x_0)), strict=True)
    for i, (x_s, x_0) in enumerate(chunks):
        v_s = model.step(x_s, sample.t_s, text, memory.context())
        expected = expected + (i + 1) * (x_s - GRID[1] * v_s).square().sum()
        model.remember(memory, x_0, text)
    loss = sum((i + 1) * x.square().sum() for i, x in enumerate(sample.x_0.split(model.chunk, dim=2)))
    pairs = zip(gradients(model, loss), gradients(model, expected), strict=True)
    for got, wanted in pairs:
        assert_close(got, wanted, **CLOSE)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_velocity_stays_that_of_each_chunk_when_the_memory_has_moved_on(policy):
    model, text = causal(chunk=1), prompt(BATCH)
    sample, memory = rollout(model, policy, 1, chunks=5)
    fill(model, memory, sample.x_0[:, :, -1:].detach(), text)
    assert torch.equal(sample.velocity(sample.x_s, sample.t_s), sample.v_s)
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    asked = sample.velocity(sample.x_s, t)
    late = torch.cat([model.step(x, t, text, memory.context()) for x in sample.x_s.split(1, dim=2)], dim=2)
    assert all((asked - late)[:, :, i].abs().max() > 1e-4 for i in range(5)), "the last context is none of theirs"


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_gradient_checkpointing_is_exact(policy):
    """Also for a second evaluation by `velocity`, as Eq. (8) makes it; both are recomputed in backward."""
    results, calls = [], []
    for checkpointing in (False, True):
        model = causal(chunk=1)
        if checkpointing:
            model.transformer.enable_gradient_checkpointing()
        sample, _ = rollout(model, policy, 1, chunks=4)
        second = sample.velocity(sample.x_s - 0.2 * sample.v_s, sample.t_s - 0.2)
        model.transformer.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
        results.append(gradients(model, (sample.x_0 * second).sum()))
        assert len(calls) == (8 if checkpointing else 0), "two evaluations of four chunks"
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert all(gradient.any() for gradient in results[0])


def test_nothing_is_kept_for_backward_without_gradient(model):
    with torch.no_grad():
        sample, _ = rollout(model, ALL, 2)
    assert not sample.x_0.requires_grad
    assert_close(sample.x_0, rollout(model, ALL, 2)[0].x_0.detach(), **CLOSE)


def test_a_clip_that_is_no_whole_number_of_chunks_is_refused():
    model = causal(chunk=2)
    with pytest.raises(SaltError, match="chunk=2"):
        rollout(model, ALL, 0, noise=clip(5, BATCH))


# ------------------------------------------------------------------------------------------------ roll
def plain(velocity, x, start):
    """One evaluation from noise to x_0."""
    return x - velocity(x, times(1.0, len(x)))


@torch.no_grad()
def test_rolling_on_for_ever_remembers_as_it_goes():
    """Noise is asked for one chunk at a time, the memory does not grow, and no video is too long."""
    model = causal(chunk=2, rope=8)
    policy = Memory(window=3, sink=1, positions="relative")
    memory = model.open_memory(policy, 1, SIDE, SIDE)
    asked, starts, size = [], [], memory.nbytes

    def noises():
        for i in count():
            asked.append(i)
            yield clip(2, seed=i)

    text = prompt()
    video = roll(model, memory, lambda start: starts.append(start) or text, noises(), plain)
    assert asked == []
    for made, x_0 in enumerate(islice(video, 12)):
        assert x_0.shape == clip(2).shape
        assert asked == list(range(made + 1))
        assert memory.start == 2 * made, "a chunk is remembered when the next one is asked for"
        assert len(memory.frames) <= 4
    assert starts == list(range(0, 24, 2))
    assert memory.nbytes == size


@torch.no_grad()
def test_rolling_on_from_a_memory_continues_its_video():
    model, text, noise = causal(chunk=1), prompt(), clip(5)
    whole = list(roll(model, opened(model, ALL, 5), lambda _: text, noise.split(1, dim=2), plain))
    memory = fill(model, opened(model, ALL, 5), torch.cat(whole[:2], dim=2), text)
    rest = list(roll(model, memory, lambda _: text, noise[:, :, 2:].split(1, dim=2), plain))
    assert_close(torch.cat(rest, dim=2), torch.cat(whole[2:], dim=2), **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("on_switch", ["keep", "recache"])
def test_a_prompt_is_switched_in_mid_video(on_switch, monkeypatch):
    """Chunks 0, 1, 2 under one prompt, 3 and 4 under another; the memory is computed anew once, or never."""
    model, old, new, noise = causal(chunk=1), prompt(), prompt(seed=9), clip(5)
    policy, switched = Memory(window=2, on_switch=on_switch), []
    switch = model.switch
    monkeypatch.setattr(model, "switch", lambda memory, text: (switched.append(memory.start), switch(memory, text)))
    memory = opened(model, policy, 5)
    video = list(roll(model, memory, lambda start: old if start < 3 else new, noise.split(1, dim=2), plain))
    assert switched == [3]
    by_hand = opened(model, policy, 5)
    for start, (x_0, x) in enumerate(zip(video, noise.split(1, dim=2), strict=True)):
        text = old if start < 3 else new
        if start == 3 and on_switch == "recache":
            model.recache(by_hand, new)
        assert_close(x_0, plain(lambda x, t, text=text: model.step(x, t, text, by_hand.context()), x, start), **CLOSE)
        model.remember(by_hand, x_0, text)
    unchanged = list(roll(model, opened(model, policy, 5), lambda _: old, noise.split(1, dim=2), plain))
    assert all(torch.equal(a, b) for a, b in zip(video[:3], unchanged[:3], strict=True))
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(video[3:], unchanged[3:], strict=True))


def test_folded_chunks_are_samples_in_order():
    x = clip(6, BATCH)
    folded = fold_chunks(x, 2)
    for sample in range(BATCH):
        for chunk in range(3):
            assert torch.equal(folded[3 * sample + chunk], x[sample, :, 2 * chunk : 2 * chunk + 2])
    assert torch.equal(unfold_chunks(folded, 3), x)


@torch.no_grad()
def test_velocity_by_chunk_is_one_call_for_the_whole_clip():
    model, text, x_t = causal(chunk=2), prompt(BATCH), clip(6, BATCH)
    t = torch.tensor([[0.2, 0.9, 0.5], [1.0, 0.1, 0.7]], dtype=torch.float64)
    seen = watch(model)
    v = by_chunk(lambda x, t: model(x, t, text), 3, 2)(fold_chunks(x_t, 2), t.flatten())
    assert len(seen) == 1
    assert_close(unfold_chunks(v, 3), model(x_t, t, text))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_what_comes_before_the_judged_frames_is_remembered_and_nothing_else(model, policy):
    """The same video as a whole rollout's, of which only the last chunk is returned, with its gradient alone."""
    whole, _ = rollout(model, policy, 1)
    seen = watch(model)
    part, memory = rollout(model, policy, 1, judged_from=2 * model.chunk)
    for name in ("x_s", "v_s", "x_0"):
        assert_close(getattr(part, name), getattr(whole, name)[:, :, 2 * model.chunk :], **CLOSE)
    assert sum(grad for *_, grad in seen) == 1
    assert memory.start == (CHUNKS - 1) * model.chunk
    last = whole.x_0[:, :, 2 * model.chunk :]
    for got, wanted in zip(gradients(model, part.x_0.sum()), gradients(model, last.sum()), strict=True):
        assert_close(got, wanted, **CLOSE)
