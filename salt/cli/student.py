"""`salt ode-pairs`, `train`, `sample`, `score`, `defect`, `caches`, `controls`: from an experiment to records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salt.cli import app
from salt.cli.options import (
    Device,
    Latents,
    Out,
    Overrides,
    Part,
    RunDir,
    ScaleName,
    Seed,
    TeacherFolder,
    Wait,
    as_mapping,
    check_device,
    check_out,
    part_of,
)
from salt.errors import SaltError

if TYPE_CHECKING:
    from salt.config.schema import Experiment

Long = Annotated[
    bool,
    typer.Option("--long", help="Videos beyond the training length, as the scale's evaluation.long says: causal only."),
]
Name = Annotated[str, typer.Argument(help="Stem of a file in experiments/.")]
Weights = Annotated[Path, typer.Argument(help="Folder made by `salt train`.")]


@app.command()
def train(
    experiment: Name,
    scale: ScaleName,
    teacher: TeacherFolder,
    latents: Latents,
    run_dir: RunDir,
    out: Out,
    seed: Seed = 0,
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights of the experiment that `init` names, where it names one.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Folder made by `salt ode-pairs`, where trajectories are regressed.")
    ] = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Train one student. To resume, run the same command again."""
    from salt.config import load_experiment

    config = load_experiment(experiment, scale, as_mapping(overrides))
    check_out(out, ("config.json", "diffusion_pytorch_model", "provenance.json"))

    from salt.cli.assets import load_assets  # after what is quick to refuse: torch takes seconds
    from salt.cli.train import train_student

    check_device(device)
    train_student(config, seed, load_assets(teacher, config.scale), latents, init, pairs, run_dir, out, device, wait)


@app.command(name="ode-pairs")
def ode_pairs(
    experiment: Annotated[str, typer.Argument(help="The experiment that regresses them: one with `pairs`.")],
    scale: ScaleName,
    teacher: TeacherFolder,
    latents: Latents,
    out: Out,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Of the causal teacher, where `pairs.teacher` names one.")
    ] = None,
    part: Part = "0/1",
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Trajectories of a teacher from noise to data. To resume, run the same command again.

    Several commands with a part each may share the work; one without a part, after them, finishes it.
    """
    from salt.config import load_experiment

    config = load_experiment(experiment, scale, as_mapping(overrides))
    if config.pairs is None:
        raise SaltError(f"{experiment}: it regresses no trajectories; an experiment with `pairs` is accepted")
    own = part_of(part)

    from salt.cli.assets import load_assets
    from salt.cli.latents import open_bank
    from salt.cli.models import check_weights_of
    from salt.cli.pairs import about_pairs, make_pairs
    from salt.cli.records import single_thread
    from salt.evaluation.cells import TEACHER

    check_weights_of(config.pairs.teacher, scale, "--weights", weights, (TEACHER,))
    check_device(device)
    single_thread()
    assets = load_assets(teacher, config.scale)
    about = about_pairs(config, assets, latents, weights)
    make_pairs(config, assets, open_bank(latents, assets, 0), about, weights, out, device, own)


@app.command()
def sample(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName,
    teacher: TeacherFolder,
    out: Out,
    seed: Seed = 0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Folder made by `salt train`.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            help="Your own captions, one a line; such videos are not scored. With --long a line may be `caption A => "
            "caption B`: A for the first half of the chunks, B for the rest; any number of captions, equal parts. "
            'Where networks are shown a first frame: a .jsonl of {"caption": ..., "image": FILE} a line.',
        ),
    ] = None,
    long: Long = False,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """All videos of one model: every caption variant, solver and number of function evaluations of the scale."""
    from salt.config import load_experiment
    from salt.data.prompts import read_prompts
    from salt.evaluation.cells import long_chunks, long_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale, as_mapping(overrides))
    lasting = long_of(experiment, config) if long else None
    captions = 1 if lasting is None else long_chunks(config, lasting)
    own = [] if prompts is None else read_prompts(prompts, captions)
    _check_source(experiment, weights, prompts)

    from salt.cli.assets import load_assets  # after what is quick to refuse: torch takes seconds
    from salt.cli.models import as_recorded, check_trained_as
    from salt.cli.records import sample_model, single_thread

    if weights is not None:
        check_trained_as(weights, config, seed)
        config = as_recorded(config, weights)
    check_device(device)
    single_thread()
    sample_model(experiment, config, seed, load_assets(teacher, config.scale), weights, out, device, own, lasting)


def _check_source(name: str, weights: Path | None, prompts: Path | None) -> None:
    """Refuse a student without weights, weights that would not be used, and captions that no clip is of."""
    reference = name in ("teacher", "real")
    if weights is None and not reference:
        raise SaltError(f"{name}: --weights is missing; the folder made by `salt train` is accepted")
    if weights is not None and reference:
        raise SaltError(f"{name}: --weights {weights}: only a student has weights of its own; leave it out")
    if prompts is not None and name == "real":
        raise SaltError(f"real: --prompts {prompts}: there are no clips of other captions; leave it out")


@app.command()
def score(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName,
    videos: Annotated[Path, typer.Option("--videos", help="Folder made by `salt sample`.")],
    out: Out,
    details: Annotated[Path, typer.Option("--details", help="Folder for files in VBench's layout.")],
    seed: Seed = 0,
    long: Long = False,
) -> None:
    """Score all videos of one model, or its long ones."""
    from salt.config import load_experiment
    from salt.evaluation.cells import long_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale)
    lasting = long_of(experiment, config) if long else None

    from salt.cli.scoring import score_model

    score_model(experiment, config, seed, videos, out, details, lasting)


@app.command()
def defect(
    weights: Weights,
    scale: ScaleName,
    teacher: TeacherFolder,
    out: Out,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Semigroup defect (Eq. 16), cross-step distance and accumulated error of one student."""
    from salt.cli.assets import load_assets
    from salt.cli.records import measure_student

    config, seed = _student_at(weights, scale, overrides, device)
    measure_student(config, seed, load_assets(teacher, config.scale), weights, out, device)


