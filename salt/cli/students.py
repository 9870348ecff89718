"""`salt train` and `salt sample`: one student, and its videos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salt.cli import app, places
from salt.cli.options import (
    DEFAULT_SCALE,
    Cells,
    Device,
    Latents,
    Long,
    OutWeights,
    Overrides,
    RunDir,
    ScaleName,
    Seed,
    StudentWeights,
    TeacherFolder,
    Wait,
    as_mapping,
    check_written,
    written,
)
from salt.errors import SaltError

if TYPE_CHECKING:
    from salt.config import Experiment
    from salt.data.prompts import OwnPrompt
    from salt.evaluation.lengths import Length

REFERENCES = ("teacher", "real")
"""What has no weights of its own."""
SHEETS = (".png", ".gif")
Name = Annotated[str, typer.Argument(help="Stem of a file in experiments/.")]


@app.command()
def train(
    experiment: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    latents: Latents = None,
    run_dir: RunDir = None,
    out: OutWeights = None,
    seed: Seed = 0,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init", help="Weights of the experiment that `init` names, if it names one. Default: the workflow's."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", help="Folder made by `salt ode-pairs`, for experiments with `pairs`. Default: the workflow's."
        ),
    ] = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Train one student. To resume, run the same command again."""
    from salt.config import load_experiment

    config = load_experiment(experiment, scale, as_mapping(overrides))
    folder = places.out_of(out, lambda layout: Path(layout.weights(experiment, seed)).parent, scale, overrides)
    run_in = places.out_of(run_dir, lambda layout: layout.run_of(experiment, str(seed)), scale, overrides, "--run-dir")
    if init is None and config.init not in ("teacher", "random"):
        init = places.weights_of(config.init, scale, 0)
    if pairs is None and config.pairs is not None:
        pairs = places.pairs_of(experiment, scale)
    networks, bank = teacher or places.teacher_of(scale), latents or places.latents_of(scale)

    from salt.stages.train import run  # after what is quick to refuse: torch takes seconds

    run(config, seed, networks, bank, init, pairs, run_in, folder, device, wait)


@app.command()
def sample(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName = DEFAULT_SCALE,
    seed: Seed = 0,
    teacher: TeacherFolder = None,
    weights: StudentWeights = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where the videos go. Default: where the workflow has them; with captions of your own, --cell, --nfe "
            "or --set: samples/SCALE/EXPERIMENT_seedSEED.",
            callback=written("folder"),
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            help="Your own captions: .txt, one a line; .jsonl, objects with a `caption`; .csv, .tsv: such a column. "
            "Bad lines are named and left out; such videos are not scored. With --long a line may be `caption A => "
            "caption B`: A for the first half of the chunks, B for the rest; any number of captions, equal parts. "
            "For image-to-video networks, the picture's file in `image` beside the caption.",
        ),
    ] = None,
    caption: Annotated[
        list[str] | None, typer.Option("--caption", help="A caption of your own, without a file; repeatable.")
    ] = None,
    each: Annotated[int, typer.Option("--each", min=1, help="Videos of each --caption, from different noise.")] = 1,
    nfe: Annotated[
        list[int] | None,
        typer.Option(
            "--nfe",
            min=1,
            help="Network evaluations of a video; repeatable. Any number with your own captions, else one that the "
            "scale evaluates. Default: all of these.",
        ),
    ] = None,
    sheet: Annotated[
        list[Path] | None,
        typer.Option(
            "--sheet",
            help="FILE.png: the frames side by side; FILE.gif: the videos, playing; repeatable.",
            callback=written(None),
        ),
    ] = None,
    long: Long = False,
    cell: Cells = None,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """All videos of one model: every caption variant, solver and number of function evaluations of the scale."""
    from salt.config import load_experiment
    from salt.evaluation.lengths import length_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale, as_mapping(overrides))
    length = length_of(experiment, config, long)
    if experiment == "real" and (prompts or caption):
        raise SaltError("real: --prompts or --caption: there are no clips of other captions; leave it out")
    own = _own_prompts(prompts, caption, each, length, config)
    sheets = [_sheet(path) for path in sheet or ()]
    if weights is None and experiment not in REFERENCES:
        weights = places.weights_of(experiment, scale, seed)
    check_source(experiment, weights)
    networks = teacher or places.teacher_of(scale)
    if own or cell or nfe or overrides:
        folder = out or places.own_videos(experiment, scale, seed)
    else:
        folder = places.out_of(out, places.videos_of(experiment, seed, long), scale)

    from salt.stages.sample import run  # after what is quick to refuse: torch takes seconds

    run(experiment, config, seed, networks, weights, folder, device, own, length, cell or (), nfe or (), sheets)
    if own:
        print(f"{len(own)} captions: {folder}")
    for path in sheets:
        print(path)


def _own_prompts(
    file: Path | None, captions: list[str] | None, each: int, length: "Length", config: "Experiment"
) -> "list[OwnPrompt]":
    """A user's captions, of a file or of the command line, which the scale's networks have learnt to read."""
    from salt.data.grammar import check_caption
    from salt.data.prompts import own_prompts, read_prompts

    if file is not None and captions:
        raise SaltError(f"--prompts {file}: --caption says what is sampled; accepted: one of them")
    if each > 1 and not captions:
        raise SaltError(f"--each {each}: videos of a --caption; none is given")
    if file is None and not captions:
        return []

    def check(place: str, text: str) -> None:
        if config.scale.data is None:  # else the networks have read the captions of the world at large
            check_caption(place, text, config.scale.world)

    chunks = length.chunks(config)
    if file is not None:
        own = read_prompts(file, chunks, check)
    else:
        own = own_prompts([text for text in captions or () for _ in range(each)], chunks, check)
    if not config.scale.image_to_video and (pictured := [prompt.id for prompt in own if prompt.image is not None]):
        raise SaltError(
            f"--prompts {file}: {pictured[0]} names an image, but networks of scale {config.scale.name} begin with "
            "none; accepted: captions alone, or a scale of image-to-video"
        )
    return own


def _sheet(path: Path) -> Path:
    """A file that shows the videos, its kind by its ending."""
    if path.suffix not in SHEETS:
        raise SaltError(f"--sheet {path}: accepted: a file ending in {' or '.join(SHEETS)}")
    check_written("--sheet", path, "file")
    return path


def check_source(name: str, weights: Path | None) -> None:
    """Refuse a student without weights, and weights that would not be used."""
    reference = name in REFERENCES
    if weights is None and not reference:
        raise SaltError(f"{name}: --weights is missing; the folder made by `salt train` is accepted")
    if weights is not None and reference:
        raise SaltError(f"{name}: --weights {weights}: only a student has weights of its own; leave it out")
