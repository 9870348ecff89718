"""Wan's video autoencoder as a codec, and the one place that touches diffusers' `AutoencoderKLWan`.

Videos are `(B, 3, F, H, W)` in [0, 1]; latents `(B, C, T, H / 8, W / 8)` with T = 1 + (F - 1) / 4, of mean 0 and
variance 1 per channel by the constants of the autoencoder's config. diffusers takes seconds to import, so each function
imports it itself.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from salt.errors import SaltError
from salt.foreign import one_line
from salt.models.finite import check_answer, computing
from salt.models.wan import CONFIG, pretrained
from salt.readers import read_json


class WanVAE(nn.Module):
    """`salt.models.protocol.Codec` on an unmodified `AutoencoderKLWan`."""

    vae: Any
    mean: Tensor
    std: Tensor

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae
        for name in ("mean", "std"):
            values = torch.tensor(self.vae.config[f"latents_{name}"]).view(1, -1, 1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def encode(self, video: Tensor) -> Tensor:
        """Latents `(B, C, T, H / 8, W / 8)`, float32: the mode of the posterior."""
        posterior = self.vae.encode((2 * video - 1).to(self.vae.dtype)).latent_dist
        return (posterior.mode().float() - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """Video `(B, 3, F, H, W)`, float32 in [0, 1], of whole latents."""
        return self.stream()(latents)

    def stream(self) -> Callable[[Tensor], Tensor]:
        """A function that decodes one batch of videos part by part; joined, the parts are what `decode` returns.

        Between parts, the last frames of every convolution are kept, as many as its kernel reaches back, so memory does
        not grow with the video.
        """
        left: list[Any] = [None] * self.vae._cached_conv_counts["decoder"]  # diffusers keeps one such list for itself
        first = True

        def decode_part(part: Tensor) -> Tensor:
            nonlocal first
            hidden = self.vae.post_quant_conv((part * self.std + self.mean).to(self.vae.dtype))
            frames = []
            for frame in hidden.split(1, dim=2):
                frames.append(self.vae.decoder(frame, feat_cache=left, feat_idx=[0], first_chunk=first))
                first = False
            return ((torch.cat(frames, dim=2).float() + 1) / 2).clamp(0, 1)

        return decode_part


def load_vae(folder: Path, dtype: torch.dtype = torch.float32) -> WanVAE:
    """Read an `AutoencoderKLWan` in diffusers' own format, frozen and in evaluation mode.

    Args:
        folder: with `config.json` and the weights.
        dtype: what the network computes in.

    Raises:
        SaltError: the folder is missing or broken, or holds the autoencoder of Wan 2.2, which folds patches into
            channels; or one small video does not come through as numbers.
    """
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    _check_config(folder / CONFIG)
    vae = pretrained(AutoencoderKLWan, folder, dtype)
    video = torch.linspace(0, 1, 3 * 5 * 16 * 16).view(1, 3, 5, 16, 16)
    with computing(folder):
        codec = WanVAE(vae).eval().requires_grad_(False)
        latents = codec.encode(video)
        check_answer(latents, (1, codec.vae.config.z_dim, 2, 2, 2), folder, "latents")
        check_answer(codec.decode(latents), tuple(video.shape), folder, "videos")
    return codec


def _check_config(path: Path) -> None:
    """Refuse what diffusers would fill in with the constants of another autoencoder, or take as it is."""
    config = read_json(path)
    if config.get("patch_size") is not None:
        raise SaltError(f"{path}: patch_size={one_line(config['patch_size'])}; null is expected: that of Wan 2.1")
    channels = config.get("z_dim")
    for key, lowest in (("latents_mean", -math.inf), ("latents_std", 0.0)):
        given = config.get(key)
        values = given if isinstance(given, list) else []
        numbers = all(isinstance(each, int | float) and lowest < each < math.inf for each in values)
        if not values or not numbers or len(values) != channels:
            wanted = f"z_dim={one_line(channels)} {'positive ' if lowest == 0 else ''}numbers"
            raise SaltError(f"{path}: {key}={one_line(given)}; {wanted} are expected")
