"""What every verb that touches a network needs: codec, text encoder and teacher of one scale, in one folder.

The folder is laid out as a diffusers pipeline (`transformer/`, `text_encoder/`, `tokenizer/`, and `vae/`, or `codec/`
where the codec is the tiny one) and holds `provenance.json`, written last, with the hash of every file. Networks that
are released in Wan's original layout are converted.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from salt.config.files import repository_root
from salt.config.released import weights_root
from salt.config.scale import Scale
from salt.digest import json_digest
from salt.errors import SaltError
from salt.files import whole_folder, write_text
from salt.models import original
from salt.models.codec import TinyCodec, load_codec
from salt.models.image import CLIPImageEncoder, load_image_encoder
from salt.models.protocol import FirstFrame
from salt.models.text import UMT5TextEncoder, load_text_encoder
from salt.models.vae import WanVAE, load_vae
from salt.models.wan import WanVelocity, load_wan
from salt.training.provenance import NAME, hash_files

CODEC, VAE, TRANSFORMER, TEXT_ENCODER, TOKENIZER = "codec", "vae", "transformer", "text_encoder", "tokenizer"
IMAGE_ENCODER, IMAGE_PROCESSOR = "image_encoder", "image_processor"
LARGER = "larger"
OWN_CONFIG = {TOKENIZER: "tokenizer_config.json", IMAGE_PROCESSOR: "preprocessor_config.json"}
"""What their format calls `config.json`."""
ORIGINAL = {
    TRANSFORMER: original.TRANSFORMER,
    TEXT_ENCODER: original.TEXT_ENCODER,
    TOKENIZER: f"{original.TOKENIZER}/tokenizer_config.json",
    VAE: original.VAE,
    IMAGE_ENCODER: original.IMAGE_ENCODER,
    IMAGE_PROCESSOR: original.IMAGE_ENCODER,  # Wan's own code has it, not a file
}
"""What shows that a part is there in Wan's original layout."""


