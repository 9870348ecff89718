"""What networks are conditioned on besides captions: nothing, or a first frame (image-to-video), uint8 `(H, W, 3)`.

For the world's captions it is the first frame of a held-out clip, another one for each sampling seed; for VBench-I2V's
prompts, their image in the ratio that the protocol names; for a user's own captions, the picture given with each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from salt.config.scale import Scale
from salt.data.captions import read_first_frame
from salt.data.clips import as_tensor
from salt.data.prompts import OwnPrompt, Prompt, held_out_clip
from salt.data.vbench_prompts import AnyPrompt
from salt.digest import SHORT, lines_digest
from salt.errors import SaltError
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.scorers import scorer_of
from salt.files import sha256
from salt.models.protocol import FirstFrame

Encode = Callable[[Tensor], FirstFrame]
"""First frames `(B, 3, H, W)` in [0, 1] -> what a network is conditioned on."""
Seeded = Sequence[tuple[AnyPrompt | OwnPrompt, int]]
"""B prompts with a sampling seed each."""


Condition = Callable[[Seeded], FirstFrame | None]
"""B prompts -> the conditioning of their videos besides captions; None: captions alone."""


def no_condition(items: Seeded) -> None:
    """The `Condition` of text-to-video networks."""


class Conditioning(Protocol):
    """What the networks of a scale are conditioned on besides captions."""

    def identity(self, prompts: Sequence[AnyPrompt | OwnPrompt]) -> dict[str, str]:
        """Its part in what determines videos of these prompts, besides prompts and protocol.

        Raises:
            SaltError: a prompt lacks its image.
        """
        ...

    def condition(self, items: Seeded, encode: Encode, device: str) -> FirstFrame | None:
        """The conditioning of B videos, encoded on `device`; None: captions alone."""
        ...

    def of_videos(self, videos: Tensor, encode: Encode) -> FirstFrame | None:
        """The conditioning in training on videos `(B, 3, F, H, W)`; None: captions alone."""
        ...


class CaptionsAlone:
    """Text-to-video."""

    def identity(self, prompts: Sequence[AnyPrompt | OwnPrompt]) -> dict[str, str]:
        """Nothing."""
        return {}

    def condition(self, items: Seeded, encode: Encode, device: str) -> None:
        """Nothing."""

    def of_videos(self, videos: Tensor, encode: Encode) -> None:
        """Nothing."""


@dataclass(frozen=True)
class FirstFrames:
    """Image-to-video."""

    scale: Scale

    def frame(self, prompt: AnyPrompt | OwnPrompt, seed: int) -> NDArray[np.uint8]:
        """The first frame of a prompt's video, `(H, W, 3)`.

        Raises:
            SaltError: the prompt has no image, or one that is missing or cannot be read.
        """
        if isinstance(prompt, Prompt):
            return held_out_clip(prompt, seed, self.scale.world)[0]
        path = self._file(prompt)
        if path is None:
            raise SaltError(
                f"{prompt.id}: it has no image, but scale {self.scale.name} conditions networks on a first frame"
            )
        return read_first_frame(path, self.scale.world.fps, *self.scale.video_size)

    def condition(self, items: Seeded, encode: Encode, device: str) -> FirstFrame:
        """The first frames, encoded."""
        frames = np.stack([self.frame(prompt, seed) for prompt, seed in items])
        return encode(as_tensor(frames[:, None])[:, :, 0].to(device))

    def of_videos(self, videos: Tensor, encode: Encode) -> FirstFrame:
        """Their own first frames, encoded."""
        return encode(videos[:, :, 0])

    def identity(self, prompts: Sequence[AnyPrompt | OwnPrompt]) -> dict[str, str]:
        """12 hexadecimal digits that change with any image of the prompts; empty if no image is read from a file.

        Raises:
            SaltError: prompts lack their image; the message names the first of them and says how many there are.
        """
        images = {prompt.id: self._file(prompt) for prompt in prompts if not isinstance(prompt, Prompt)}
        missing = [name for name, path in images.items() if path is None or not path.is_file()]
        if missing:
            place = images[missing[0]] or f"{missing[0]} names none"
            raise SaltError(
                f"{len(missing)} of {len(prompts)} prompts have no image ({place}); accepted: an image for every "
                f"prompt, since scale {self.scale.name} conditions networks on a first frame"
            )
        digests = {path: sha256(path) for path in images.values() if path is not None}  # prompts share images
        lines = [f"{name} {digests[path]}" for name, path in images.items() if path is not None]
        return {"images": lines_digest(lines)[:SHORT]} if lines else {}

    def _file(self, prompt: AnyPrompt | OwnPrompt) -> Path | None:
        """The file of a prompt's image."""
        if isinstance(prompt, OwnPrompt):
            return None if prompt.image is None else Path(prompt.image)
        return scorer_of(self.scale, TrainingLength(self.scale.evaluation)).image(prompt)


def conditioning_of(scale: Scale) -> Conditioning:
    """The conditioning of a scale's networks; the one place that decides it."""
    return FirstFrames(scale) if scale.image_to_video else CaptionsAlone()