@app.command()
def caches(
    weights: Weights,
    scale: ScaleName,
    teacher: TeacherFolder,
    out: Out,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """What the cache does to one causal student: quality behind caches of other step counts, defect, seams."""
    from salt.cli.assets import load_assets
    from salt.cli.records import measure_memory

    config, seed = _student_at(weights, scale, overrides, device)
    measure_memory(config, seed, load_assets(teacher, config.scale), weights, out, device)


def _student_at(weights: Path, scale: str, overrides: list[str] | None, device: str) -> "tuple[Experiment, int]":
    """The experiment and the training seed of trained weights, as the files say it today; refused where they differ."""
    from salt.cli.models import as_recorded, check_trained_as, trained_as
    from salt.cli.records import single_thread
    from salt.config import load_experiment

    known, seed = trained_as(weights)
    config = load_experiment(known.name, scale, as_mapping(overrides))
    check_trained_as(weights, config, seed)
    check_device(device)
    single_thread()
    return as_recorded(config, weights), seed


@app.command(name="score-controls")
def controls(
    scale: ScaleName,
    teacher: TeacherFolder,
    videos: Annotated[Path, typer.Option("--videos", help="Folder for the spoilt videos.")],
    out: Out,
) -> None:
    """Score videos that were spoilt on purpose: what the ground-truth scorer sees, and what it does not."""
    from salt.config import load_scale

    known = load_scale(scale)
    if known.evaluation.vbench is not None:
        raise SaltError(
            f"experiments/scales/{scale}.yaml: evaluation.vbench: there are no clips of VBench's prompts to be spoilt; "
            "accepted: a scale of the ground-truth scorer"
        )

    from salt.cli.assets import load_assets
    from salt.cli.records import score_controls, single_thread

    single_thread()
    score_controls(load_assets(teacher, known), videos, out)
