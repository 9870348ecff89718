"""Rule `score`: records of the videos of one model. It needs no network, so it does not import torch."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from salt.config.released import MARK
from salt.config.schema import Experiment
from salt.evaluation.lengths import Length
from salt.evaluation.manifest import check_videos
from salt.evaluation.scorers import scorer_of
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
    write_records(pd.concat(tidy), out, released)
    keys = ["prompts", "solver", "nfe", "prompt_id", "sampling_seed"]
    single = pd.concat(wide)
    single = single[keys + [column for column in single.columns if column not in keys]]
    write_csv(single.round(6), out.with_name(out.stem.removesuffix("_scores") + "_prompts.csv.gz"))
