"""Rule `modes`: which futures and styles a model's samples are of, beside what their captions leave open."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from salt.config.schema import Experiment
from salt.data.modes import WorldModes
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import REAL, ModelCell
from salt.evaluation.lengths import Length, TrainingLength, length_of_cells, world_of
from salt.evaluation.modes.measures import Shares
from salt.evaluation.modes.study import VARIANT, Study
from salt.evaluation.sampling.sources import RealClips
from salt.stages.latents import about_bank
from salt.stages.shared.assets import TRANSFORMER, load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.modes import exact_teacher, tiny_codec
from salt.stages.shared.networks import are_released, as_recorded, check_trained_as, load_student
from salt.stages.shared.records import model_cells, write_records
from salt.stages.shared.sources import source_of


def run(
    name: str,
    experiment: Experiment,
    seed: int,
    teacher: Path,
    latents: Path,
    weights: Path | None,
    out: Path,
    device: str,
    wanted: Collection[str] = (),
    any_step: bool = False,
) -> None:
    """Measure the cells of extended captions, and those of long videos, of a student, of `teacher` or of `real`.

    Args:
        name: a student, `teacher` or `real`, whose measures are the floors of all others.
        experiment: configuration of the student; that of the teacher for `teacher` and `real`.
        seed: the training seed.
        teacher: folder made by `salt teacher`.
        latents: folder made by `salt latents`.
        weights: the student's; None for `teacher` and `real`.
        out: `NAME_modes.csv`.
        device: where latents are computed.
        wanted: names of the cells; empty: all.
        any_step: the cells of clips at the scale's `any_step` instead.

    Raises:
        SaltError: the world cannot name its modes, it has no `any_step`, or an input is not what it must be.
    """
    scale = experiment.scale
    if any_step and not scale.any_step:
        raise SaltError(f"scale {scale.name}: any_step is missing, which --any-step needs; accepted: a list of numbers")
    if not scale.names_modes:
        raise SaltError(
            f"salt modes: the world of scale {scale.name} cannot name its modes; accepted: a scale of text-to-video "
            "whose world.turn is keep or choose"
        )
    if weights is not None:
        check_trained_as(weights, experiment, seed)
        experiment = as_recorded(experiment, weights)
    if any_step:
        scale = scale.at_any_step()
        experiment = experiment.model_copy(update={"scale": scale})
    check_device(device)
    single_thread()
    assets = load_assets(teacher, scale)
    exact, codec, network = exact_teacher(assets, latents, about_bank(assets), "cpu"), tiny_codec(assets), None
    shares, clips = Shares(WorldModes(scale.world)), RealClips(codec, scale.world)
    if name != REAL:
        network = load_student(weights or assets.folder / TRANSFORMER, experiment).to(device).eval()
    found = []
    for length, cells in _cells(name, experiment, seed, wanted):
        prompts = report_prompts(scale.world, length.prompts)
        study = Study(scale, exact, shares, assets.text_encoder, codec, clips, prompts)
        if network is None:
            source = RealClips(codec, world_of(scale.world, length))
            found += [study.floor(cell, source) for cell in cells]
        else:
            sampled = source_of(network, experiment, assets, device, length)
            found += [study.records(cell, sampled) for cell in cells]
    write_records(pd.concat(found), out, weights is not None and are_released(weights))


def _cells(
    name: str, experiment: Experiment, seed: int, wanted: Collection[str]
) -> list[tuple[Length, list[ModelCell]]]:
    """Those that are measured, by the length of their videos; `wanted` are of training length."""
    scale = experiment.scale
    lengths: list[Length] = [TrainingLength(scale.evaluation)]
    cells = [c for c in model_cells(name, experiment, seed, lengths[0], wanted) if c.prompts == VARIANT]
    if not cells:
        raise SaltError(f"--cell {', '.join(wanted)}: modes are those of {VARIANT} captions; accepted: such a cell")
    found = [(lengths[0], cells)]
    if scale.has_long_videos and (experiment.causal is not None or name == REAL):
        long = length_of_cells(scale, long=True)
        found.append((long, model_cells(name, experiment, seed, long)))
    return found
