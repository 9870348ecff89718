"""What every verb that touches a network needs: codec, text encoder and teacher of one scale, in one folder.

The folder is laid out as a diffusers pipeline (`transformer/`, `text_encoder/`, `tokenizer/`, with `codec/` for the
VAE) and holds `provenance.json`, written last, with the hash of every file.
"""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from salt.config.files import repository_root
from salt.config.hashing import content_hash
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.data.clips import ClipSource, as_tensor, pretext, vocabulary
from salt.data.latents import LatentBank, write_bank
from salt.errors import SaltError
from salt.files import whole_folder, write_text
from salt.methods import Streams, build_method
from salt.methods.protocol import Method
from salt.models.codec import WEIGHTS, TinyCodec, fit_codec, load_codec, save_codec
from salt.models.text import UMT5TextEncoder, build_text_encoder, fit_text_encoder, load_text_encoder, save_text_encoder
from salt.models.wan import WanVelocity, build_wan, load_wan, save_wan
from salt.training.job import run_training
from salt.training.provenance import NAME, hash_files

log = logging.getLogger(__name__)

CODEC, TRANSFORMER = "codec", "transformer"
SEEDS = {"codec": 1, "text": 2, "bank": 3, "linear": 4}
"""Seeds of the clips that codec, text encoder and latent bank are made from."""
LINEAR_CLIPS = 1024
"""Clips that fix the codec's linear part."""
CHUNK = 256


@dataclass(frozen=True)
class Assets:
    """The networks that all experiments at a scale share."""

    folder: Path
    scale: Scale
    codec: TinyCodec
    text_encoder: UMT5TextEncoder

    def teacher(self) -> WanVelocity:
        """The teacher, a fresh copy."""
        return load_wan(self.folder / TRANSFORMER, self.scale.backbone)

    @property
    def codec_hash(self) -> str:
        """SHA-256 of the codec's weights: latents of one codec mean nothing to another."""
        return hash_files(self.folder / CODEC)[WEIGHTS]

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C, T, h, w)`."""
        return self.codec.latent_shape(self.scale.world.frames, self.scale.world.size)


def load_assets(folder: Path, scale: Scale) -> Assets:
    """Codec and text encoder of a folder made by `make_teacher` or `use_shipped`.

    Raises:
        SaltError: a file is missing or broken, or the networks are not of this scale.
    """
    assets = Assets(folder, scale, load_codec(folder / CODEC), load_text_encoder(folder, scale.text.tokens))
    codec = assets.codec.config
    for key, found, wanted in (
        ("codec.stride", codec.stride, scale.codec.stride),
        ("codec.channels", codec.channels, scale.codec.channels),
        ("text.d_model", assets.text_encoder.dim, scale.text.d_model),
    ):
        if found != wanted:
            raise SaltError(f"{folder}: {key}={found}, but scale {scale.name} has {key}={wanted}")
    return assets


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


# --------------------------------------------------------------------------------------------- trained
def make_teacher(experiment: Experiment, seed: int, run_dir: Path, out: Path, device: str, wait: bool) -> None:
    """Make codec, text encoder and teacher, in this order, each kept in the run directory as soon as it is done."""
    scale = experiment.scale
    torch.set_num_threads(experiment.train.threads)
    base = run_dir / f"base_{content_hash(scale.world)}_{content_hash(scale.codec)}_{content_hash(scale.text)}"
    if not base.exists():
        with whole_folder(base) as folder:
            _make_codec(scale, folder / CODEC, device)
            _make_text_encoder(scale, folder)
    assets = load_assets(base, scale)
    bank = base.with_name(f"{base.name}.safetensors")
    if not bank.exists():
        make_bank(assets, bank)

    def build() -> tuple[Method, LatentBank]:
        generator = build_wan(scale.backbone, seed).to(device)
        return build_method(experiment, generator, None, Streams(seed)), LatentBank(bank, assets.text_encoder, seed)

    def preview(step: int, generator: nn.Module) -> None:
        from salt.cli.preview import draw_preview

        draw_preview(generator, experiment, assets, run_dir / "previews" / f"step_{step:06d}.png", device)

    export = run_dir / TRANSFORMER
    # float16 halves what the repository ships; the teacher of every student is what was stored
    run_training(
        experiment,
        seed,
        build,
        run_dir,
        export,
        lambda model, folder: save_wan(model, folder, torch.float16),
        {"codec": base / CODEC},
        device,
        preview,
        wait,
    )
    with whole_folder(out) as folder:
        shutil.copytree(base, folder, dirs_exist_ok=True)
        shutil.copytree(export, folder / TRANSFORMER, ignore=shutil.ignore_patterns(NAME))
        training = json.loads((export / NAME).read_text(encoding="utf-8"))
        known = {"files": hash_files(folder), "git": training["git"], "teacher": training}
        write_text(folder / NAME, json.dumps(known, indent=1) + "\n")


def _make_codec(scale: Scale, folder: Path, device: str) -> None:
    source = ClipSource(scale.world, "train", SEEDS["codec"])
    first = ClipSource(scale.world, "train", SEEDS["linear"])
    size = scale.codec.batch_size

    def clips(step: int) -> Tensor:
        if step == 0:
            return first.videos(range(min(LINEAR_CLIPS, scale.world.clips))).to(device)
        return source.videos(range((step - 1) * size, step * size)).to(device)

    with torch.random.fork_rng(devices=[]), tqdm(total=scale.codec.steps, desc="codec", mininterval=5) as bar:
        torch.manual_seed(SEEDS["codec"])
        codec = TinyCodec(scale.codec).to(device)
        fit_codec(codec, clips, SEEDS["codec"], lambda step, loss: _advance(bar, loss))
    save_codec(codec.cpu(), folder)


def _advance(bar: "tqdm[Never]", loss: float) -> None:
    bar.set_postfix(loss=f"{loss:.5f}", refresh=False)
    bar.update()


def _make_text_encoder(scale: Scale, folder: Path) -> None:
    captions, labels = pretext()
    model, tokenizer = build_text_encoder(scale.text, vocabulary(), SEEDS["text"])
    right = fit_text_encoder(model, tokenizer, captions, labels, scale.text, SEEDS["text"])
    log.info("text encoder: tells %.1f %% of the attributes of a caption", 100 * right)
    save_text_encoder(model, tokenizer, folder)


def make_bank(assets: Assets, path: Path) -> None:
    """Render and encode the training clips of a scale into one file."""
    world = assets.scale.world
    source = ClipSource(world, "train", SEEDS["bank"])

    def chunks() -> Iterator[tuple[Tensor, list[str]]]:
        for start in tqdm(range(0, world.clips, CHUNK), desc="latents", mininterval=5):
            clips = [source.clip(i) for i in range(start, min(start + CHUNK, world.clips))]
            with torch.no_grad():
                latents = assets.codec.encode(as_tensor(np.stack([clip.video for clip in clips])))
            yield latents, [clip.caption for clip in clips]

    about = {"world": content_hash(world), "codec": assets.codec_hash}
    write_bank(path, world.clips, assets.latent_shape, chunks(), about)
