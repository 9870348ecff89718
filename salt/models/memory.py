"""What a causal model remembers of earlier frames: keys and values per layer, under any `Memory` policy.

Symbols: L layers, B videos, N = frames * S tokens (S in one latent frame), H heads of D channels. Frames are counted
from 0 over the whole video. Keys are stored as they are before the rotary embedding (Infinity-RoPE, Yesiltepe et al.
2025), so that a frame's position can be chosen whenever it is read. Positions are Python numbers, so nothing here
synchronises with the device.

What is remembered is constant, but a chunk may leave the gradient of another evaluation beside it (`write`): a key is
then k_clean + (k_exit - sg(k_exit)), of the value of the clean pass and with the gradient of the exit, values alike.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.errors import SaltError

Rotation = tuple[Tensor, Tensor]
"""cos and sin of every token, each `(N, D / 2)`."""
UNBOUNDED = sys.maxsize
"""The number of frames that stands for no bound."""
LayerKV = tuple[Tensor, Tensor]
"""Keys and values of one layer, each `(B, H, N, D)`."""
TextLayers = dict[int, LayerKV]
"""Layer -> keys and values of the text."""


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotary embedding of `(..., N, D)`: neighbouring channels are a pair, turned by its token's angle."""
    cos, sin = rotation
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).type_as(x)


def remembered(start: int, policy: Memory) -> list[int]:
    """The frames before `start` that a chunk beginning there attends to, in order of time.

    Masks and memories share this one rule: the last `window` frames and the first `sink`, each once.
    """
    oldest = 0 if policy.window is None else start - policy.window
    return [frame for frame in range(start) if frame < policy.sink or frame >= oldest]


class TextCache:
    """Cross-attention's keys and values of one prompt, a tensor `(B, tokens, D)`; another tensor object empties it."""

    def __init__(self) -> None:
        self._text: Tensor | None = None
        self._layers: TextLayers = {}

    def of(self, text: Tensor) -> TextLayers:
        """The entries of this very tensor, to be read and added to. The tensor must not be changed in place."""
        if text is not self._text:
            self._text, self._layers = text, {}
        return self._layers


@dataclass(frozen=True, eq=False)
class Context:
    """The past that one chunk may attend to: a copy, which does not change when more is remembered."""

    start: int
    """The chunk's first frame, in the video."""
    place: int
    """Its rotary position."""
    keys: Tensor
    """Rotated, `(L, B, H, N, D)`."""
    values: Tensor
    """`(L, B, H, N, D)`."""
    text: TextCache
    """For evaluations without gradient; with gradient, the text's keys depend on weights that are being trained."""


