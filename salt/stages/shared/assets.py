"""The networks that all stages of a scale share: codec, text encoder and teacher, in one folder.

The folder is laid out as a diffusers pipeline (`transformer/`, `text_encoder/`, `tokenizer/`, and `vae/`, or `codec/`
for the tiny codec) and holds `provenance.json`, written last, with the hash of every file. Networks that are released
in Wan's original layout are converted.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from salt.config.scale import Scale
from salt.digest import json_digest
from salt.errors import SaltError
from salt.models.codec import TinyCodec, load_codec
from salt.models.image import CLIPImageEncoder, NoImageEncoder, load_image_encoder
from salt.models.protocol import FirstFrame
from salt.models.text import UMT5TextEncoder, load_text_encoder
from salt.models.vae import WanVAE, load_vae
from salt.models.wan import WanVelocity, load_wan
from salt.training.provenance import check_unchanged, hash_files

CODEC, VAE, TRANSFORMER, TEXT_ENCODER, TOKENIZER = "codec", "vae", "transformer", "text_encoder", "tokenizer"
IMAGE_ENCODER, IMAGE_PROCESSOR = "image_encoder", "image_processor"
LARGER = "larger"
OWN_CONFIG = {TOKENIZER: "tokenizer_config.json", IMAGE_PROCESSOR: "preprocessor_config.json"}
"""The file that parts without a `config.json` have in its place."""


@dataclass(frozen=True)
class Assets:
    """The networks that all experiments at a scale share."""

    folder: Path
    scale: Scale
    codec: TinyCodec | WanVAE
    text_encoder: UMT5TextEncoder
    image_encoder: CLIPImageEncoder | NoImageEncoder
    """For the features of a first frame, if networks take any."""

    def on(self, device: str) -> "Assets":
        """These assets, with their encoders moved to a device."""
        self.codec.to(device)
        self.text_encoder.to(device)
        self.image_encoder.to(device)
        return self

    def encode_first_frames(self, frames: Tensor) -> FirstFrame:
        """The conditioning on first frames `(B, 3, H, W)` in [0, 1], which are on the codec's device.

        The frames to be generated are mid-grey: 0 in the range that Wan's autoencoder takes.
        """
        grey = torch.full_like(frames, 0.5)[:, :, None].expand(-1, -1, self.scale.world.frames - 1, -1, -1)
        latents = self.codec.encode(torch.cat([frames[:, :, None], grey], dim=2))
        return FirstFrame(latents, self.image_encoder.encode(frames))

    def teacher(self) -> WanVelocity:
        """The teacher, a fresh copy."""
        check_unchanged(self.folder / TRANSFORMER)
        return load_wan(self.folder / TRANSFORMER, self.scale.backbone)

    def larger(self) -> WanVelocity:
        """The larger teacher of a scale that has one."""
        assert self.scale.larger is not None  # `Experiment` refuses `teacher: larger` where there is none
        check_unchanged(self.folder / LARGER)
        return load_wan(self.folder / LARGER, self.scale.larger.backbone)

    @property
    def codec_folder(self) -> Path:
        """The folder of the codec."""
        return self.folder / (CODEC if self.scale.vae is None else VAE)

    @property
    def codec_hash(self) -> str:
        """SHA-256 of the codec's weights: no codec can decode the latents of another."""
        return weights_hash(self.codec_folder)

    @property
    def image_encoder_hash(self) -> dict[str, str]:
        """The image encoder's name -> SHA-256 of its weights; empty if networks take no features of a first frame."""
        folder = self.folder / IMAGE_ENCODER
        return {IMAGE_ENCODER: weights_hash(folder)} if self.scale.image_tokens else {}

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C, T, h, w)`."""
        return self.scale.latent_shape


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights in a folder; of the list of their hashes if they are in several files."""
    found = {name: digest for name, digest in hash_files(folder).items() if name.endswith(".safetensors")}
    if len(found) == 1:
        return next(iter(found.values()))
    return json_digest(found)


def load_assets(folder: Path, scale: Scale) -> Assets:
    """The encoders in a folder made by `make_teacher`, `use_shipped` or `link_released`.

    Raises:
        SaltError: a file is missing, broken or not as its provenance says, or the networks do not fit this scale.
    """
    encoders = [TEXT_ENCODER, TOKENIZER, CODEC if scale.vae is None else VAE]
    for part in [*encoders, IMAGE_ENCODER, IMAGE_PROCESSOR] if scale.image_tokens else encoders:
        check_unchanged(folder / part)
    text_encoder = load_text_encoder(folder, scale.text.tokens, getattr(torch, scale.text.precision))
    checks = [("text.d_model", text_encoder.dim, scale.text.d_model)]
    codec: TinyCodec | WanVAE
    if scale.vae is None:
        codec = load_codec(folder / CODEC)
        checks.append(("codec.stride", codec.config.stride, scale.codec.stride))
        checks.append(("codec.channels", codec.config.channels, scale.codec.channels))
    else:
        codec = load_vae(folder / VAE)
        checks.append(("vae.channels", codec.vae.config.z_dim, scale.vae.channels))
    image_encoder: CLIPImageEncoder | NoImageEncoder = NoImageEncoder()
    if scale.image_tokens:
        image_encoder = load_image_encoder(folder)
        tokens, width = image_encoder.shape
        checks.append(("first_frame.tokens", tokens, scale.image_tokens))
        checks.append(("backbone.image_dim", width, scale.backbone.image_dim or 0))
    for key, found, wanted in checks:
        if found != wanted:
            raise SaltError(f"{folder}: {key}={found}, but scale {scale.name} has {key}={wanted}")
    return Assets(folder, scale, codec, text_encoder, image_encoder)
