"""Rule `score`: records of the videos of one model. It needs no network, so it does not import torch."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from salt.config.released import MARK
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.evaluation.lengths import Length, TrainingLength
from salt.evaluation.manifest import check_videos
from salt.evaluation.scorers import scorer_of
from salt.evaluation.vbench.elsewhere import cell_of, read_elsewhere, score_elsewhere
from salt.evaluation.vbench.real_vbench import RealVBench
from salt.stages.shared.records import commit, model_cells, write_csv, write_records


def run(
    name: str,
    experiment: Experiment,
    seed: int,
    videos: Path,
    out: Path,
    details: Path,
    length: Length,
    wanted: Collection[str] = (),
) -> None:
    """Score the cells of a model whose videos have this length.

    Args:
        name: a student, `teacher` or `real`.
        experiment: configuration of the student; that of the teacher for `teacher` and `real`.
        seed: the training seed.
        videos: folder made by `salt sample`.
        out: tidy records, `NAME_scores.csv` or `NAME_long.csv`; scores of single videos are written beside it, to
            `NAME_prompts.csv.gz` or `NAME_long_prompts.csv.gz`.
        details: folder for results in VBench's layout.
        length: of the videos.
        wanted: names of the cells; empty: all.

    Raises:
        SaltError: the videos are not those of the model, by this protocol, as they were sampled.
    """
    scorer = scorer_of(experiment.scale, length)
    cells = model_cells(name, experiment, seed, length, wanted)
    released = check_videos(videos, cells, scorer).released
    if released:
        experiment = experiment.model_copy(update={"title": experiment.title + MARK})
    details.mkdir(parents=True, exist_ok=True)
    tidy, wide = [], []
    for cell in model_cells(name, experiment, seed, length, wanted):
        rows, single = scorer.score(cell, videos, details, {"commit": commit()})
        tidy.append(rows)
        wide.append(single.assign(prompts=cell.prompts, solver=cell.solver, nfe=cell.nfe))
    _write(tidy, wide, out, released)


def run_elsewhere(
    name: str, scale: Scale, videos: Path | None, results: Sequence[Path], out: Path, details: Path, device: str
) -> None:
    """Score videos that were made elsewhere with the real VBench, or read what its own command line found of them.

    Args:
        name: of their model, which no experiment has.
        scale: its `evaluation.vbench` says by which prompts and settings.
        videos: `{prompt}-{i}.mp4` in one folder; None: there are `results`.
        results: files of `vbench evaluate`.
        out: as of `run`.
        details: as of `run`.
        device: where VBench computes.

    Raises:
        SaltError: the scale is not scored by VBench, or videos or results are not as VBench names and counts them.
    """
    scorer = scorer_of(scale, TrainingLength(scale.evaluation))
    if not isinstance(scorer, RealVBench):
        raise SaltError(
            f"--scale {scale.name}: VBench does not score it; accepted: a scale with evaluation.vbench, as paper"
        )
    cell = cell_of(name, scale.name)
    if videos is None:
        scored = read_elsewhere(scorer, cell, results)
    else:
        scored = score_elsewhere(scorer, cell, videos, details, device)
    rows, single = scorer.recorded(cell, scored, details, {"commit": commit()})
    _write([rows], [single.assign(prompts=cell.prompts, solver=cell.solver, nfe=cell.nfe)], out, released=False)


def _write(tidy: Sequence[pd.DataFrame], wide: Sequence[pd.DataFrame], out: Path, released: bool) -> None:
    """The records of some cells, and the scores of their single videos beside them."""
    write_records(pd.concat(tidy), out, released)
    keys = ["prompts", "solver", "nfe", "prompt_id", "sampling_seed"]
    single = pd.concat(wide)
    single = single[keys + [column for column in single.columns if column not in keys]]
    write_csv(single.round(6), out.with_name(out.stem.removesuffix("_scores") + "_prompts.csv.gz"))
