"""Scoring the videos of one model: behind `salt score`. It needs no network, so it does not wait for torch."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pandas as pd

from salt.cli.vbench_jobs import gathered
from salt.config.released import MARK, RELEASED
from salt.config.scale import Long
from salt.config.schema import Experiment
from salt.data.prompts import Prompt
from salt.evaluation.cells import MANIFEST, REAL, ModelCell, cells_of, long_cells
from salt.evaluation.groundtruth.folder import records, score_folder, write_cell
from salt.evaluation.protocol import protocol_of, vbench_of
from salt.evaluation.vbench.board import board_of
from salt.files import whole_file
from salt.report.suite import load_suite
from salt.training.provenance import git_state


def model_cells(name: str, experiment: Experiment, seed: int, long: Long | None) -> list[ModelCell]:
    """The cells of a student, of `teacher` or of `real`; the long ones with `long`."""
    scale, title = experiment.scale, load_suite().real.method if name == REAL else experiment.title
    if long is not None:
        return long_cells(name, title, scale, seed, long)
    return cells_of(name, title, scale, seed, experiment.causal is not None)


def score_model(
    name: str, experiment: Experiment, seed: int, videos: Path, out: Path, details: Path, long: Long | None
) -> None:
    """Score all cells of a model, or its long ones.

    Tidy records go into `out` (`NAME_scores.csv`, or `NAME_long.csv`), scores of single videos beside it
    (`NAME_prompts.csv.gz`, or `NAME_long_prompts.csv.gz`), and VBench's files into `details`.
    """
    scale, length = experiment.scale, 1 if long is None else long.length
    released = _of_released_weights(videos)
    if released:
        experiment = experiment.model_copy(update={"title": experiment.title + MARK})
    details.mkdir(parents=True, exist_ok=True)
    tidy, wide = [], []
    for cell in model_cells(name, experiment, seed, long):
        vbench = vbench_of(cell, scale)
        if vbench is not None:
            rows, single = gathered(cell, scale, vbench, videos, details, {"commit": commit()})
        else:
            prompts, protocol = protocol_of(cell, scale)
            scores = score_folder(
                videos / cell.name,
                cast(Sequence[Prompt], prompts),
                cell.variant,
                scale.evaluation.seeds,
                scale.world,
                protocol,
                length,
                board_of(scale),
            )
            write_cell(details, cell, scores, {"commit": commit()})
            rows, single = records(cell, scores), scores.wide
        tidy.append(rows)
        wide.append(single.assign(prompts=cell.prompts, solver=cell.solver, nfe=cell.nfe))
    write_records(pd.concat(tidy), out, released)
    keys = ["prompts", "solver", "nfe", "prompt_id", "sampling_seed"]
    single = pd.concat(wide)
    single = single[keys + [column for column in single.columns if column not in keys]]
    write_csv(single.round(6), out.with_name(out.stem.removesuffix("_scores") + "_prompts.csv.gz"))


def _of_released_weights(videos: Path) -> bool:
    """Whether the manifest of some videos says that they were made by imported weights."""
    try:
        return bool(json.loads((videos / MANIFEST).read_text(encoding="utf-8")).get("released", False))
    except (OSError, ValueError):
        return False  # without a manifest they count as of trained weights


def write_records(records: pd.DataFrame, path: Path, released: bool) -> None:
    """Write tidy records, those of released weights with the column that says so."""
    write_csv(records.assign(weights=RELEASED) if released else records, path)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole; `.gz` is compressed, to the same bytes for the same table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = frame.to_csv(index=False).encode()
    with whole_file(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def commit() -> str | None:
    """Of the program; None outside a git checkout."""
    state = git_state()
    return None if state is None else str(state["commit"])
