"""Rule `score_vbench`: one dimension of one model's videos, scored by the real VBench in its own environment."""

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from salt.config.schema import Experiment
from salt.config.vbench import vbench_folder, vbench_python
from salt.errors import SaltError
from salt.evaluation.lengths import Length
from salt.evaluation.manifest import check_videos
from salt.evaluation.scorers import scorer_of
from salt.evaluation.vbench.results import read_results
from salt.evaluation.vbench.run import run_dimension
from salt.evaluation.vbench.view import DimensionJob
from salt.files import write_text
from salt.stages.shared.records import model_cells

_log = logging.getLogger(__name__)


def run(
    name: str,
    dimension: str,
    experiment: Experiment,
    seed: int,
    videos: Path,
    details: Path,
    out: Path,
    part: tuple[int, int],
    length: Length,
    device: str,
    wanted: Collection[str] = (),
) -> None:
    """Score one dimension, cell by cell; writes each cell's score, or why it is absent, to `out`.

    Args:
        name: a student, or `teacher`.
        dimension: as VBench names it.
        experiment: configuration of the student, or of the teacher.
        seed: the training seed.
        videos: folder made by `salt sample`.
        details: folder for the results in VBench's layout, `{cell}/{dimension}_eval_results.json`.
        out: summary of the job.
        part: (i, n): the i-th of n parts of the prompts.
        length: of the videos.
        device: where VBench computes.
        wanted: names of the cells; empty: all.

    Raises:
        SaltError: the scale is not scored by VBench, or no prompt is scored on the dimension.
    """
    scorer = scorer_of(experiment.scale, length)
    cells = model_cells(name, experiment, seed, length, wanted)
    every = [job for cell in cells for job in scorer.jobs(cell, videos, details, part, device)]
    chosen = [job for job in every if job.dimension == dimension]
    if not chosen:
        names = ", ".join(dict.fromkeys(job.dimension for job in every))
        raise SaltError(f"{dimension}: no prompt is scored on it; accepted: {names}")
    watched = [f"{job.out.name}/{name}" for job in chosen for name in job.expected()]
    check_videos(videos, cells, scorer, watched)
    score_dimension(chosen, out)


def score_dimension(jobs: Sequence[DimensionJob], out: Path) -> None:
    """Run the jobs of one dimension, cell by cell; writes each cell's score, or why it is absent, to `out`."""
    found: dict[str, Any] = {}
    for job in jobs:
        scored = read_results(run_dimension(job, vbench_folder(), vbench_python()))
        score = scored.results[job.dimension][0] if scored.results else None
        found[job.out.name] = {"score": score, "absent": scored.provenance.get("absent", {}).get(job.dimension)}
        _log.info("%s: %s %s", job.out.name, job.dimension, "ABSENT" if score is None else f"{score:.6f}")
    write_text(out, json.dumps(found, indent=1) + "\n")
