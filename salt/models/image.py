"""The image encoder: CLIP's vision tower and its processor in transformers' own format, as Wan 2.1 I2V's.

Pictures are `(N, 3, H, W)` in [0, 1]; features `(N, L, D)` are the input of its last block, as in Wan
(Wan-Video/Wan2.1, wan/modules/clip.py: `use_31_block`).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from salt.errors import SaltError
from salt.foreign import one_line
from salt.models.finite import check_answer, computing
from salt.models.text import read_pair
from salt.readers import read_json

LARGEST = 4096
"""Side of a picture that a processor makes, in pixels; CLIP's are of 224."""


class CLIPImageEncoder:
    """Pictures to features."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model.eval().requires_grad_(False), processor

    def to(self, device: str) -> "CLIPImageEncoder":
        """Move the network; features are returned on its device."""
        self.model.to(device)
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """`(L, D)` of a picture's features: the class token and the patches."""
        config = self.model.config
        return 1 + (config.image_size // config.patch_size) ** 2, config.hidden_size

    def prepared(self, pictures: Tensor) -> Tensor:
        """Pictures as the network takes them, `(N, 3, S, S)`."""
        rounded = (255 * pictures.clamp(0, 1)).round().to(torch.uint8).cpu()
        pixels: Tensor = self.processor(images=list(rounded), return_tensors="pt").pixel_values
        return pixels

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """`(N, L, D)`, float32."""
        pixels = self.prepared(pictures)
        states = self.model(pixels.to(self.model.device, self.model.dtype), output_hidden_states=True).hidden_states
        features: Tensor = states[-2].float()
        return features


class NoImageEncoder:
    """Stands in for an image encoder where networks take no features of an image."""

    shape: None = None

    def to(self, device: str) -> "NoImageEncoder":
        """Nothing to move."""
        return self

    def encode(self, pictures: Tensor) -> None:
        """No features."""


def load_image_encoder(folder: Path, dtype: torch.dtype = torch.float32) -> CLIPImageEncoder:
    """Read `image_encoder/` and `image_processor/` below a folder.

    Args:
        folder: holds them, weights in one file or in shards with an index.
        dtype: what the network computes in.

    Raises:
        SaltError: a file is missing or broken, or weights are missing, unexpected or not finite.
    """
    from transformers import AutoImageProcessor, CLIPVisionModel

    wanted = f"{folder}: image_encoder/ and image_processor/ in transformers' format are expected"
    own, beside = folder / "image_encoder", folder / "image_processor"
    encoder = CLIPImageEncoder(*read_pair(wanted, CLIPVisionModel, own, AutoImageProcessor, beside, dtype))
    picture, side = torch.linspace(0, 1, 3 * 40 * 60).view(1, 3, 40, 60), encoder.model.config.image_size
    _check_sides(beside / "preprocessor_config.json")
    with computing(beside):
        check_answer(encoder.prepared(picture), (1, 3, side, side), beside, "pictures")
    with computing(own):
        check_answer(encoder.encode(picture), (1, *encoder.shape), own, "features")
    return encoder


def _check_sides(path: Path) -> None:
    """Refuse a processor of pictures that would fill the memory, before it makes one."""
    known = read_json(path)
    for key in ("size", "crop_size"):
        given = known.get(key)
        sides = given.values() if isinstance(given, dict) else [given]
        if not all(each is None or (isinstance(each, int) and 0 < each <= LARGEST) for each in sides):
            raise SaltError(f"{path}: {key}={one_line(given)}; sides of 1 to {LARGEST} pixels are expected")
