"""Rule `latents`: the training latents of a scale: clips of the world, captioned videos, or the teacher's samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from salt.config import load_experiment
from salt.config.data import Data
from salt.config.hashing import content_hash
from salt.config.released import weights_root
from salt.config.scale import Scale
from salt.data.captions import Captioned, check_length, read_captions, read_clip
from salt.data.clips import ClipSource, as_tensor
from salt.data.latents import About, Bank, LatentBank, Shape, write_bank
from salt.data.mode_bank import ModeBank
from salt.data.modes import WorldModes
from salt.data.prompts import OwnPrompt, Prompt, report_prompts
from salt.data.store import WHOLE
from salt.data.world import render
from salt.digest import json_digest
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.evaluation.sampling.conditioning import conditioning_of
from salt.evaluation.sampling.solvers import Network, generate
from salt.files import sha256
from salt.flow.grid import time_grid
from salt.models.precision import in_precision
from salt.stages.shared.assets import TEXT_ENCODER, TRANSFORMER, Assets, load_assets, weights_hash
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.modes import modes_of, tiny_codec
from salt.streams import Streams
from salt.training.run import alone

SEED = 3
"""Seed of the world's clips, and of the noise from which the teacher samples."""
CHUNK = 256
"""Clips of the world that are encoded at once."""
SHARD_BYTES = 64 << 20
LATENTS_ALONE = "latents alone"
"""Stands for an image encoder's hash where first frames are encoded as latents alone."""


def run(scale: Scale, teacher: Path, out: Path, device: str, part: tuple[int, int]) -> None:
    """Make the training latents of a scale, or one part of them.

    Args:
        scale: the scale.
        teacher: folder made by `salt teacher`.
        out: the store's folder.
        device: where clips are encoded.
        part: see `write_store`.
    """
    check_device(device)
    single_thread()
    make_bank(load_assets(teacher, scale), out, device, part)


