"""Sampling and measuring one model: behind `salt sample`, `defect`, `caches` and `controls`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from salt.cli.assets import IMAGE_ENCODER, TRANSFORMER, Assets, weights_hash
from salt.cli.models import are_released, load_student
from salt.cli.scoring import commit, model_cells, write_csv, write_records
from salt.config.scale import Long, Scale
from salt.config.schema import Experiment
from salt.data.prompts import OwnPrompt, report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import REAL, TEACHER
from salt.evaluation.diagnostics.cache_study import measure_caches
from salt.evaluation.diagnostics.defect import measure
from salt.evaluation.groundtruth.controls import run_controls
from salt.evaluation.protocol import protocol_hash
from salt.evaluation.sampling.first_frames import FirstFrames
from salt.evaluation.sampling.solvers import Network
from salt.evaluation.sampling.sources import RealClips, Sampled, Source
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.evaluation.sampling.videos import sample_cells
from salt.models.precision import in_precision
from salt.models.text import UMT5TextEncoder
from salt.training.provenance import hash_files


def sample_model(
    name: str,
    experiment: Experiment,
    seed: int,
    assets: Assets,
    weights: Path | None,
    out: Path,
    device: str,
    own: Sequence[OwnPrompt],
    long: Long | None,
) -> None:
    """Make all videos of a student, of `teacher`, or of `real`; of a user's own captions where there are any.

    With `long`, those beyond the training length, which only a causal student has.
    """
    scale = experiment.scale
    if name == REAL and scale.evaluation.vbench is not None:
        raise SaltError(f"{REAL}: there are no clips of VBench's prompts; accepted: a student, or {TEACHER}")
    codec = assets.on(device).codec
    _check_words(own, assets.text_encoder)
    at = assets.codec_folder
    hashes = {f"{at.name}/{file}": digest for file, digest in hash_files(at).items()}
    if name == REAL:
        source: Source = RealClips(codec, scale.world, device)
    else:
        folder = weights or assets.folder / TRANSFORMER
        hashes |= hash_files(folder) | hash_files(assets.folder / "text_encoder")
        if assets.image_encoder is not None:
            hashes |= {IMAGE_ENCODER: weights_hash(assets.folder / IMAGE_ENCODER)}
        source = source_of(load_student(folder, experiment).to(device).eval(), experiment, assets, device, long)
    cells = model_cells(name, experiment, seed, long)
    if own:  # it has one variant
        cells = [cell for cell in cells if cell.variant == "extended"]
    released = weights is not None and are_released(weights)
    sample_cells(cells, source, codec, scale, out, hashes, commit(), own, released)


def source_of(model: Any, experiment: Experiment, assets: Assets, device: str, long: Long | None = None) -> Source:
    """How an experiment's network, on `device`, makes latents: a teacher guided, a causal student chunk by chunk."""
    shift, shape, causal = experiment.grid.shift, assets.latent_shape, experiment.causal
    model = in_precision(model, experiment.scale.evaluation.precision, device)
    if causal is not None:
        memory, length = (causal.memory, 1) if long is None else (long.memory, long.length)
        return SampledByChunk(model, assets.text_encoder, memory, shift, shape, length, device)
    cfg_weight = experiment.scale.evaluation.cfg_weight if experiment.name == TEACHER else None
    negative = experiment.scale.text.negative
    network = Network(model, assets.text_encoder, cfg_weight, device, negative)
    return Sampled(network, shift, shape, first_frames(experiment.scale, assets, device))


def first_frames(scale: Scale, assets: Assets, device: str) -> FirstFrames | None:
    """What networks of a scale are shown of first frames; None: nothing."""
    return None if scale.first_frame is None else FirstFrames(scale, assets.show, device)


def _check_words(own: Sequence[OwnPrompt], encoder: UMT5TextEncoder) -> None:
    """Refuse captions that the text encoder would not read as they are written."""
    for prompt, caption in ((one, text) for one in own for text in one.texts("extended")):
        read = encoder.tokenizer(caption, return_offsets_mapping=True)
        for token, (begin, end) in zip(read.input_ids, read.offset_mapping, strict=True):
            if token == encoder.tokenizer.unk_token_id:
                word = caption[begin:end]
                raise SaltError(
                    f"--prompts: line {prompt.index + 1}: the text encoder does not know {word!r}; accepted: words of "
                    "its training captions"
                )
        if len(read.input_ids) > encoder.tokens:
            raise SaltError(
                f"--prompts: line {prompt.index + 1}: {len(read.input_ids)} tokens; accepted: up to {encoder.tokens}"
            )


def measure_student(experiment: Experiment, seed: int, assets: Assets, weights: Path, out: Path, device: str) -> None:
    """Defect, cross-step distance and accumulated error of a student into `out`, its trajectories beside it."""
    if experiment.causal is not None:
        raise SaltError(f"{experiment.name}: makes its videos chunk by chunk; the defect is measured on whole clips")
    evaluation = experiment.scale.evaluation
    assets.on(device)

    def network(model: nn.Module, cfg_weight: float | None) -> Network:
        lowered = in_precision(model.to(device).eval(), evaluation.precision, device)
        return Network(lowered, assets.text_encoder, cfg_weight, device, experiment.scale.text.negative)

    student = network(load_student(weights, experiment), None)
    teacher = network(assets.teacher(), evaluation.cfg_weight)
    found = measure(
        student, teacher, experiment, seed, assets.latent_shape, first_frames(experiment.scale, assets, device)
    )
    write_csv(found.trajectory, out.with_name(out.name.replace("_defect.csv", "_trajectory.csv")))
    write_records(found.records, out, are_released(weights))


def measure_memory(experiment: Experiment, seed: int, assets: Assets, weights: Path, out: Path, device: str) -> None:
    """What the cache does to a causal student, into `out`."""
    network = load_student(weights, experiment).to(device).eval()
    model = in_precision(network, experiment.scale.evaluation.precision, device)
    codec = assets.on(device).codec
    found = measure_caches(model, assets.text_encoder, codec, experiment, seed, assets.latent_shape, device)
    write_records(found, out, are_released(weights))


def score_controls(assets: Assets, videos: Path, out: Path) -> None:
    """Score videos that were spoilt on purpose; the table in percent goes beside `out`."""
    scale = assets.scale
    prompts = report_prompts(scale.world, scale.evaluation.prompts)
    protocol = protocol_hash(scale.world, scale.evaluation)
    tidy, _ = run_controls(prompts, scale.world, assets.codec, videos, scale=scale.name, protocol=protocol)
    write_csv(tidy, out)


def single_thread() -> None:
    """One CPU thread: jobs run side by side, which beats one job on all cores."""
    torch.set_num_threads(1)
