"""Rule `teacher`: codec, text encoder and teacher of a scale: shipped, linked to released ones, or trained here."""

import json
import logging
import shutil
from pathlib import Path
from typing import Never

import torch
from torch import Tensor, nn
from tqdm import tqdm

from salt.config import load_scale, repository_root
from salt.config.hashing import content_hash
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.data.clips import ClipSource, pretext, vocabulary
from salt.data.latents import Bank
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.files import whole_folder, write_text
from salt.methods import build_method
from salt.methods.protocol import Method
from salt.models.codec import TinyCodec, fit_codec, save_codec
from salt.models.text import build_text_encoder, fit_text_encoder, save_text_encoder
from salt.models.wan import WanVelocity, build_wan, load_wan, save_wan, with_first_frame_channels
from salt.readers import read_json
from salt.stages.latents import about_bank, make_bank, open_bank
from salt.stages.shared.assets import CODEC, TEXT_ENCODER, TOKENIZER, TRANSFORMER, load_assets
from salt.stages.shared.devices import check_device
from salt.stages.shared.linked import link_released
from salt.stages.shared.modes import exact_teacher
from salt.stages.shared.networks import RANDOM
from salt.stages.shared.shipped import shipped_files, use_shipped
from salt.streams import Streams
from salt.training.job import run_training
from salt.training.provenance import NAME, hash_files
from salt.training.run import alone

log = logging.getLogger(__name__)

SEEDS = {"codec": 1, "text": 2, "linear": 4}
"""Seeds of the clips and of the random numbers with which codec and text encoder are trained."""
LINEAR_CLIPS = 1024
"""Clips on which the codec's linear part is fitted."""


def run(
    experiment: Experiment, seed: int, train_anyway: bool, run_dir: Path, out: Path, device: str, wait: bool
) -> None:
    """Put the networks that all experiments of a scale share into `out`.

    Args:
        experiment: configuration of the teacher; its `scale.teacher` says where the networks come from.
        seed: of the training, if there is one.
        train_anyway: train even if the scale ships a teacher.
        run_dir: checkpoints and metrics of the training.
        out: laid out as a diffusers pipeline; see `salt.stages.shared.assets`.
        device: where the training computes.
        wait: wait for another process in the run directory to end.
    """
    check_device(device)
    if experiment.scale.teacher == "linked":
        link_released(experiment.scale, out)
    elif experiment.scale.teacher == "shipped" and not train_anyway:
        use_shipped(experiment.scale, out)
    else:
        make_teacher(experiment, seed, run_dir, out, device, wait)


def make_teacher(experiment: Experiment, seed: int, run_dir: Path, out: Path, device: str, wait: bool) -> None:
    """Train codec, text encoder and teacher, in this order; each is kept in the run directory as soon as it is done.

    A teacher with `init: teacher` starts from the teacher of the scale that its own scale extends, and shares codec and
    text encoder with it.

    Raises:
        SaltError: `init` is neither `random` nor `teacher`, or the extended scale ships no teacher.
    """
    scale = experiment.scale
    torch.set_num_threads(experiment.train.threads)
    if experiment.init not in (RANDOM, TEACHER):
        raise SaltError(f"{experiment.name}: init={experiment.init}: a teacher starts from: {RANDOM}, {TEACHER}")
    base = run_dir / f"base_{content_hash(scale.world)}_{content_hash(scale.codec)}_{content_hash(scale.text)}"
    with alone(base.with_name(f".{base.name}.lease")):
        if not _is_whole(base):
            with whole_folder(base) as folder:
                if experiment.init == TEACHER:
                    _take_over(scale, folder)
                else:
                    _make_codec(scale, folder / CODEC, device)
                    _make_text_encoder(scale, folder)
                write_text(folder / NAME, json.dumps({"files": hash_files(folder)}, indent=1) + "\n")
    assets = load_assets(base, scale)
    bank = base.with_name(f"{base.name}_latents")
    make_bank(assets, bank, device)

    def build() -> tuple[Method, Bank]:
        start = build_wan(scale.backbone, seed) if experiment.init == RANDOM else _text_to_video(scale)
        flow_matching = experiment.objectives.flow_matching
        exact = flow_matching is not None and flow_matching.target == "exact"
        target = exact_teacher(assets, bank, about_bank(assets), device) if exact else None
        return build_method(experiment, start.to(device), None, Streams(seed), target), open_bank(bank, assets, seed)

    def preview(step: int, generator: nn.Module) -> None:
        from salt.stages.shared.preview import draw_preview

        draw_preview(generator, experiment, assets, run_dir / "previews" / f"step_{step:06d}.png", device)

    export = run_dir / TRANSFORMER
    # float16 halves what the repository ships; students are distilled from the stored weights
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
        shutil.copytree(base, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(NAME))
        shutil.copytree(export, folder / TRANSFORMER, ignore=shutil.ignore_patterns(NAME))
        training = read_json(export / NAME, "as `salt teacher` wrote it")
        known = {"files": hash_files(folder), "git": training["git"], "teacher": training}
        write_text(folder / NAME, json.dumps(known, indent=1) + "\n")


def _is_whole(base: Path) -> bool:
    """Whether codec and text encoder are as they were made."""
    try:
        return bool(read_json(base / NAME, "as this rule wrote it").get("files") == hash_files(base))
    except SaltError:
        return False


def _take_over(scale: Scale, folder: Path) -> None:
    """Copy codec and text encoder of the scale that this one extends."""
    source = _extended(scale)
    shipped_files(source)
    for part in (CODEC, TEXT_ENCODER, TOKENIZER):
        shutil.copytree(repository_root() / source.assets / part, folder / part)


def _text_to_video(scale: Scale) -> WanVelocity:
    """The teacher of the scale that this one extends, widened by the channels of a first frame."""
    source = _extended(scale)
    shipped_files(source)
    return with_first_frame_channels(
        load_wan(repository_root() / source.assets / TRANSFORMER, source.backbone), scale.backbone
    )


def _extended(scale: Scale) -> Scale:
    """The scale from whose teacher this scale's teacher starts."""
    source = None if scale.extends is None else load_scale(scale.extends)
    if source is None or source.teacher != "shipped" or source.vae is not None:
        raise SaltError(
            f"teacher: init={TEACHER}: scale {scale.name} extends no scale that ships a teacher; accepted: {RANDOM}"
        )
    return source


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
    captions, labels = pretext(scale.world)
    model, tokenizer = build_text_encoder(scale.text, vocabulary(scale.world), SEEDS["text"])
    right = fit_text_encoder(model, tokenizer, captions, labels, scale.text, SEEDS["text"])
    log.info("text encoder: predicts %.1f %% of the attributes of a caption", 100 * right)
    save_text_encoder(model, tokenizer, folder)