class KVMemory:
    """Keys and values of the frames that the policy keeps, in buffers that never grow.

    Slots: the first `sink` hold the first frames of the video; the rest is a ring over the last `window` frames, which
    turns frame by frame: where a chunk is longer than the window, its own first frames leave while it is written. Keys
    and values are those of one set of weights: open a new memory for every rollout.

    With `sink_ema`, a frame that leaves the window is mixed into a sink frame, `ema * sink + (1 - ema) * frame`, keys
    before rotation and values alike. Reward Forcing (Lu et al. 2025, arXiv 2512.04678, EMA-Sink) has as many sink
    frames as frames in a chunk, and mixes the j-th frame of a leaving chunk into the j-th sink frame. Here the leaving
    frames go to the sink frames in turn, which is the same in that case and is defined for any two numbers.
    """

    def __init__(
        self,
        policy: Memory,
        buffer: Tensor,
        rotary: Callable[[Sequence[int]], Rotation],
        capacity_frames: int,
        latents: Tensor | None,
    ) -> None:
        """Start empty.

        Args:
            policy: which frames are kept, at which positions, and what a change of prompt does.
            buffer: `(2, L, B, H, slots, S, D)`, keys and values, to be filled.
            rotary: rotary positions of frames -> the rotation of their tokens; raises SaltError beyond its table.
            capacity_frames: of the longest video; UNBOUNDED: any.
            latents: `(B, C, slots, height, width)` to be filled, for policies that recache; else None.
        """
        self.policy = policy
        self.start = 0
        """Frames remembered so far: the next chunk's first frame."""
        self.text = TextCache()
        self._buffer, self._latents, self._rotary, self._capacity = buffer, latents, rotary, capacity_frames
        self._held: list[int] = []  # slot -> its frame
        self._left = 0  # frames that have left the window
        self._context: Context | None = None
        self._gradients: dict[int, Tensor] = {}  # frame -> zeros (2, L, B, H, S, D) through which gradient flows

    @property
    def frames(self) -> list[int]:
        """The frames held, in order of time."""
        return sorted(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers."""
        return self._buffer.nbytes + (0 if self._latents is None else self._latents.nbytes)

    def context(self) -> Context:
        """The past that the next chunk may attend to. Made once per chunk: until `write`, every call returns the same.

        Raises:
            SaltError: a position is beyond the rotary table.
        """
        if self._context is None:
            if self.policy.positions == "relative":
                order = {frame: place for place, frame in enumerate(self.frames)}
                places, place = [order[frame] for frame in self._held], len(order)
            else:
                places, place = self._held, self.start
            with torch.no_grad():
                held = self._buffer[..., : len(self._held), :, :].clone()
            if self._gradients:
                none = torch.zeros_like(held[..., 0, :, :])
                held = held + torch.stack([self._gradients.get(frame, none) for frame in self._held], dim=-3)
            keys, values = held.flatten(-3, -2)
            self._context = Context(self.start, place, rotate(keys, self._rotary(places)), values, self.text)
        return self._context

    def write(self, layers: Sequence[LayerKV], x_0: Tensor, exits: Sequence[LayerKV] | None = None) -> None:
        """Remember a chunk.

        Args:
            layers: its keys, before rotation, and values, without gradient.
            x_0: its clean latents `(B, C, frames, height, width)`.
            exits: the same of the evaluation whose gradient is to flow through what is remembered; None: nothing is.
                A frame that leaves the window takes its gradient with it, also where it is mixed into a sink.

        Raises:
            SaltError: the video would be longer than `capacity_frames`.
        """
        frames = x_0.shape[2]
        if self.start + frames > self._capacity:
            raise SaltError(
                f"capacity_frames={self._capacity}, but the chunk ends at latent frame {self.start + frames}: "
                "open the memory for the whole video"
            )
        new, gradients = (_by_frame(each, frames) for each in (layers, exits or ()))
        for i in range(frames):
            frame, slot = self.start, self._claim()
            self._buffer[..., slot, :, :] = new[i]
            if self._latents is not None:
                self._latents[:, :, slot] = x_0[:, :, i]
            if gradients:
                self._gradients[frame] = gradients[i] - gradients[i].detach()
        self._gradients = {frame: each for frame, each in self._gradients.items() if frame in self._held}
        self._context = None

    def _claim(self) -> int:
        """The next frame's slot: a free one while there are any, then that of the window's oldest frame."""
        window, sink = self.policy.window, self.policy.sink
        slot = len(self._held)
        if window is None or slot < sink + window:
            self._held.append(self.start)
        else:
            slot = sink + self._left % window
            if self.policy.sink_ema is not None:
                kept = self._buffer[..., self._left % sink, :, :]
                kept.lerp_(self._buffer[..., slot, :, :], 1 - self.policy.sink_ema)
            self._left += 1
            self._held[slot] = self.start
        self.start += 1
        return slot

    def empty(self, chunk: int) -> list[tuple[int, Tensor]]:
        """Forget everything and return the clean latents held, to be remembered anew (LongLive's KV-recache).

        A moving-average sink begins again from the first frames.

        Args:
            chunk: frames made at once.

        Returns:
            In order of time, for every run of frames made together: its first frame, and `(B, C, n, height, width)`.

        Raises:
            SaltError: the policy keeps no latents.
        """
        if self._latents is None:
            raise SaltError(f"memory.on_switch={self.policy.on_switch} keeps no latents; recache is expected here")
        runs = []
        for _, group in groupby(enumerate(self.frames), key=lambda pair: (pair[1] // chunk, pair[1] - pair[0])):
            run = [frame for _, frame in group]
            slots = [self._held.index(frame) for frame in run]
            runs.append((run[0], torch.stack([self._latents[:, :, slot] for slot in slots], dim=2)))
        self._held, self._left, self._context, self.start, self._gradients = [], 0, None, 0, {}
        return runs


def _by_frame(layers: Sequence[LayerKV], frames: int) -> list[Tensor]:
    """Keys and values of each frame of a chunk, `(2, L, B, H, S, D)`; empty where there are no layers."""
    if not layers:
        return []
    every = torch.stack([torch.stack(layer) for layer in layers], dim=1)
    return list(every.unflatten(-2, (frames, -1)).unbind(-3))
