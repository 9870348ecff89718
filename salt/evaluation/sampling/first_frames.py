"""The first frames that image-to-video networks are shown in evaluation, uint8 `(H, W, 3)` in the size of videos.

Of the world's captions it is that of a held-out clip, another one for each sampling seed; of VBench-I2V's prompts the
image that belongs to them, cut to the ratio that the protocol names; of a user's own captions the picture beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from salt.config.scale import Scale
from salt.config.vbench import vbench_folder
from salt.data.captions import read_clip
from salt.data.clips import as_tensor
from salt.data.prompts import OwnPrompt, Prompt, held_out_clip
from salt.digest import SHORT, lines_digest
from salt.errors import SaltError
from salt.evaluation.prompts import AnyPrompt
from salt.files import sha256
from salt.models.protocol import FirstFrame

Show = Callable[[Tensor], FirstFrame]
"""First frames `(B, 3, H, W)` in [0, 1] -> what networks are shown of them."""


def first_frame(prompt: AnyPrompt | OwnPrompt, seed: int, scale: Scale) -> NDArray[np.uint8]:
    """The first frame of a prompt's video, `(H, W, 3)`.

    Raises:
        SaltError: the prompt has no image, or one that is missing or cannot be read.
    """
    if isinstance(prompt, Prompt):
        return held_out_clip(prompt, seed, scale.world)[0]
    path = image_of(prompt, scale)
    if path is None:
        raise SaltError(f"{prompt.id}: no image belongs to it; scale {scale.name} shows networks a first frame")
    sides = (scale.vae.height, scale.vae.width) if scale.vae is not None else (scale.world.size, scale.world.size)
    return read_clip(path, 1, scale.world.fps, *sides)[0]


def image_of(prompt: AnyPrompt | OwnPrompt, scale: Scale) -> Path | None:
    """The file of a prompt's image."""
    if isinstance(prompt, OwnPrompt):
        return None if prompt.image is None else Path(prompt.image)
    if isinstance(prompt, Prompt) or prompt.image is None or scale.evaluation.vbench is None:
        return None
    return vbench_folder() / "images" / scale.evaluation.vbench.image_ratio / prompt.image


@dataclass(frozen=True)
class FirstFrames:
    """What networks of a scale are shown of prompts under sampling seeds."""

    scale: Scale
    show: Show
    device: str

    def __call__(self, items: Sequence[tuple[AnyPrompt | OwnPrompt, int]]) -> FirstFrame:
        """Of B prompts with a seed each."""
        frames = np.stack([first_frame(prompt, seed, self.scale) for prompt, seed in items])
        return self.show(as_tensor(frames[:, None])[:, :, 0].to(self.device))


def images_hash(prompts: Sequence[AnyPrompt | OwnPrompt], scale: Scale) -> str | None:
    """12 hexadecimal digits that change with any image of the prompts; None where none is read from a file.

    Raises:
        SaltError: image-to-video prompts lack their image: names the first of them, and how many there are.
    """
    if scale.first_frame is None:
        return None
    images = {prompt.id: image_of(prompt, scale) for prompt in prompts if not isinstance(prompt, Prompt)}
    missing = [name for name, path in images.items() if path is None or not path.is_file()]
    if missing:
        place = images[missing[0]] or f"{missing[0]} names none"
        raise SaltError(
            f"{len(missing)} of {len(prompts)} prompts have no image ({place}); accepted: an image for every prompt, "
            f"since scale {scale.name} shows networks a first frame"
        )
    digests = {path: sha256(path) for path in images.values() if path is not None}  # prompts share images
    lines = [f"{name} {digests[path]}" for name, path in images.items() if path is not None]
    return lines_digest(lines)[:SHORT] if lines else None
