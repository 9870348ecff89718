"""What the blocks of Wan's transformer may attend to, and the attention processors that enforce it.

Symbols: latents `(B, C, T, H, W)`; S tokens in one latent frame; N = frames * S; h heads of D channels.
The transformer passes `rotary_emb` to every block and, under gradient checkpointing, to every recomputation. What is
passed here in its place is a route: an immutable value that holds everything a block may attend to. A recomputation in
backward therefore attends to what the forward pass did, whatever was remembered in between (the hazard of
NVlabs/LongLive#16).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.models.memory import Context, LayerKV, Rotation, TextLayers, remembered, rotate


def visible_frames(frames: int, chunk: int, policy: Memory, doubled: bool) -> tuple[tuple[int, ...], ...]:
    """For each chunk of a whole clip, the frames that it attends to.

    `doubled`: the clip is [clean | noisy], and the noisy frames are numbered after the clean ones.

    Raises:
        SaltError: a frame has left the window, and from there on the policy needs the chunks one by one.
    """
    starts = range(0, frames, chunk)
    one_by_one = policy.positions == "relative" or policy.sink_ema is not None
    if one_by_one and len(remembered(starts[-1], policy)) < starts[-1]:
        key = f"sink_ema={policy.sink_ema}" if policy.positions == "absolute" else "positions=relative"
        raise SaltError(
            f"memory.{key} cannot be a mask over a clip of {frames} latent frames, of which some leave "
            f"memory.window={policy.window}: make it chunk by chunk, or give a window of {starts[-1]}"
        )
    clean = [(*remembered(start, policy), *range(start, start + chunk)) for start in starts]
    if not doubled:
        return tuple(clean)
    noisy = [(*remembered(start, policy), *range(frames + start, frames + start + chunk)) for start in starts]
    return (*clean, *noisy)


@dataclass(frozen=True, eq=False)
class ClipRoute:
    """A whole clip at once: every chunk attends to frames of the same call."""

    rotation: Rotation
    visible: tuple[tuple[int, ...], ...]
    """For each chunk of the call, the frames of the call that it attends to."""
    chunk: int
    tokens: int
    """S."""

    def past(self, layer: int, key: Tensor, value: Tensor) -> LayerKV | None:
        """None: all that is attended to is in the call."""
        return None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, past: LayerKV | None) -> Tensor:
        """Attention of `(B, h, N, D)`, chunk by chunk: exact, without an N x N mask and without work on masked pairs.

        Keys are split into frames, because the gradient of a split is one concatenation.
        """
        keys = rotate(key, self.rotation).split(self.tokens, dim=2)
        values = value.split(self.tokens, dim=2)
        queries = rotate(query, self.rotation).split(self.chunk * self.tokens, dim=2)
        seen = zip(queries, self.visible, strict=True)
        return torch.cat([_attend(q, [keys[f] for f in frames], [values[f] for f in frames]) for q, frames in seen], 2)


@dataclass(frozen=True, eq=False)
class ChunkRoute:
    """One chunk, which attends to a `Context` and to itself."""

    rotation: Rotation
    context: Context
    collected: list[LayerKV] | None
    """To which every layer appends its keys (before rotation) and values, to be remembered; None: they are not."""

    def past(self, layer: int, key: Tensor, value: Tensor) -> LayerKV | None:
        """A layer's context; its own keys and values are collected on the way."""
        if self.collected is not None:
            self.collected.append((key, value))
        return self.context.keys[layer], self.context.values[layer]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, past: LayerKV | None) -> Tensor:
        """Attention of `(B, h, N, D)` to the past and to the chunk itself."""
        assert past is not None
        return _attend(rotate(query, self.rotation), [past[0], rotate(key, self.rotation)], [past[1], value])


