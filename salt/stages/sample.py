"""Rule `sample`: all videos of one model, for every caption variant, solver and number of function evaluations."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from salt.config.schema import Experiment
from salt.data.prompts import OwnPrompt
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import REAL, ModelCell
from salt.evaluation.lengths import Length, world_of
from salt.evaluation.sampling.sources import Item, RealClips, Source
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorer import Scorer
from salt.evaluation.scorers import scorer_of
from salt.evaluation.video import read_mp4
from salt.models.text import UMT5TextEncoder, cleaned
from salt.report.animation import write_gif
from salt.report.frames import contact_sheet
from salt.stages.shared.assets import TRANSFORMER, load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.networks import are_released, as_recorded, check_trained_as, load_student
from salt.stages.shared.records import commit, model_cells
from salt.stages.shared.sources import source_of
from salt.training.provenance import hash_files
from salt.training.run import alone

_log = logging.getLogger(__name__)
SHOWN, ACROSS = 16, 4
"""Prompts on a contact sheet, and videos beside each other in an animation."""


def run(
    name: str,
    experiment: Experiment,
    seed: int,
    teacher: Path,
    weights: Path | None,
    out: Path,
    device: str,
    own: Sequence[OwnPrompt],
    length: Length,
    wanted: Collection[str] = (),
    nfe: Collection[int] = (),
    sheets: Sequence[Path] = (),
) -> None:
    """Sample the cells of a student, of `teacher`, or of `real`.

    Args:
        name: a student, `teacher` or `real`.
        experiment: configuration of the student; that of the teacher for `teacher` and `real`.
        seed: the training seed.
        teacher: folder made by `salt teacher`.
        weights: the student's; None for `teacher` and `real`.
        out: folder of the videos.
        device: where latents are computed.
        own: a user's captions in place of the report prompts; empty: the report prompts.
        length: of the videos.
        wanted: names of the cells; empty: all.
        nfe: function evaluations of a video; empty: all that the cells have.
        sheets: files that show the videos, `.png` or `.gif`; of a long list of prompts the first ones.
    """
    scale = experiment.scale
    scorer = scorer_of(scale, length)
    cells = cells_sampled(model_cells(name, experiment, seed, length, wanted), nfe, own=bool(own))
    if name == REAL:
        scorer.require_clips(REAL)
    if weights is not None:
        check_trained_as(weights, experiment, seed)
        experiment = as_recorded(experiment, weights)
    check_device(device)
    single_thread()
    assets = load_assets(teacher, scale)
    codec = assets.on(device).codec
    _name_what_is_not_read(own, assets.text_encoder)
    at = assets.codec_folder
    hashes = {f"{at.name}/{file}": digest for file, digest in hash_files(at).items()}
    if name == REAL:
        source: Source = RealClips(codec, world_of(scale.world, length), device)
    else:
        folder = weights or assets.folder / TRANSFORMER
        hashes |= hash_files(folder) | hash_files(assets.folder / "text_encoder")
        hashes |= assets.image_encoder_hash
        source = source_of(load_student(folder, experiment).to(device).eval(), experiment, assets, device, length)
    released = weights is not None and are_released(weights)
    with alone(out.resolve().with_name(f".{out.resolve().name}.lease")):
        sample_cells(cells, source, codec, scorer, out, hashes, commit(), own, released)
    if sheets:
        show_videos(cells, own or scorer.prompts(), scorer, out, sheets)


def cells_sampled(cells: Sequence[ModelCell], nfe: Collection[int], own: bool) -> list[ModelCell]:
    """The cells with a number of function evaluations; a user's captions have one variant, and any number.

    Raises:
        SaltError: no cell of the evaluation has that number.
    """
    if own:
        extended = [cell for cell in cells if cell.variant == "extended"]
        chosen = [replace(cell, nfe=number) for cell in extended for number in nfe or (cell.nfe,)]
        return list(dict.fromkeys(chosen))
    known = {cell.nfe for cell in cells}
    for number in nfe:
        if number not in known:
            accepted = ", ".join(map(str, sorted(known)))
            raise SaltError(f"--nfe {number}: no cell has it; accepted: {accepted}, or any with captions of your own")
    return [cell for cell in cells if cell.nfe in (nfe or known)]


def show_videos(
    cells: Sequence[ModelCell],
    prompts: Sequence[AnyPrompt | OwnPrompt],
    scorer: Scorer,
    videos: Path,
    sheets: Sequence[Path],
) -> None:
    """Write the videos of the first prompts as contact sheets and animations: a row a caption and cell."""
    rows = [(cell, prompt) for prompt in prompts[:SHOWN] for cell in cells]
    shown = [read_mp4(Item(prompt, scorer.seeds(prompt)[0]).path(videos / cell.name)) for cell, prompt in rows]
    several = len(cells) > 1
    labels = [prompt.text(cell.variant) + (f" ({cell.name})" if several else "") for cell, prompt in rows]
    across = len(cells) if several else min(len(shown), ACROSS)
    for path in sheets:
        if path.suffix == ".gif":
            whole = len(shown) - len(shown) % across
            write_gif([shown[i : i + across] for i in range(0, whole, across)], path, scorer.scale.world.fps)
        else:
            contact_sheet(shown, labels, path)


def _name_what_is_not_read(own: Sequence[OwnPrompt], encoder: UMT5TextEncoder) -> None:
    """Log which captions the text encoder cuts at their end, as Wan's pipeline does without a word."""
    for prompt, caption in ((one, text) for one in own for text in one.texts("extended")):
        tokens = len(encoder.tokenizer(cleaned(caption)).input_ids)
        if tokens > encoder.tokens:
            _log.warning("%s: %d tokens, of which the text encoder reads %d", prompt.id, tokens, encoder.tokens)
