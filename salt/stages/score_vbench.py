"""Rule `score_vbench`: one dimension of one model's videos, scored by the real VBench in its own environment."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pandas as pd

from salt.config.scale import Long, Scale
from salt.config.schema import Experiment
from salt.config.vbench import VBench, vbench_folder, vbench_python
from salt.data.vbench_prompts import VBenchPrompt
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.evaluation.protocol import protocol_of
from salt.evaluation.vbench.records import gather, vbench_records, vbench_wide
from salt.evaluation.vbench.results import Scored, read_results, write_results
from salt.evaluation.vbench.run import run_dimension
from salt.evaluation.vbench.view import Job
from salt.files import write_text
from salt.stages.shared.records import model_cells

_log = logging.getLogger(__name__)


def jobs_of(
    cell: Cell, scale: Scale, vbench: VBench, videos: Path, details: Path, part: tuple[int, int], device: str
) -> list[Job]:
    """One job for each dimension that the prompts of a cell ask for; its files go into `details/{cell}`."""
    prompts, protocol = protocol_of(cell, scale)
    own = cast(Sequence[VBenchPrompt], prompts)
    seeds, out = scale.evaluation.seeds, details / cell.name
    return [
        Job(name, vbench, protocol, own, seeds, videos / cell.name, out, part, device) for name in vbench.dimensions()
    ]


def run(
    name: str,
    dimension: str,
    experiment: Experiment,
    seed: int,
    videos: Path,
    details: Path,
    out: Path,
    part: tuple[int, int],
    long: Long | None,
    device: str,
) -> None:
    """Score one dimension, cell by cell; `out` gets each cell's score, or the reason why it is absent.

    Args:
        name: a student, or `teacher`.
        dimension: as VBench names it.
        experiment: the student's, else the teacher's.
        seed: the training seed.
        videos: folder made by `salt sample`.
        details: gets the results in VBench's layout, `{cell}/{dimension}_eval_results.json`.
        out: the job's own summary.
        part: (i, n): the i-th of n parts of the prompts.
        long: videos beyond the training length; None: of training length.
        device: VBench's.

    Raises:
        SaltError: the scale is not scored by VBench, or no prompt is scored on the dimension.
    """
    scale = experiment.scale
    vbench = scale.evaluation.vbench if long is None else long.vbench
    if vbench is None:
        raise SaltError(
            f"experiments/scales/{scale.name}.yaml: evaluation.vbench is missing; accepted: a mapping, as paper has"
        )
    cells = model_cells(name, experiment, seed, long)
    every = [job for cell in cells for job in jobs_of(cell, scale, vbench, videos, details, part, device)]
    chosen = [job for job in every if job.dimension == dimension]
    if not chosen:
        names = ", ".join(dict.fromkeys(job.dimension for job in every))
        raise SaltError(f"{dimension}: no prompt asks for it; accepted: {names}")
    score_dimension(chosen, out)


def score_dimension(jobs: Sequence[Job], out: Path) -> None:
    """Run the jobs of one dimension, cell by cell; `out` gets each cell's score, or the reason why it is absent."""
    found: dict[str, Any] = {}
    for job in jobs:
        scored = read_results(run_dimension(job, vbench_folder(), vbench_python()))
        score = scored.results[job.dimension][0] if scored.results else None
        found[job.out.name] = {"score": score, "absent": scored.provenance.get("absent", {}).get(job.dimension)}
        _log.info("%s: %s %s", job.out.name, job.dimension, "ABSENT" if score is None else f"{score:.6f}")
    write_text(out, json.dumps(found, indent=1) + "\n")


def gathered(
    cell: Cell, scale: Scale, vbench: VBench, videos: Path, details: Path, provenance: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and per-video scores of a cell whose dimensions are all scored; all of it in one results file, too."""
    jobs = jobs_of(cell, scale, vbench, videos, details, (0, 1), "cpu")
    scored = gather(jobs)
    whole = Scored(scored.results, {**provenance, **asdict(cell), **scored.provenance})
    write_results(details / f"{cell.name}_eval_results.json", whole)
    for name, reason in scored.provenance["absent"].items():
        _log.warning("%s: %s is ABSENT, and every score that it enters: %s", cell.name, name, reason)
    prompts = jobs[0].prompts
    return vbench_records(cell, scored, vbench), vbench_wide(scored, prompts, scale.evaluation.seeds, vbench)
