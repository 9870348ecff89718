"""What the rest of the program knows of networks, and of what they are trained on.

Symbols: B samples; latents `(B, C, T, H, W)`; times `(B,)` in [0, 1], 1 being noise; text `(B, L, D)`, zero where
padded; videos `(B, 3, F, H, W)` in [0, 1].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from salt.config.memory import Memory
from salt.config.scale import MASK_CHANNELS


@dataclass(frozen=True)
class FirstFrame:
    """What image-to-video networks are conditioned on: the first frame of a clip (Wan 2.1 I2V).

    Attributes:
        latents: of a video that begins with this frame and is mid-grey after it, `(B, C, T, H, W)`.
        features: CLIP's features of the frame, `(B, N, D)`; None where networks take none.
    """

    latents: Tensor
    features: Tensor | None = None

    def channels(self) -> Tensor:
        """The channels beside x_t, `(B, 4 + C, T, H, W)`: the mask, 1 where a frame is given, and the latents."""
        mask = torch.zeros_like(self.latents[:, :1]).repeat(1, MASK_CHANNELS, 1, 1, 1)
        mask[:, :, 0] = 1
        return torch.cat([mask, self.latents], dim=1)

    def to(self, device: str) -> "FirstFrame":
        """The same on a device."""
        return FirstFrame(self.latents.to(device), None if self.features is None else self.features.to(device))


class VelocityModel(Protocol):
    """An `nn.Module` that predicts v = eps - x_0."""

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(B, C, T, H, W)`, `(B,)`, `(B, L, D)` -> v `(B, C, T, H, W)`."""
        ...


class ImageToVideoModel(Protocol):
    """A velocity model that is conditioned on a first frame as well."""

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor, *, image: FirstFrame) -> Tensor:
        """`(B, C, T, H, W)`, `(B,)`, `(B, L, D)`, first frames -> v `(B, C, T, H, W)`."""
        ...


@runtime_checkable
class FlowMapModel(VelocityModel, Protocol):
    """A velocity model that also knows its mean on the way to an earlier time s."""

    def mean_velocity(self, x_t: Tensor, t: Tensor, s: Tensor, text: Tensor, image: FirstFrame | None = None) -> Tensor:
        """The u `(B, C, T, H, W)` of the step x_s = x_t - (t - s) u; times `(B,)`, t >= s."""
        ...


class FeatureModel(VelocityModel, Protocol):
    """A velocity model that gives access to its intermediate features."""

    width: int
    """D of its features."""
    depth: int
    """Blocks that it has."""
    heads: int
    """Of its attention, among which its features are shared."""

    def features(
        self, x_t: Tensor, t: Tensor, text: Tensor, blocks: Sequence[int], image: FirstFrame | None = None
    ) -> list[Tensor]:
        """What each of these blocks gives, `(B, T, S, D)`: S tokens in each latent frame."""
        ...


@runtime_checkable
class Context(Protocol):
    """The past that one chunk may attend to; later chunks do not change it. Its content is private to the model."""

    @property
    def start(self) -> int:
        """The chunk's first latent frame, in the video."""
        ...


@runtime_checkable
class ChunkMemory(Protocol):
    """What a causal model remembers of one batch of videos."""

    @property
    def start(self) -> int:
        """Latent frames remembered so far: the next chunk's first."""
        ...

    def context(self) -> Context:
        """The past that the next chunk may attend to; made once per chunk."""
        ...


