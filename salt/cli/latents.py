"""What lies behind `salt latents`: clips of the world, captioned videos, or the teacher's own, as latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from salt.cli.assets import TEXT_ENCODER, TRANSFORMER, Assets, weights_hash
from salt.config import load_experiment
from salt.config.data import Data
from salt.config.hashing import content_hash
from salt.config.released import weights_root
from salt.config.scale import Scale
from salt.data.captions import Captioned, check_length, read_captions, read_clip
from salt.data.clips import ClipSource, as_tensor
from salt.data.latents import About, LatentBank, Shape, write_bank
from salt.data.store import WHOLE
from salt.data.store import Make as Clips
from salt.digest import json_digest
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.evaluation.sampling.solvers import Network, generate
from salt.files import sha256
from salt.flow.grid import time_grid
from salt.methods.streams import Streams
from salt.models.precision import in_precision
from salt.training.run import alone

SEED = 3
"""Of the world's clips, and of the noise that the teacher starts from."""
CHUNK = 256
"""Clips of the world that are coded at once."""
SHARD_BYTES = 64 << 20
LATENTS_ALONE = "latents alone"
"""In the place of an image encoder's hash."""


def make_bank(assets: Assets, out: Path, device: str, part: tuple[int, int] = WHOLE) -> None:
    """Write the training latents of a scale, or what is missing of them, or of one part of them (`write_store`)."""
    scale = assets.scale
    assets.on(device)
    if scale.data is None:
        at_once = CHUNK
        clips: Clips = WorldClips(assets, ClipSource(scale.world, "train", SEED), device)
    else:
        at_once, lines = scale.evaluation.batch_size, read_captions(captions_file(scale.data), scale.data)
        for line in lines:
            if line.video is not None:
                check_length(line.video, scale.world.frames, scale.world.fps)
            elif scale.first_frame is not None:
                raise SaltError(
                    f"{captions_file(scale.data)}: {line.caption[:60]!r} has no video, whose first frame networks of "
                    f'scale {scale.name} are shown; accepted: a .jsonl of {{"caption": ..., "video": FILE}} a line'
                )
        clips = Captions(assets, lines, device)
    size = max(1, SHARD_BYTES // (2 * prod(shape_of(assets).row())))
    size = size // at_once * at_once or size

    def make(start: int, stop: int) -> tuple[Tensor, Sequence[str]]:
        latents: list[Tensor] = []
        captions: list[str] = []
        for begin in range(start, stop, at_once):
            some, told = clips(begin, min(begin + at_once, stop))
            latents.append(some.cpu())
            captions += told
            bar.update(len(told))
        return torch.cat(latents), captions

    about = about_bank(assets)
    with (
        alone(part_lease(out, part)),
        tqdm(total=scale.clips, desc="latents", mininterval=5) as bar,
        torch.no_grad(),
    ):
        write_bank(out, about, scale.clips, size, make, part)


def part_lease(folder: Path, part: tuple[int, int]) -> Path:
    """Held by who writes a part of a store."""
    return folder.with_name(f".{folder.name}.part_{part[0]}.lease")


def shape_of(assets: Assets) -> Shape:
    """Of what is kept of one clip."""
    features = None if assets.image_encoder is None else assets.image_encoder.shape
    return Shape(assets.latent_shape, features, assets.scale.first_frame is not None)


def about_bank(assets: Assets) -> About:
    """What decides the latents of a scale: the world; or captions, and how those without a video are shown."""
    scale, evaluation = assets.scale, assets.scale.evaluation
    shown = None if scale.first_frame is None else assets.image_encoder_hash or LATENTS_ALONE
    if scale.data is None:
        return About(codec=assets.codec_hash, source=content_hash(scale.world), first_frame=shown)
    path = captions_file(scale.data)
    decides: list[Any] = [sha256(path), scale.world.frames, scale.world.fps]
    if any(line.video is None for line in read_captions(path, scale.data)):
        decides += [weights_hash(assets.folder / TRANSFORMER), weights_hash(assets.folder / TEXT_ENCODER)]
        decides += [content_hash(scale.text), evaluation.precision]
        decides += [evaluation.teacher_nfe, evaluation.cfg_weight, teacher_shift(scale)]
    source = json_digest(decides)
    return About(codec=assets.codec_hash, source=source, first_frame=shown)


def open_bank(
    folder: Path, assets: Assets, seed: int, before: bool = False, hashed: bool = True, empty: str = ""
) -> LatentBank:
    """The bank of latents, which must be of this scale; what follows `seed` is as of `LatentBank`."""
    expected = about_bank(assets).model_dump()
    return LatentBank(folder, assets.text_encoder, seed, expected, shape_of(assets), before, hashed, empty)


def teacher_shift(scale: Scale) -> float:
    """Of the grid by which the teacher is sampled."""
    return load_experiment(TEACHER, scale.name).grid.shift


def captions_file(data: Data) -> Path:
    """Where the captions of a scale lie."""
    return weights_root() / data.captions


def coded(assets: Assets, videos: Tensor) -> Tensor:
    """Rows of the bank `(B, *row)` of videos `(B, 3, F, H, W)`."""
    image = None if assets.scale.first_frame is None else assets.show(videos[:, :, 0])
    return shape_of(assets).pack(assets.codec.encode(videos), image)


@dataclass(frozen=True)
class WorldClips:
    """Clips of the procedural world."""

    assets: Assets
    source: ClipSource
    device: str

    def __call__(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents and captions of the clips with these numbers."""
        clips = [self.source.clip(i) for i in range(start, stop)]
        videos = as_tensor(np.stack([clip.video for clip in clips])).to(self.device)
        return coded(self.assets, videos), [clip.caption for clip in clips]


@dataclass(frozen=True)
class Captions:
    """Captioned videos; captions without a video are shown by the guided teacher, in its own Euler steps."""

    assets: Assets
    lines: Sequence[Captioned]
    device: str

    def __call__(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents and captions of the lines with these numbers."""
        found: dict[int, Tensor] = {}
        for number in range(start, stop):
            if self.lines[number].video is not None:
                found[number] = self._coded(number)
        rest = [number for number in range(start, stop) if number not in found]
        if rest:
            found |= dict(zip(rest, self._generated(rest), strict=True))
        numbers = range(start, stop)
        return torch.stack([found[number] for number in numbers]), [self.lines[number].caption for number in numbers]

    def _coded(self, number: int) -> Tensor:
        scale, video = self.assets.scale, self.lines[number].video
        assert scale.vae is not None  # `Scale` refuses `data` without it
        assert video is not None
        clip = read_clip(video, scale.world.frames, scale.world.fps, scale.vae.height, scale.vae.width)
        return coded(self.assets, as_tensor(clip[None]).to(self.device))[0]

    def _generated(self, numbers: Sequence[int]) -> Tensor:
        evaluation, streams = self.assets.scale.evaluation, Streams(SEED)
        noise = streams.normal("latents/noise", 0, numbers, self.assets.latent_shape).to(self.device)
        velocity = self._teacher.velocity([self.lines[number].caption for number in numbers])
        grid = time_grid(evaluation.teacher_nfe, teacher_shift(self.assets.scale))
        return generate(velocity, noise, grid, "euler", lambda i, like: torch.zeros_like(like))

    @cached_property
    def _teacher(self) -> Network:
        evaluation = self.assets.scale.evaluation
        model = in_precision(self.assets.teacher().to(self.device).eval(), evaluation.precision, self.device)
        negative = self.assets.scale.text.negative
        return Network(model, self.assets.text_encoder, evaluation.cfg_weight, self.device, negative)
