"""The jobs of a target as Snakemake plans them: rules, wildcards, logs and benchmarks are the workflow's own."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.config.files import repository_root
from salt.errors import SaltError
from salt.readers import loads, read_table

BESIDE = "beside_"
"""What the rules of the scale beside this one begin with (`Scale.beside`)."""
STATES = ("done", "there", "running", "stopped", "not begun")
"""Made here; not made here and not to be made, since what it is for is there; a training whose lease was renewed
lately; begun and not finished; neither."""
OF_WHAT = ("experiment", "sampled", "table", "figure")
"""Wildcards that name what a job is of."""


@dataclass(frozen=True)
class Planned:
    """One job."""

    rule: str
    wildcards: Mapping[str, str]
    log: Path
    benchmark: Path
    """What Snakemake measured when it last ran."""
    run_dir: Path | None
    """Where a training keeps its checkpoints."""
    todo: bool
    """Whether it is still to be run."""

    @property
    def name(self) -> str:
        """The experiment, reference, table or figure; empty for what a scale has once."""
        return next((self.wildcards[key] for key in OF_WHAT if key in self.wildcards), "")

    @property
    def seed(self) -> int:
        """The training seed; 0 for what has none."""
        return int(self.wildcards.get("seed", 0))

    def seconds(self) -> float | None:
        """What it took when it last ran; None: it has not run here."""
        if not self.benchmark.is_file():
            return None
        rows = read_table(self.benchmark, ["s"], "as Snakemake wrote it", numbers=["s"], delimiter="\t")
        return float(rows["s"].iloc[-1]) if len(rows) else None

    def state(self) -> str:
        """Of `STATES`."""
        from salt.training.run import LEASE  # brings torch

        if not self.todo:
            return "done" if self.benchmark.is_file() else "there"
        lease = self.run_dir / "lease" if self.run_dir is not None else None
        if lease is not None and lease.is_file() and time.time() - lease.stat().st_mtime < LEASE:
            return "running"
        return "stopped" if self.log.is_file() else "not begun"


def jobs_of(
    targets: Sequence[str], scale: str, scratch: Path, settings: Sequence[str] = ()
) -> dict[str, list[Planned]]:
    """Every job of each target at this scale, done or not; those of the scale beside it are asked for by its own name.

    Args:
        targets: as `snakemake` takes them; all of them are planned at once.
        scale: the scale's name.
        scratch: the workflow's.
        settings: further `KEY=VALUE` of its `--config`.

    Raises:
        SaltError: Snakemake refuses it; its last line says why.
    """
    root = repository_root()
    command = [sys.executable, "-m", "salt.planning.graph", *targets, "--nolock", "--config"]
    command += [f"scale={scale}", f"scratch={scratch}", *settings]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines()]
        said = [line for line in lines if line and not line.startswith("File ")]
        raise SaltError(f"snakemake {' '.join(targets)}: {said[-1] if said else 'it failed and said nothing'}")
    graph = [loads(line) for line in done.stdout.splitlines() if line]
    places = {job["rule"]: number for number, job in enumerate(graph) if job["target"]}
    return {target: _before(places[target], graph, root) for target in targets}


def _before(place: int, graph: Sequence[Mapping[str, Any]], root: Path) -> list[Planned]:
    """The jobs that one needs, directly or not, in the graph's order; without targets and the scale beside."""
    found, open_ = {place}, [place]
    while open_:
        new = set(graph[open_.pop()]["needs"]) - found
        found |= new
        open_ += new
    of_target = [graph[number] for number in sorted(found)]
    return [_planned(job, root) for job in of_target if not (job["target"] or job["rule"].startswith(BESIDE))]


def _planned(job: Mapping[str, Any], root: Path) -> Planned:
    run_dir = root / job["run_dir"] if job["run_dir"] is not None else None
    log, benchmark = root / job["log"], root / job["benchmark"]
    return Planned(job["rule"], job["wildcards"], log, benchmark, run_dir, job["todo"])
