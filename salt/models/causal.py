"""Wan's transformer made causal: a video chunk by chunk, each attending to those before. Same weights and state dict.

Symbols: latents `(B, C, T, H, W)`, T a multiple of `chunk`; S tokens in one latent frame; t in [0, 1]; text
`(B, L, D)`. The transformer stays diffusers' own; `salt.models.attention` says how it is changed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.models.attention import ChunkRoute, ClipRoute, Router, make_causal, visible_frames
from salt.models.memory import UNBOUNDED, Context, KVMemory, LayerKV, TextLayers

ALL_FRAMES = Memory()
"""Every chunk sees all chunks before it."""


class CausalWan(nn.Module):
    """`salt.models.protocol.CausalModel` on an unmodified `WanTransformer3DModel`.

    The transformer keeps its weights, its state dict and `save_wan`; called by itself it is still bidirectional.
    """

    transformer: Any

    def __init__(self, transformer: nn.Module, chunk: int, memory: Memory = ALL_FRAMES) -> None:
        """Make a transformer causal, in place.

        Args:
            transformer: of a `WanVelocity`, text to video.
            chunk: latent frames made at once.
            memory: which earlier frames a chunk attends to when a whole clip is given (`forward`).

        Raises:
            SaltError: a token spans several frames.
        """
        super().__init__()
        self.transformer = transformer
        self.chunk = chunk
        self.memory = memory
        patch = self.transformer.config.patch_size
        if patch[0] != 1:
            raise SaltError(f"backbone.patch_size={list(patch)}: a causal model has patches of 1 frame, e.g. [1, 2, 2]")
        make_causal(self.transformer)

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        """The velocity of a whole clip, block-causal.

        With `clean`, teacher forcing (Causal Forcing, Zhu et al. 2026, arXiv 2602.02214): the sequence is [clean |
        noisy]; clean chunks, at t = 0, attend to those before them; a noisy chunk attends to itself and to the clean
        chunks before it.

        Args:
            x_t: `(B, C, T, H, W)`.
            t: `(B,)`, or a time per chunk `(B, T / chunk)`; in [0, 1].
            text: `(B, L, D)`.
            clean: clean latents like x_t; None: chunks attend to the noisy chunks before them.

        Returns:
            v `(B, C, T, H, W)`.

        Raises:
            SaltError: T is no multiple of the chunk, exceeds the rotary table, or exceeds what a mask can express
                (relative positions or a moving-average sink, once a frame has left the window).
        """
        frames = x_t.shape[2]
        self._check_clip(frames)
        visible = visible_frames(frames, self.chunk, self.memory, clean is not None)
        places = list(range(frames))
        if clean is not None:
            t = t.reshape(len(t), -1).expand(-1, frames // self.chunk)
            t = torch.cat([torch.zeros_like(t), t], dim=1)
            x_t, places = torch.cat([clean, x_t], dim=2), 2 * places
        grid = self._grid(*x_t.shape[-2:])
        tokens = grid[0] * grid[1]
        if t.ndim == 2:
            t = t.repeat_interleave(self.chunk * tokens, dim=1)
        route = ClipRoute(self._router.rotation(places, *grid), visible, self.chunk, tokens)
        return self._run(x_t, t, text, route)[:, :, -frames:]

    def open_memory(
        self, policy: Memory, batch: int, height: int, width: int, capacity_frames: int | None = None
    ) -> KVMemory:
        """An empty memory, on the device of the weights, in the dtype that networks compute in.

        Args:
            policy: which frames it keeps.
            batch: videos made together.
            height: of latents.
            width: of latents.
            capacity_frames: latent frames of the longest video; needed by a policy without a window.

        Raises:
            SaltError: nothing bounds the memory, or the video is longer than the rotary table.
        """
        longest = UNBOUNDED if capacity_frames is None else capacity_frames
        kept = UNBOUNDED if policy.window is None else policy.sink + policy.window
        slots = min(kept, longest)
        if slots == UNBOUNDED:
            raise SaltError("memory.window=None keeps all frames: capacity_frames, the video's length, is needed")
        grid = self._grid(height, width)
        rotary = partial(self._router.rotation, height=grid[0], width=grid[1])
        places = longest if policy.positions == "absolute" else min(longest, kept + self.chunk)
        if places < UNBOUNDED:
            rotary([places - 1])  # refuse what is too long before any work
        config, weights = self.transformer.config, next(self.transformer.parameters())
        kind = weights.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weights.dtype
        make = partial(torch.zeros, device=weights.device, dtype=dtype)
        heads, channels = config.num_attention_heads, config.attention_head_dim
        buffer = make(2, config.num_layers, batch, heads, slots, grid[0] * grid[1], channels)
        latents = (
            make(batch, config.in_channels, slots, height, width).to(weights) if policy.on_switch == "recache" else None
        )
        return KVMemory(policy, buffer, rotary, longest, latents)

    def step(
        self, x_t: Tensor, t: Tensor, text: Tensor, context: Context, exits: list[LayerKV] | None = None
    ) -> Tensor:
        """The velocity of one chunk, which attends to the context and to itself. Nothing is remembered.

        Args:
            x_t: `(B, C, chunk, H, W)`.
            t: `(B,)` in [0, 1].
            text: `(B, L, D)`; without gradient its keys are computed once per context and text object.
            context: of the memory that holds the video so far.
            exits: to which every layer appends its keys and values, for `remember`; None: they are not kept.

        Returns:
            v like x_t.

        Raises:
            SaltError: x_t is not one chunk, or lies beyond the rotary table.
        """
        self._check_chunk(x_t)
        return self._run_chunk(x_t, t, text, context, exits)

    def remember(self, memory: KVMemory, x_0: Tensor, text: Tensor, exits: Sequence[LayerKV] | None = None) -> None:
        """Run a finished chunk `(B, C, chunk, H, W)` at t = 0 and keep its keys and values (Self Forcing).

        With `exits`, those of the step that made it, what is remembered has the gradient of that step.

        Raises:
            SaltError: x_0 is not one chunk, or lies beyond the memory's capacity or the rotary table.
        """
        self._check_chunk(x_0)
        self._remember(memory, x_0, text, exits)

    def switch(self, memory: KVMemory, text: Tensor) -> None:
        """Change the prompt in mid-video, as the policy's `on_switch` says; steps after this are given `text`."""
        if memory.policy.on_switch == "recache":
            self.recache(memory, text)

    def recache(self, memory: KVMemory, text: Tensor) -> None:
        """Recompute keys and values of the frames held, in order, under another prompt (LongLive's KV-recache).

        Raises:
            SaltError: the memory keeps no latents.
        """
        for start, x_0 in memory.empty(self.chunk):
            memory.start = start
            self._remember(memory, x_0, text)

    def _remember(self, memory: KVMemory, x_0: Tensor, text: Tensor, exits: Sequence[LayerKV] | None = None) -> None:
        collected: list[LayerKV] = []
        with torch.no_grad():
            self._run_chunk(x_0, x_0.new_zeros(len(x_0)), text, memory.context(), collected)
        memory.write(collected, x_0, exits)

    def _run_chunk(
        self, x_t: Tensor, t: Tensor, text: Tensor, context: Context, collected: list[LayerKV] | None
    ) -> Tensor:
        places = range(context.place, context.place + x_t.shape[2])
        route = ChunkRoute(self._router.rotation(places, *self._grid(*x_t.shape[-2:])), context, collected)
        return self._run(x_t, t, text, route, None if torch.is_grad_enabled() else context.text.of(text))

    def _run(
        self, x_t: Tensor, t: Tensor, text: Tensor, route: ClipRoute | ChunkRoute, cache: TextLayers | None = None
    ) -> Tensor:
        router = self._router
        router.route, router.text = route, cache
        try:
            return self.transformer(
                hidden_states=x_t, timestep=1000 * t, encoder_hidden_states=text, return_dict=False
            )[0]
        finally:
            router.route = router.text = None

    @property
    def _router(self) -> Router:
        router: Router = self.transformer.rope
        return router

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """Tokens of a frame, as rows and columns."""
        _, rows, columns = self.transformer.config.patch_size
        return height // rows, width // columns

    def _check_chunk(self, latents: Tensor) -> None:
        if latents.shape[2] != self.chunk:
            raise SaltError(f"{latents.shape[2]} latent frames given as a chunk, but chunk={self.chunk}")

    def _check_clip(self, frames: int) -> None:
        if frames % self.chunk:
            raise SaltError(
                f"latent frames={frames}, but a video is made in chunks of chunk={self.chunk}: a multiple of it is "
                f"expected, e.g. {frames - frames % self.chunk} or {frames + self.chunk - frames % self.chunk}"
            )