def _attend(query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    return scaled_dot_product_attention(query, torch.cat(tuple(keys), dim=2), torch.cat(tuple(values), dim=2))


class Router(nn.Module):
    """Replaces the transformer's `rope`: returns the current call's route or, without one, the rotary embedding."""

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.rope = rope
        self.route: ClipRoute | ChunkRoute | None = None
        self.text: TextLayers | None = None
        """The text's keys and values that the current call may use and add to; None: it computes its own."""

    def forward(self, hidden_states: Tensor) -> Any:
        """What the transformer passes to its blocks as rotary embedding."""
        return self.rope(hidden_states) if self.route is None else self.route

    def rotation(self, places: Sequence[int], height: int, width: int) -> Rotation:
        """The rotation of frames at rotary positions `places`, each of height x width tokens.

        Raises:
            SaltError: a position is beyond the table.
        """
        longest = self.rope.max_seq_len
        if places and max(places) >= longest:
            raise SaltError(
                f"latent frame {max(places)} is beyond the rotary table: backbone.rope_max_seq_len={longest} allows "
                f"{longest} frames; shorten the video or the window, or set a window and memory.positions: relative"
            )
        sizes = [self.rope.t_dim // 2, self.rope.h_dim // 2, self.rope.w_dim // 2]

        def grid(table: Tensor) -> Tensor:
            time, rows, columns = table.split(sizes, dim=1)
            time = torch.cat([time[:0], *(time[place : place + 1] for place in places)])
            axes = [time[:, None, None], rows[None, :height, None], columns[None, None, :width]]
            return torch.cat([axis.expand(len(places), height, width, -1) for axis in axes], dim=-1).flatten(0, 2)

        return grid(self.rope.freqs_cos[:, 0::2]), grid(self.rope.freqs_sin[:, 1::2])


def _past(attention: "FrameAttention", route: ClipRoute | ChunkRoute, key: Tensor, value: Tensor) -> LayerKV | None:
    return route.past(attention.layer, key, value)


@dataclass(frozen=True, eq=False)
class FrameAttention:
    """The processor of self-attention: follows the route it is given; without one, calls the processor it replaced."""

    layer: int
    replaced: Any
    past: Callable[["FrameAttention", "ClipRoute | ChunkRoute", Tensor, Tensor], LayerKV | None] = _past
    """What differs from layer to layer and from chunk to chunk; `compile_blocks` keeps it out of the graphs."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
    ) -> Tensor:
        """`(B, N, h D)` -> the same."""
        if not isinstance(rotary_emb, ClipRoute | ChunkRoute):
            return self.replaced(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        if attn.fused_projections:  # one product in place of three, after diffusers' `fuse_qkv_projections`
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = (project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v))
        query, key, value = (_heads(attn, x) for x in (attn.norm_q(query), attn.norm_k(key), value))
        past = self.past(self, rotary_emb, key, value)
        return _out(attn, rotary_emb.attend(query, key, value, past))


def _text(attention: "TextAttention", attn: Any, text: Tensor) -> LayerKV:
    cache = attention.router.text
    assert cache is not None
    if attention.layer not in cache:
        key = _heads(attn, attn.norm_k(attn.to_k(text)))
        cache[attention.layer] = key, _heads(attn, attn.to_v(text))
    return cache[attention.layer]


@dataclass(frozen=True, eq=False)
class TextAttention:
    """The processor of cross-attention: uses the call's cache; without one, calls the processor it replaced."""

    layer: int
    router: Router
    replaced: Any
    cached: Callable[["TextAttention", Any, Tensor], LayerKV] = _text
    """As `FrameAttention.past`."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
    ) -> Tensor:
        """`(B, N, h D)` and the text `(B, L, h D)` -> `(B, N, h D)`."""
        if self.router.text is None:
            return self.replaced(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        query = _heads(attn, attn.norm_q(attn.to_q(hidden_states)))
        return _out(attn, scaled_dot_product_attention(query, *self.cached(self, attn, encoder_hidden_states)))


def _heads(attn: Any, x: Tensor) -> Tensor:
    """`(B, N, h D)` -> `(B, h, N, D)`."""
    return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)


def _out(attn: Any, x: Tensor) -> Tensor:
    """`(B, h, N, D)` -> `(B, N, h D)`, through the output projection."""
    return attn.to_out[1](attn.to_out[0](x.transpose(1, 2).flatten(2)))


def make_causal(transformer: Any) -> Router:
    """Install router and processors in a `WanTransformer3DModel`, once; without a route it works as before."""
    if not isinstance(transformer.rope, Router):
        transformer.rope = Router(transformer.rope)
        for layer, block in enumerate(transformer.blocks):
            block.attn1.set_processor(FrameAttention(layer, block.attn1.processor))
            block.attn2.set_processor(TextAttention(layer, transformer.rope, block.attn2.processor))
    router: Router = transformer.rope
    return router


def compile_blocks(transformer: Any, **options: Any) -> None:
    """Compile the blocks of a causal transformer, for sampling: a few graphs for all layers and all chunks.

    What a layer and a chunk attend to is looked up between graphs (`past`, `cached`), so that a graph knows neither a
    layer's number nor a chunk's place; the length of the past is dynamic.

    Args:
        transformer: after `make_causal`.
        options: of `torch.compile`.
    """
    for block in transformer.blocks:
        frames, text = block.attn1.processor, block.attn2.processor
        block.attn1.set_processor(replace(frames, past=torch.compiler.disable(_past)))
        block.attn2.set_processor(replace(text, cached=torch.compiler.disable(_text)))
        block.compile(**options)
