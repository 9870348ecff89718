"""The memory by itself: which frames it holds, where it places them; nothing grows or changes under a reader."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.models.memory import UNBOUNDED, KVMemory, Rotation, TextCache, remembered, rotate

LAYERS, BATCH, HEADS, TOKENS, CHANNELS = 2, 1, 1, 2, 4


@dataclass
class Rotary:
    """No rotation at all, and a record of the positions asked for."""

    asked: list[list[int]] = field(default_factory=list)

    def __call__(self, places: Sequence[int]) -> Rotation:
        self.asked.append(list(places))
        ones = torch.ones(len(places) * TOKENS, CHANNELS // 2)
        return ones, torch.zeros_like(ones)


def open_memory(policy: Memory, capacity: int = UNBOUNDED, rotary: Rotary | None = None) -> KVMemory:
    slots = capacity if policy.window is None else policy.sink + policy.window
    buffer = torch.zeros(2, LAYERS, BATCH, HEADS, slots, TOKENS, CHANNELS)
    latents = torch.zeros(BATCH, 1, slots, 1, 1) if policy.on_switch == "recache" else None
    return KVMemory(policy, buffer, rotary or Rotary(), capacity, latents)


def write(memory: KVMemory, chunk: int) -> None:
    """Frame f has keys f, values f + 1000 and latents f + 2000; layer 1 has their negatives."""
    frames = memory.start + torch.arange(chunk, dtype=torch.float32)
    keys = frames.repeat_interleave(TOKENS).view(1, 1, -1, 1).expand(BATCH, HEADS, -1, CHANNELS)
    layers = [(keys, keys + 1000), (-keys, -keys - 1000)]
    memory.write(layers, (frames + 2000).view(1, 1, -1, 1, 1))


def read(rows: Tensor) -> list[float]:
    """The frames in `(..., N, D)` keys or values of one layer, ordered."""
    frames = rows.reshape(-1, TOKENS, CHANNELS)
    assert (frames == frames[:, :1, :1]).all()
    return sorted(frames[:, 0, 0].tolist())


@pytest.mark.parametrize(
    ("start", "window", "sink", "frames"),
    [
        (0, None, 0, []),
        (5, None, 0, [0, 1, 2, 3, 4]),
        (5, 2, 0, [3, 4]),
        (5, 2, 1, [0, 3, 4]),
        (5, 4, 3, [0, 1, 2, 3, 4]),
        (9, 3, 3, [0, 1, 2, 6, 7, 8]),
        (2, 3, 3, [0, 1]),
        (6, 2, 1, [0, 4, 5]),  # the window is shorter than a chunk of 3
    ],
)
def test_what_a_chunk_sees_of_the_past(start: int, window: int | None, sink: int, frames: list[int]) -> None:
    assert remembered(start, Memory(window=window, sink=sink)) == frames


@st.composite
def policies(draw: st.DrawFn) -> tuple[Memory, int]:
    chunk = draw(st.integers(1, 3))
    window = draw(st.integers(1, 7))
    sink = draw(st.integers(0, min(window, 4)))
    return Memory(window=window, sink=sink, on_switch="recache"), chunk


@settings(max_examples=40, deadline=None)
@given(policies(), st.integers(1, 9))
def test_the_ring_holds_what_the_rule_says(policy_and_chunk: tuple[Memory, int], chunks: int) -> None:
    policy, chunk = policy_and_chunk
    memory = open_memory(policy)
    for _ in range(chunks):
        write(memory, chunk)
    expected = remembered(memory.start, policy)
    context = memory.context()
    assert memory.frames == expected
    assert read(context.keys[0]) == expected
    assert read(context.values[0]) == [frame + 1000 for frame in expected]
    assert read(-context.keys[1]) == expected
    assert (context.start, context.place) == (chunk * chunks, chunk * chunks)


@settings(max_examples=40, deadline=None)
@given(policies(), st.integers(1, 9))
def test_emptied_frames_come_back_in_their_chunks(policy_and_chunk: tuple[Memory, int], chunks: int) -> None:
    policy, chunk = policy_and_chunk
    memory = open_memory(policy)
    for _ in range(chunks):
        write(memory, chunk)
    expected, length = memory.frames, memory.start
    runs = memory.empty(chunk)
    assert memory.frames == []
    returned = []
    for start, x_0 in runs:
        frames = list(range(start, start + x_0.shape[2]))
        assert len({frame // chunk for frame in frames}) == 1, "frames of two chunks in one run"
        assert x_0.flatten().tolist() == [frame + 2000 for frame in frames]
        memory.start = start
        write(memory, len(frames))
        returned += frames
    assert returned == expected == memory.frames
    assert memory.start == length
    for _ in range(3):
        write(memory, chunk)
    assert memory.frames == remembered(memory.start, policy)


def test_relative_positions_count_the_frames_attended_to() -> None:
    rotary = Rotary()
    memory = open_memory(Memory(window=3, sink=1, positions="relative"), rotary=rotary)
    for _ in range(8):
        write(memory, 1)
    context = memory.context()  # slots: frame 0 | 7 5 6, in the midst of the ring's third turn
    assert read(context.keys[0]) == [0, 5, 6, 7]
    assert sorted(zip(rotary.asked[-1], context.keys[0][0, 0, ::TOKENS, 0].tolist(), strict=True)) == [
        (0, 0),
        (1, 5),
        (2, 6),
        (3, 7),
    ]
    assert (context.start, context.place) == (8, 4)


def test_absolute_positions_are_places_in_the_video() -> None:
    rotary = Rotary()
    memory = open_memory(Memory(window=2, sink=1), rotary=rotary)
    for _ in range(6):
        write(memory, 1)
    context = memory.context()
    assert rotary.asked[-1] == context.keys[0][0, 0, ::TOKENS, 0].tolist()
    assert sorted(rotary.asked[-1]) == [0, 4, 5]


def test_a_moving_average_sink_takes_the_frames_that_leave_in_turn() -> None:
    memory = open_memory(Memory(window=3, sink=3, sink_ema=0.75))
    for _ in range(2):
        write(memory, 3)
    assert read(memory.context().keys[0])[:3] == [0, 1, 2], "nothing has left the window yet"
    write(memory, 3)  # frames 3, 4, 5 leave
    after_one = [0.75 * sink + 0.25 * left for sink, left in zip((0, 1, 2), (3, 4, 5), strict=True)]
    assert read(memory.context().keys[0]) == [*after_one, 6, 7, 8]
    assert read(memory.context().values[0]) == [1000 + x for x in (*after_one, 6, 7, 8)]
    write(memory, 3)
    after_two = [0.75 * sink + 0.25 * left for sink, left in zip(after_one, (6, 7, 8), strict=True)]
    assert read(memory.context().keys[0]) == [*after_two, 9, 10, 11]
    single = open_memory(Memory(window=2, sink=1, sink_ema=0.5))
    for _ in range(5):
        write(single, 1)  # frames 1 and 2 leave, one after the other, into the one sink frame
    assert read(single.context().keys[0]) == [0.5 * (0.5 * 0 + 0.5 * 1) + 0.5 * 2, 3, 4]


@settings(max_examples=40, deadline=None)
@given(policies(), st.none() | st.sampled_from([0.25, 0.5]), st.integers(1, 9))
def test_a_chunk_is_remembered_as_its_frames_are_one_by_one(
    policy_and_chunk: tuple[Memory, int], ema: float | None, chunks: int
) -> None:
    """Also where the window is shorter than a chunk, so that frames leave it while their own chunk is written."""
    policy, chunk = policy_and_chunk
    policy = policy.model_copy(update={"sink_ema": ema if policy.sink else None})
    whole, single = open_memory(policy), open_memory(policy)
    for _ in range(chunks):
        write(whole, chunk)
        for _ in range(chunk):
            write(single, 1)
    assert whole.frames == single.frames == remembered(whole.start, policy)
    assert torch.equal(whole.context().keys, single.context().keys)
    assert torch.equal(whole.context().values, single.context().values)


def test_frames_of_a_chunk_that_outgrows_the_window_pass_through_the_sink() -> None:
    memory = open_memory(Memory(window=2, sink=1, sink_ema=0.5))
    write(memory, 3)
    assert read(memory.context().keys[0]) == [0, 1, 2]
    write(memory, 3)  # frames 1 and 2 leave, and frame 3 as soon as frame 5 comes
    assert memory.frames == [0, 4, 5]
    assert read(memory.context().keys[0]) == [0.5 * (0.5 * (0.5 * 0 + 0.5 * 1) + 0.5 * 2) + 0.5 * 3, 4, 5]


def test_gradient_flows_through_the_frames_that_are_held_alone() -> None:
    memory, exits = open_memory(Memory(window=2, sink=1)), []
    for _ in range(2):
        zeros = torch.zeros(BATCH, HEADS, 3 * TOKENS, CHANNELS)
        exits.append([(zeros.clone().requires_grad_(), zeros.clone().requires_grad_()) for _ in range(LAYERS)])
        memory.write([(zeros, zeros)] * LAYERS, torch.zeros(BATCH, 1, 3, 1, 1), exits[-1])
    context = memory.context()
    assert memory.frames == [0, 4, 5]
    (context.keys + context.values).sum().backward()
    for first, layers in zip((0, 3), exits, strict=True):
        for of_keys_or_values in (tensor for pair in layers for tensor in pair):
            reached = of_keys_or_values.grad.unflatten(2, (3, TOKENS)).amax(dim=(0, 1, 3, 4))
            assert reached.tolist() == [float(frame in memory.frames) for frame in range(first, first + 3)]


def test_a_context_is_made_once_and_never_changes() -> None:
    memory = open_memory(Memory(window=2, sink=1, sink_ema=0.5))
    for _ in range(3):
        write(memory, 1)
    context = memory.context()
    assert memory.context() is context
    keys, values = context.keys.clone(), context.values.clone()
    for _ in range(4):
        write(memory, 1)
    assert memory.context() is not context
    assert torch.equal(context.keys, keys)
    assert torch.equal(context.values, values)


def test_the_buffers_never_grow() -> None:
    memory = open_memory(Memory(window=4, sink=2, on_switch="recache"))
    size = memory.nbytes
    assert size == 4 * (2 * LAYERS * BATCH * HEADS * 6 * TOKENS * CHANNELS + 6)
    contexts = set()
    for _ in range(50):
        write(memory, 2)
        contexts.add(memory.context().keys.nbytes)
        assert memory.nbytes == size
    assert len(contexts) == 3, "the context has 2, 4, then 6 frames for ever"


def test_beyond_the_capacity_is_one_line() -> None:
    memory = open_memory(Memory(), capacity=5)
    write(memory, 2)
    write(memory, 2)
    with pytest.raises(SaltError, match=r"^capacity_frames=5, but the chunk ends at latent frame 6: [^\n]+$"):
        write(memory, 2)
    assert memory.frames == [0, 1, 2, 3], "nothing of the chunk is kept"


def test_latents_are_kept_for_recache_only() -> None:
    memory = open_memory(Memory(window=3))
    write(memory, 3)
    with pytest.raises(SaltError, match=r"memory.on_switch=keep.*recache"):
        memory.empty(3)


def test_the_text_cache_knows_its_prompt() -> None:
    cache, text, other = TextCache(), torch.zeros(1), torch.zeros(1)
    layers = cache.of(text)
    layers[0] = (text, text)
    assert cache.of(text) is layers
    assert cache.of(other) == {}
    assert cache.of(text) == {}, "a prompt that came back is computed anew"


def test_rotated_products_depend_on_the_distance_alone() -> None:
    def rotation(place: int) -> Rotation:
        angle = place * torch.tensor([[1.0, 0.1]], dtype=torch.float64)
        return angle.cos(), angle.sin()

    query, key = torch.randn(2, 1, 4, dtype=torch.float64)
    near = (rotate(query, rotation(3)) * rotate(key, rotation(1))).sum()
    far = (rotate(query, rotation(12)) * rotate(key, rotation(10))).sum()
    other = (rotate(query, rotation(12)) * rotate(key, rotation(9))).sum()
    torch.testing.assert_close(near, far)
    assert not torch.isclose(near, other)