@runtime_checkable
class CausalModel(VelocityModel, Protocol):
    """Makes a video chunk by chunk; called like any `VelocityModel`, it takes a whole clip, block-causal."""

    chunk: int
    """Latent frames made at once."""

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        """A whole clip; t `(B,)` or `(B, T / chunk)`, a time per chunk; `clean`: the past that chunks attend to."""
        ...

    def open_memory(
        self, policy: Memory, batch: int, height: int, width: int, capacity_frames: int | None = None
    ) -> ChunkMemory:
        """An empty memory for latents of height x width; a policy without a window needs the video's length."""
        ...

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: Any, exits: list[Any] | None = None) -> Tensor:
        """One chunk `(B, C, chunk, H, W)` at times `(B,)`, given its memory's `context` -> v. Remembers nothing.

        `exits` receives what `remember` needs, so that gradient flows through the memory into this evaluation.
        """
        ...

    def remember(self, memory: Any, x_0: Tensor, text: Tensor, exits: Sequence[Any] | None = None) -> None:
        """Append a finished chunk; without gradient, unless `exits` are those of the step that made it."""
        ...

    def switch(self, memory: Any, text: Tensor) -> None:
        """Change the prompt in mid-video as the policy says; steps after this are given `text`."""
        ...


class TokenParallelModel(Protocol):
    """A network that several processes can evaluate together on one sample (context parallelism)."""

    def share_tokens(self, mesh: DeviceMesh) -> None:
        """Let the processes of a mesh's dimension "ulysses" each compute a part of every sample's tokens, in place.

        From then on they call the network together, on the same inputs, and each gets the whole output. In backward
        each gets the contribution of its own tokens to the gradients; the sum of these is the sample's gradient.
        """
        ...


@runtime_checkable
class Ensemble(Protocol):
    """A network of many members, trained as one: every parameter is `(members, ...)`."""

    members: int
    """E; a batch holds E * B samples, B of each member in turn."""


class TextEncoder(Protocol):
    """Captions to embeddings."""

    def encode(self, captions: Sequence[str]) -> Tensor:
        """N captions -> `(N, L, D)`."""
        ...


class PictureCodec(Protocol):
    """A codec whose first channels are affine in the pixels of every fourth frame, and whose last ones are cues."""

    cues: int
    """How many these are."""

    def code(self, frames: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [0, 1] -> the picture channels, `(N, C - cues, H', W')`, in their dtype."""
        ...

    def encode(self, video: Tensor) -> Tensor:
        """`(B, 3, F, H, W)` in [0, 1] -> latents `(B, C, T, H', W')`."""
        ...

    def begun(self, latents: Tensor) -> Tensor:
        """Latents `(B, C, T, H', W')` from the middle of a video, as those of a video that begins there."""
        ...


class Codec(Protocol):
    """Videos to latents and back."""

    def encode(self, video: Tensor) -> Tensor:
        """`(B, 3, F, H, W)` in [0, 1] -> latents `(B, C, T, H', W')`."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(B, C, T, H', W')` -> `(B, 3, F, H, W)` in [0, 1]."""
        ...

    def stream(self) -> Callable[[Tensor], Tensor]:
        """A function that decodes one batch of videos part by part; joined, the parts are what `decode` returns."""
        ...


@dataclass(frozen=True)
class Batch:
    """One micro-batch of training.

    Attributes:
        x_0: clean latents `(B, C, T, H, W)`.
        text: their captions' embeddings `(B, L, D)`.
        empty_text: the empty caption's embedding `(1, L, D)`.
        samples: B numbers, each sample's place in the whole run; random numbers are keyed by them. Of an ensemble:
            those of each member, of which the tensors hold E times as many rows.
        states: a teacher's trajectories `(B, S, C, T, H, W)`, noise first; None where none are regressed.
        text_before: another clip's caption for each sample `(B, L, D)`, where prompts change; None where none do.
        image: the clips' first frames, at image-to-video scales; None: networks are conditioned on text alone.
    """

    x_0: Tensor
    text: Tensor
    empty_text: Tensor
    samples: tuple[int, ...]
    states: Tensor | None = None
    text_before: Tensor | None = None
    image: FirstFrame | None = None

    def to(self, device: str) -> "Batch":
        """The same batch on a device."""
        moved: dict[str, Any] = {
            f.name: value.to(device)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor | FirstFrame)
        }
        return replace(self, **moved)
