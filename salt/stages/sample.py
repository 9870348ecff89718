"""Rule `sample`: all videos of one model, for every caption variant, solver and number of function evaluations."""

from collections.abc import Collection, Sequence
from pathlib import Path

from salt.config.schema import Experiment
from salt.data.prompts import OwnPrompt
from salt.errors import SaltError
from salt.evaluation.cells import REAL
from salt.evaluation.lengths import Length, world_of
from salt.evaluation.sampling.sources import RealClips, Source
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorers import scorer_of
from salt.models.text import UMT5TextEncoder
from salt.stages.shared.assets import TRANSFORMER, load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.networks import are_released, as_recorded, check_trained_as, load_student
from salt.stages.shared.records import commit, model_cells
from salt.stages.shared.sources import source_of
from salt.training.provenance import hash_files


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
    """
    scale = experiment.scale
    scorer = scorer_of(scale, length)
    cells = model_cells(name, experiment, seed, length, wanted)
    if name == REAL:
        scorer.require_clips(REAL)
    if weights is not None:
        check_trained_as(weights, experiment, seed)
        experiment = as_recorded(experiment, weights)
    check_device(device)
    single_thread()
    assets = load_assets(teacher, scale)
    codec = assets.on(device).codec
    _check_words(own, assets.text_encoder)
    at = assets.codec_folder
    hashes = {f"{at.name}/{file}": digest for file, digest in hash_files(at).items()}
    if name == REAL:
        source: Source = RealClips(codec, world_of(scale.world, length), device)
    else:
        folder = weights or assets.folder / TRANSFORMER
        hashes |= hash_files(folder) | hash_files(assets.folder / "text_encoder")
        hashes |= assets.image_encoder_hash
        source = source_of(load_student(folder, experiment).to(device).eval(), experiment, assets, device, length)
    if own:  # a user's captions have one variant
        cells = [cell for cell in cells if cell.variant == "extended"]
    released = weights is not None and are_released(weights)
    sample_cells(cells, source, codec, scorer, out, hashes, commit(), own, released)


def _check_words(own: Sequence[OwnPrompt], encoder: UMT5TextEncoder) -> None:
    """Refuse captions with words that the text encoder does not know, or too many of them."""
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
