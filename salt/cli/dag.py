"""The jobs of a target, from the one place that knows them: Snakemake, asked for a summary."""

import csv
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from salt.config.files import repository_root
from salt.errors import SaltError

PER_SEED = (
    "train",
    "import_released",
    "sample",
    "sample_long",
    "score_vbench",
    "score",
    "score_long",
    "defect",
    "caches",
)
"""Rules of one student or reference."""
NAMED = ("table", "figure")
BESIDE = "beside_"
"""What the rules of the scale beside this one begin with (`Scale.beside`)."""
_SEED = re.compile(r"/(?P<folder>[^/]+)/seed(?P<n>\d+)(?P<long>_long)?/|/records/(?P<file>.+)_seed(?P<m>\d+)_")


@dataclass(frozen=True)
class Planned:
    """One job."""

    rule: str
    name: str
    """The experiment, table or figure; empty for what a scale has once."""
    seed: int
    part: str
    """What of it: a dimension of VBench, the state of a store, which of the jobs that share the work."""
    todo: bool
    """Whether it is still to be run."""

    def _file(self) -> str:
        """As its log and its benchmark are called, without folder and ending."""
        name = f"{self.name}_seed{self.seed}{self.part}" if self.rule in PER_SEED else f"{self.name}{self.part}"
        return f"{self.rule}/{name}".rstrip("/")

    def seconds(self, scratch: Path) -> float | None:
        """What it took when it last ran, from Snakemake's benchmark file below a scale's scratch folder."""
        path = scratch / "benchmarks" / f"{self._file()}.tsv"
        if not path.is_file():
            return None
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        return float(rows[-1]["s"]) if rows else None

    def state(self, scratch: Path) -> str:
        """done, running (a training whose lease was touched lately), stopped (begun, not at its end) or not begun."""
        from salt.training.run import LEASE  # brings torch

        if not self.todo:
            return "done"
        log = scratch / "logs" / f"{self._file()}.log"
        leases = (scratch / "runs" / self.name / f"seed{self.seed}").glob("*/lease") if self.rule == "train" else ()
        if any(time.time() - lease.stat().st_mtime < LEASE for lease in leases):
            return "running"
        return "stopped" if log.is_file() else "not begun"


def jobs_of(target: str, scale: str, scratch: Path, settings: Sequence[str] = ()) -> list[Planned]:
    """Every job of a target at this scale, done or not; those of the scale beside it are asked for by its own name.

    Args:
        target: as `snakemake` takes it.
        scale: the scale's name.
        scratch: the workflow's.
        settings: further `KEY=VALUE` of its `--config`.

    Raises:
        SaltError: Snakemake refuses it; the line that tells why.
    """
    command = [sys.executable, "-m", "snakemake", "--summary", target, "--nolock", "--config"]
    command += [f"scale={scale}", f"scratch={scratch}", *settings]
    done = subprocess.run(command, cwd=repository_root(), capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines()]
        said = [line for line in lines if line and not line.startswith("File ")]
        raise SaltError(f"snakemake {target}: {said[-1] if said else 'it failed and said nothing'}")
    found: dict[tuple[str, str, int, str], Planned] = {}
    for row in csv.DictReader(done.stdout.splitlines(), delimiter="\t"):
        if row["rule"].startswith(BESIDE):
            continue
        job = Planned(row["rule"], *_whose(row["rule"], row["output_file"]), row["plan"] != "no update")
        key = (job.rule, job.name, job.seed, job.part)
        found[key] = replace(job, todo=job.todo or found.get(key, job).todo)
    return list(found.values())


def _whose(rule: str, output: str) -> tuple[str, int, str]:
    """The name, the seed and the part of the job that makes a file."""
    if rule in PER_SEED and (match := _SEED.search(f"/{output}")):
        part = f"{match['long'] or ''}_{Path(output).stem}" if rule == "score_vbench" else ""
        return match["folder"] or match["file"], int(match["n"] or match["m"]), part
    path = Path(output)
    if rule == "latents_part":
        return "", 0, path.name
    if rule in ("ode_pairs", "ode_pairs_part"):  # pairs/{experiment}/{state}/...
        part = f"_{path.name}" if rule == "ode_pairs_part" else ""
        return path.parent.parent.name, 0, f"_{path.parent.name}{part}"
    if rule in NAMED:
        return path.stem, 0, ""
    return "", 0, ""
