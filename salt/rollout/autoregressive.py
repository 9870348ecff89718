"""Making a video chunk by chunk, each conditioned on the chunks before through a causal model's memory.

Setting: latents `(B, C, T, H, W)`, made in chunks of `model.chunk` frames. A chunk is denoised under the context of the
memory; its clean latents are then run once more, at t = 0, to be remembered (Self Forcing). What is remembered is
constant, so no gradient crosses chunks; or it has the value of that clean pass and the gradient of the evaluation that
made the chunk, as in the published trainers, whose clean pass overwrites the cache without gradient (`carry`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from salt.flow.path import Velocity, batch_time
from salt.flow.shapes import Places, State
from salt.flow.transport import Renoise, cm_step
from salt.models.protocol import CausalModel, ChunkMemory
from salt.rollout.sample import Sample, evaluate

Solve: TypeAlias = Callable[[Velocity, Tensor, int], Tensor]
"""(the velocity of a chunk under its context, the chunk's noise, its first frame) -> its clean latents."""


def bind_context(model: CausalModel, memory: ChunkMemory, text: Tensor) -> Velocity:
    """The velocity field of the next chunk: what it sees of the past is fixed here."""
    return partial(_step, model, text, memory.context())


def _step(
    model: CausalModel, text: Tensor, context: object, x_t: Tensor, t: Tensor, exits: list[Any] | None = None
) -> Tensor:
    return model.step(x_t, t, text, context, exits)


def roll(
    model: CausalModel,
    memory: ChunkMemory,
    text: Callable[[int], Tensor],
    noises: Iterable[Tensor],
    solve: Solve,
    exits: Callable[[], Sequence[Any] | None] = lambda: None,
) -> Iterator[Tensor]:
    """Make chunk after chunk, for as long as there is noise.

    Args:
        model: makes the chunks.
        memory: empty, or of the chunks before.
        text: a chunk's first frame -> its caption's embeddings `(B, L, D)`; another tensor is another prompt.
        noises: of each chunk, `(B, C, chunk, H, W)`.
        solve: makes a chunk; the last one is never remembered.
        exits: what the last call of `solve` left for `CausalModel.remember`.

    Yields:
        The clean latents of each chunk, with whatever gradient `solve` left on them.
    """
    x_0: Tensor | None = None
    prompt: Tensor | None = None
    for noise in noises:
        if x_0 is not None and prompt is not None:
            model.remember(memory, x_0.detach(), prompt, exits())
        last, prompt = prompt, text(memory.start)
        if last is not None and prompt is not last:
            model.switch(memory, prompt)
        x_0 = solve(bind_context(model, memory, prompt), noise, memory.start)
        yield x_0


def autoregressive(
    model: CausalModel,
    memory: ChunkMemory,
    text: Callable[[int], Tensor],
    noise: State,
    grid: Sequence[float],
    index: Places,
    renoise: Renoise,
    judged_from: int = 0,
    carry: bool = False,
) -> Sample:
    """Evaluate the student on its own video: each chunk runs along the grid up to t_s and leaves its x_0 there.

    The exit is the same for all chunks and samples, as in Self Forcing, so what later chunks remember is as good as t_s
    lets it be. Every judged chunk is evaluated with gradient once, at its exit; the x_0 of all go into the memory.

    Args:
        model: the student.
        memory: empty.
        text: as of `roll`.
        noise: `(B, C, T, H, W)`, of all chunks.
        grid: T^(K).
        index: the exit's place in the grid, `(B,)`, the same number B times.
        renoise: of the consistency sampler, for all chunks at once.
        judged_from: the frame from which on chunks are judged; those before are made without gradient and not returned.
        carry: whether later chunks send gradient through the memory into the evaluations at the exits of earlier ones.
    """
    exit_at = int(index[0])
    t_s = noise.new_tensor(grid)[index]
    fresh = [renoise(i, noise) for i in range(exit_at)]
    parts: list[Sample] = []
    exits: list[Any] | None = None

    def solve(velocity: Velocity, x: Tensor, start: int) -> Tensor:
        nonlocal exits
        with torch.no_grad():
            for new, (t, s) in zip(fresh, pairwise(grid), strict=False):
                chunk = new[:, :, start : start + model.chunk]
                x = cm_step(x, velocity(x, batch_time(t, x)), chunk, t, s)
        judged = start >= judged_from
        with torch.set_grad_enabled(judged and torch.is_grad_enabled()):
            exits = [] if carry and torch.is_grad_enabled() else None
            kept: Velocity = velocity if exits is None else partial(cast(Callable[..., Tensor], velocity), exits=exits)
            part = evaluate(kept, x, t_s, index)
        if judged:
            parts.append(replace(part, velocity=velocity))
        return part.x_0

    deque(roll(model, memory, text, noise.split(model.chunk, dim=2), solve, lambda: exits), maxlen=0)
    x_s, v_s, x_0 = (torch.cat([getattr(part, name) for part in parts], dim=2) for name in ("x_s", "v_s", "x_0"))

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        """All judged chunks, each under the context that it was made in."""
        chunks = zip(parts, x_t.split(model.chunk, dim=2), strict=True)
        return torch.cat([part.velocity(x, t) for part, x in chunks], dim=2)

    return Sample(x_s, t_s, v_s, x_0, index, velocity)


def fold_chunks(x: Tensor, chunk: int) -> Tensor:
    """`(B, C, T, H, W)` -> `(B * T / chunk, C, chunk, H, W)`: chunks as samples, each with a time of its own."""
    return x.unflatten(2, (-1, chunk)).transpose(1, 2).flatten(0, 1)


def unfold_chunks(x: Tensor, number: int) -> Tensor:
    """`(B * number, C, chunk, H, W)` -> `(B, C, number * chunk, H, W)`."""
    return x.unflatten(0, (-1, number)).transpose(1, 2).flatten(2, 3)


def by_chunk(velocity: Velocity, number: int, chunk: int) -> Velocity:
    """The velocity of folded chunks `(B * number, ...)`, each at its own time, by a block-causal one of whole clips."""

    def folded(x_t: Tensor, t: Tensor) -> Tensor:
        return fold_chunks(velocity(unfold_chunks(x_t, number), t.view(-1, number)), chunk)

    return folded