def make_bank(assets: Assets, out: Path, device: str, part: tuple[int, int] = WHOLE) -> None:
    """Write the training latents of a scale, or those that are missing, of all or of one part (see `write_store`)."""
    scale = assets.scale
    assets.on(device)
    if scale.names_modes:
        modes = WorldModes(scale.world)
        cues, figures = modes.cues(tiny_codec(assets)), modes.figures
        with alone(part_lease(out, part)):
            write_bank(out, about_bank(assets), len(cues), len(cues), lambda i, j: (cues[i:j], figures[i:j]), part)
        return
    training = training_data(assets)
    clips, at_once = training.clips(device), training.at_once
    size = max(1, SHARD_BYTES // (2 * prod(shape_of(assets).row())))
    size = size // at_once * at_once or size

    def make(start: int, stop: int) -> tuple[Tensor, Sequence[str]]:
        latents: list[Tensor] = []
        captions: list[str] = []
        for begin in range(start, stop, at_once):
            some, their_captions = clips(begin, min(begin + at_once, stop))
            latents.append(some.cpu())
            captions += their_captions
            bar.update(len(their_captions))
        return torch.cat(latents), captions

    about = about_bank(assets)
    with (
        alone(part_lease(out, part)),
        tqdm(total=scale.clips, desc="latents", mininterval=5) as bar,
        torch.no_grad(),
    ):
        write_bank(out, about, scale.clips, size, make, part)


def part_lease(folder: Path, part: tuple[int, int]) -> Path:
    """The lease that the writer of a part of a store holds."""
    return folder.with_name(f".{folder.name}.part_{part[0]}.lease")


def shape_of(assets: Assets) -> Shape:
    """The shapes of what is stored for one clip."""
    return Shape(assets.latent_shape, assets.image_encoder.shape, assets.scale.image_to_video)


def about_bank(assets: Assets) -> About:
    """What determines the latents of a scale: the training data, the codec, and the encoder of first frames."""
    encoder = "".join(assets.image_encoder_hash.values()) or LATENTS_ALONE
    return About(
        codec=assets.codec_hash,
        source=training_data(assets).identity(),
        first_frame=encoder if assets.scale.image_to_video else None,
    )


def open_bank(
    folder: Path, assets: Assets, seed: int, before: bool = False, hashed: bool = True, empty: str = ""
) -> Bank:
    """The bank of latents, which must belong to this scale; arguments after `seed` as for `LatentBank`."""
    if assets.scale.names_modes:
        return ModeBank(*modes_of(assets, folder, about_bank(assets), hashed), assets.text_encoder, seed, before, empty)
    expected = about_bank(assets).model_dump()
    return LatentBank(folder, assets.text_encoder, seed, expected, shape_of(assets), before, hashed, empty)


def teacher_shift(scale: Scale) -> float:
    """The shift of the grid on which the teacher is sampled."""
    return load_experiment(TEACHER, scale.name).grid.shift


def captions_file(data: Data) -> Path:
    """The file with the captions of a scale."""
    return weights_root() / data.captions


def coded(assets: Assets, videos: Tensor) -> Tensor:
    """Rows of the bank `(B, *row)` of videos `(B, 3, F, H, W)`."""
    image = conditioning_of(assets.scale).of_videos(videos, assets.encode_first_frames)
    return shape_of(assets).pack(assets.codec.encode(videos), image)


# ------------------------------------------------------------------------------------------ training data
class Clips(Protocol):
    """A pure function of clip numbers: latents and captions of the clips from `start` up to `stop`."""

    def __call__(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Rows of the bank, and their captions."""
        ...


class TrainingData(Protocol):
    """The data on which students of a scale are trained."""

    @property
    def at_once(self) -> int:
        """Clips that are encoded at once."""
        ...

    def identity(self) -> str:
        """Hash of everything that determines the clips."""
        ...

    def clips(self, device: str) -> Clips:
        """The clips, encoded on `device`.

        Raises:
            SaltError: a file is missing or unusable.
        """
        ...

    def unseen(self, count: int) -> Sequence[Prompt | OwnPrompt]:
        """Captions that neither training nor report uses, for previews."""
        ...


def training_data(assets: Assets) -> TrainingData:
    """The training data of a scale: the one place that decides it."""
    data = assets.scale.data
    return WorldData(assets) if data is None else CaptionData(assets, data)


@dataclass(frozen=True)
class WorldData:
    """Clips of the procedural world."""

    assets: Assets

    at_once = CHUNK

    def identity(self) -> str:
        """Hash of the world's configuration."""
        return content_hash(self.assets.scale.world)

    def clips(self, device: str) -> Clips:
        """Clips that are rendered on request."""
        return WorldClips(self.assets, ClipSource(self.assets.scale.world, "train", SEED), device)

    def unseen(self, count: int) -> list[Prompt]:
        """The first prompts of the validation split."""
        return report_prompts(self.assets.scale.world, count, "validation")


@dataclass(frozen=True)
class WorldClips:
    """Clips of the procedural world, as latents."""

    assets: Assets
    source: ClipSource
    device: str

    def __call__(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents and captions of the clips with these numbers."""
        drawn = [self.source.scene(i) for i in range(start, stop)]
        videos = np.stack([render(scene, self.source.world) for scene, _ in drawn])
        return coded(self.assets, as_tensor(videos).to(self.device)).cpu(), [caption for _, caption in drawn]


@dataclass(frozen=True)
class CaptionData:
    """A file of captions, each with or without a video."""

    assets: Assets
    data: Data

    @property
    def at_once(self) -> int:
        """The batch size of the evaluation."""
        return self.assets.scale.evaluation.batch_size

    @cached_property
    def _lines(self) -> list[Captioned]:
        return read_captions(captions_file(self.data), self.data)

    def identity(self) -> str:
        """Hash of captions and videos and, if a caption has no video, of teacher and text encoder."""
        scale, folder = self.assets.scale, self.assets.folder
        evaluation, path = scale.evaluation, captions_file(self.data)
        decides: list[Any] = [sha256(path), scale.world.frames, scale.world.fps]
        if any(line.video is None for line in self._lines):
            decides += [weights_hash(folder / TRANSFORMER), weights_hash(folder / TEXT_ENCODER)]
            decides += [content_hash(scale.text), evaluation.precision]
            decides += [evaluation.teacher_nfe, evaluation.cfg_weight, teacher_shift(scale)]
        return json_digest(decides)

    def clips(self, device: str) -> Clips:
        """Videos where there are any; the others are sampled by the teacher."""
        world, name = self.assets.scale.world, self.assets.scale.name
        for line in self._lines:
            if line.video is not None:
                check_length(line.video, world.frames, world.fps)
            elif self.assets.scale.image_to_video:
                raise SaltError(
                    f"{captions_file(self.data)}: {line.caption[:60]!r} has no video, whose first frame conditions "
                    f'networks of scale {name}; accepted: a .jsonl of {{"caption": ..., "video": FILE}} a line'
                )
        return CaptionClips(self.assets, self._lines, device)

    def unseen(self, count: int) -> list[OwnPrompt]:
        """The captions that follow those of the bank; if there are none, the bank's last ones."""
        lines = read_captions(captions_file(self.data), self.data, count)
        lines = lines[self.data.clips :] or lines[-count:]
        return [
            OwnPrompt(f"own{index:04d}", index, line.caption, image=None if line.video is None else str(line.video))
            for index, line in enumerate(lines)
        ]


@dataclass(frozen=True)
class CaptionClips:
    """Captioned videos, as latents; for captions without a video, the guided teacher samples in its own Euler steps."""

    assets: Assets
    lines: Sequence[Captioned]
    device: str

    def __call__(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents and captions of the lines with these numbers."""
        found: dict[int, Tensor] = {}
        for number in range(start, stop):
            if (video := self.lines[number].video) is not None:
                found[number] = self._coded(video)
        rest = [number for number in range(start, stop) if number not in found]
        if rest:
            found |= dict(zip(rest, self._generated(rest), strict=True))
        numbers = range(start, stop)
        return torch.stack([found[number] for number in numbers]), [self.lines[number].caption for number in numbers]

    def _coded(self, video: Path) -> Tensor:
        scale = self.assets.scale
        clip = read_clip(video, scale.world.frames, scale.world.fps, *scale.video_size)
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