@dataclass(frozen=True)
class Assets:
    """The networks that all experiments at a scale share."""

    folder: Path
    scale: Scale
    codec: TinyCodec | WanVAE
    text_encoder: UMT5TextEncoder
    image_encoder: CLIPImageEncoder | None = None
    """Of scales whose networks are shown features of a first frame."""

    def on(self, device: str) -> "Assets":
        """The same, moved to a device."""
        self.codec.to(device)
        self.text_encoder.to(device)
        if self.image_encoder is not None:
            self.image_encoder.to(device)
        return self

    def show(self, frames: Tensor) -> FirstFrame:
        """What image-to-video networks are shown of first frames `(B, 3, H, W)` in [0, 1], on the codec's device.

        Mid-grey stands for the frames to be made: 0 in the range that Wan's autoencoder takes.
        """
        grey = torch.full_like(frames, 0.5)[:, :, None].expand(-1, -1, self.scale.world.frames - 1, -1, -1)
        latents = self.codec.encode(torch.cat([frames[:, :, None], grey], dim=2))
        return FirstFrame(latents, None if self.image_encoder is None else self.image_encoder.encode(frames))

    def teacher(self) -> WanVelocity:
        """The teacher, a fresh copy."""
        return load_wan(self.folder / TRANSFORMER, self.scale.backbone)

    def larger(self) -> WanVelocity:
        """The larger teacher of a scale that has one."""
        assert self.scale.larger is not None  # `Experiment` refuses what asks for one that is not there
        return load_wan(self.folder / LARGER, self.scale.larger.backbone)

    @property
    def codec_folder(self) -> Path:
        """Where the codec lies."""
        return self.folder / (CODEC if self.scale.vae is None else VAE)

    @property
    def codec_hash(self) -> str:
        """SHA-256 of the codec's weights: latents of one codec mean nothing to another."""
        return weights_hash(self.codec_folder)

    @property
    def image_encoder_hash(self) -> str | None:
        """SHA-256 of what makes the features of a first frame; None where networks take none."""
        return None if self.image_encoder is None else weights_hash(self.folder / IMAGE_ENCODER)

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C, T, h, w)`."""
        return self.scale.latent_shape


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights in a folder, or of all their hashes where they are in several files."""
    found = {name: digest for name, digest in hash_files(folder).items() if name.endswith(".safetensors")}
    if len(found) == 1:
        return next(iter(found.values()))
    return json_digest(found)


def load_assets(folder: Path, scale: Scale) -> Assets:
    """Codec and text encoder of a folder made by `make_teacher`, `use_shipped` or `link_released`.

    Raises:
        SaltError: a file is missing or broken, or the networks are not of this scale.
    """
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
    image_encoder = None
    if scale.first_frame is not None and scale.first_frame.tokens:
        image_encoder = load_image_encoder(folder)
        tokens, width = image_encoder.shape
        checks.append(("first_frame.tokens", tokens, scale.first_frame.tokens))
        checks.append(("backbone.image_dim", width, scale.backbone.image_dim or 0))
    for key, found, wanted in checks:
        if found != wanted:
            raise SaltError(f"{folder}: {key}={found}, but scale {scale.name} has {key}={wanted}")
    return Assets(folder, scale, codec, text_encoder, image_encoder)


# --------------------------------------------------------------------------------------------- shipped
def shipped_files(scale: Scale) -> dict[str, str]:
    """Name -> SHA-256 of the assets that the repository ships, every file checked against its recorded hash.

    Raises:
        SaltError: they are missing, or a file is not the one that was shipped.
    """
    source = repository_root() / scale.assets
    try:
        known = json.loads((source / NAME).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SaltError(
            f"{source}: no shipped teacher ({error}); "
            f"`teacher: train` in experiments/scales/{scale.name}.yaml makes one"
        ) from error
    found = hash_files(source)
    for name in sorted(known.keys() | found.keys()):
        if known.get(name) != found.get(name):
            raise SaltError(f"{source / name}: sha256 is {found.get(name)}, but {known.get(name)} was shipped")
    return found


def use_shipped(scale: Scale, out: Path) -> None:
    """Copy what `shipped_files` has checked."""
    shipped_files(scale)
    with whole_folder(out) as folder:
        shutil.copytree(repository_root() / scale.assets, folder, dirs_exist_ok=True)


# --------------------------------------------------------------------------------------------- linked
@dataclass(frozen=True)
class Released:
    """Where a released network lies, or a tokenizer."""

    source: Path
    """Its folder; in the original layout its file, of a transformer the folder with its shards."""
    converted: bool
    """Whether it is to be converted from the original layout, and not linked."""


def released_parts(scale: Scale) -> dict[str, Released]:
    """Part of the folder of assets -> where it lies below `SALT_WEIGHTS`; all are seen to be there.

    Raises:
        SaltError: a part is missing.
    """
    root = weights_root()
    named = [TRANSFORMER, TEXT_ENCODER, TOKENIZER, VAE]
    if scale.first_frame is not None and scale.first_frame.tokens:
        named += [IMAGE_ENCODER, IMAGE_PROCESSOR]
    places = {part: (root / scale.assets, part) for part in named}
    if scale.larger is not None:
        places[LARGER] = (root / scale.larger.assets, TRANSFORMER)
    parts = {part: _find(folder, name) for part, (folder, name) in places.items()}
    for part, found in parts.items():
        if found is None:
            folder, name = places[part]
            raise SaltError(
                f"{folder / name}: there is no {_shown_by(name)}, nor {ORIGINAL[name]} in {_original(folder)}; "
                "accepted: a pipeline in diffusers' format, or Wan's original layout, below SALT_WEIGHTS "
                "(docs/paper_scale.md says where it is downloaded)"
            )
    return {part: found for part, found in parts.items() if found is not None}


def _find(folder: Path, name: str) -> Released | None:
    """A part of a pipeline, in diffusers' format or else in the original layout."""
    if (folder / name / _shown_by(name)).is_file():
        return Released(folder / name, converted=False)
    for place in (folder, _original(folder)):
        if found := sorted(place.glob(ORIGINAL[name])):
            if name == TOKENIZER:
                return Released(found[0].parent, converted=False)
            return Released(place if name == TRANSFORMER else found[0], converted=True)
    return None


def _shown_by(name: str) -> str:
    return OWN_CONFIG.get(name, "config.json")


def _original(folder: Path) -> Path:
    """Where the hub has the original of `Wan2.1-T2V-1.3B-Diffusers`."""
    return folder.with_name(folder.name.removesuffix("-Diffusers"))


def link_released(scale: Scale, out: Path) -> None:
    """A folder of the released codec, text encoder and teacher: links, or networks converted from the original layout.

    Every file is hashed, and every network that a scale uses is read once.
    """
    parts = released_parts(scale)
    with whole_folder(out) as folder:
        for part, found in parts.items():
            if found.converted:
                _convert(part, found.source, scale, folder / part)
                continue
            for file in sorted(path for path in found.source.rglob("*") if path.is_file()):
                link = folder / part / file.relative_to(found.source)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        assets = load_assets(folder, scale)
        assets.teacher()
        if scale.larger is not None:
            assets.larger()
        known = {
            "files": hash_files(folder),
            "linked": {part: str(found.source) for part, found in parts.items() if not found.converted},
            "converted": {part: str(found.source) for part, found in parts.items() if found.converted},
        }
        write_text(folder / NAME, json.dumps(known, indent=1) + "\n")


def _convert(part: str, source: Path, scale: Scale, folder: Path) -> None:
    if part == TEXT_ENCODER:
        original.write_text_encoder(source, scale.text, folder)
    elif part == VAE:
        original.write_vae(source, folder)
    elif part == IMAGE_ENCODER:
        original.write_image_encoder(source, folder)
    elif part == IMAGE_PROCESSOR:
        original.write_image_processor(source, folder)
    else:
        larger = scale.larger if part == LARGER else None
        original.write_transformer(source, (larger or scale).backbone, folder)
