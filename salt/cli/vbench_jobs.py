"""The real VBench: behind `salt vbench-env`, `salt vbench` and, at scales that ask for it, `salt score`."""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from salt.config.files import repository_root
from salt.config.scale import Scale
from salt.config.vbench import VBench, vbench_folder, vbench_python
from salt.data.vbench_prompts import VBenchPrompt
from salt.errors import SaltError
from salt.evaluation.cells import ModelCell
from salt.evaluation.protocol import protocol_of
from salt.evaluation.vbench.records import gather, vbench_records, vbench_wide
from salt.evaluation.vbench.results import Scored, read_results, write_results
from salt.evaluation.vbench.run import run_dimension
from salt.evaluation.vbench.view import Job
from salt.files import sha256, write_text

LOCK = Path("workflow", "envs", "vbench.lock.txt")
PYTHON = (3, 11)
"""The last Python that transformers 4.33.2 has wheels for: those of tokenizers 0.13.3."""
_log = logging.getLogger(__name__)


# ---------------------------------------------------------------------------------------------- the environment
def make_environment(folder: Path, python: str | None) -> Path:
    """VBench's environment in `folder/venv`, its prompts in `folder/prompts`; does nothing where it is up to date.

    Args:
        folder: see `vbench_folder`.
        python: the interpreter to build on; None: this one where it is of version 3.11, else `python3.11`.

    Raises:
        SaltError: no Python 3.11, or an installation that fails.
    """
    lock, venv = repository_root() / LOCK, folder / "venv"
    done, state = venv / ".complete", sha256(lock)
    if done.exists() and done.read_text(encoding="utf-8") == state:
        return venv / "bin" / "python"
    base = python or (sys.executable if sys.version_info[:2] == PYTHON else "python3.11")
    _call([base, "-c", f"import sys; sys.exit(sys.version_info[:2] != {PYTHON})"], f"{base}: accepted: Python 3.11")
    _call([base, "-m", "venv", "--clear", str(venv)], f"{base} -m venv fails")
    own = venv / "bin" / "python"
    _call([str(own), "-m", "pip", "install", "-r", str(lock)], f"{lock}: pip cannot install it")
    _call([str(own), "-I", "-c", "import cv2, decord, torch"], "VBench's decoders do not load: opencv wants libGL.so.1")
    package = next(venv.glob("lib/python*/site-packages/vbench"))
    (folder / "prompts").mkdir(exist_ok=True)
    shutil.copy(package / "VBench_full_info.json", folder / "prompts")
    write_text(done, state)
    return own


def _call(command: Sequence[str], failure: str) -> None:
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SaltError(f"{failure} ({error})") from error


# ---------------------------------------------------------------------------------------------------- the jobs
def jobs_of(
    cell: ModelCell, scale: Scale, vbench: VBench, videos: Path, details: Path, part: tuple[int, int], device: str
) -> list[Job]:
    """One job for each dimension that the prompts of a cell ask for; its files go into `details/{cell}`."""
    prompts, protocol = protocol_of(cell, scale)
    own = cast(Sequence[VBenchPrompt], prompts)
    seeds, out = scale.evaluation.seeds, details / cell.name
    return [
        Job(name, vbench, protocol, own, seeds, videos / cell.name, out, part, device) for name in vbench.dimensions()
    ]


def score_dimension(jobs: Sequence[Job], out: Path) -> None:
    """Run the jobs of one dimension, cell by cell, and say in `out` what each cell scored, or that it is absent."""
    found: dict[str, Any] = {}
    for job in jobs:
        scored = read_results(run_dimension(job, vbench_folder(), vbench_python()))
        score = scored.results[job.dimension][0] if scored.results else None
        found[job.out.name] = {"score": score, "absent": scored.provenance.get("absent", {}).get(job.dimension)}
        _log.info("%s: %s %s", job.out.name, job.dimension, "ABSENT" if score is None else f"{score:.6f}")
    write_text(out, json.dumps(found, indent=1) + "\n")


def gathered(
    cell: ModelCell, scale: Scale, vbench: VBench, videos: Path, details: Path, provenance: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and per-video scores of a cell whose dimensions are all scored; all of it in one results file, too."""
    jobs = jobs_of(cell, scale, vbench, videos, details, (0, 1), "cpu")
    scored = gather(jobs)
    whole = Scored(scored.results, {**provenance, **cell.columns(), **scored.provenance})
    write_results(details / f"{cell.name}_eval_results.json", whole)
    for name, reason in scored.provenance["absent"].items():
        _log.warning("%s: %s is ABSENT, and every score that it enters: %s", cell.name, name, reason)
    prompts = jobs[0].prompts
    return vbench_records(cell, scored, vbench), vbench_wide(scored, prompts, scale.evaluation.seeds, vbench)
