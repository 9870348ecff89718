"""A copy of the workflow, run by a Snakemake of its own: here, or on the cluster."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from support.slurm_cluster import PATIENCE

ROOT = Path(__file__).parents[2]
STUDENTS = ["dmd_4", "dmd_8", "sc_dmd"]  # of table4
CHECKPOINT_EVERY = 10
LONGER = {"iterations": 100, "checkpoint_every": CHECKPOINT_EVERY}  # so that each can be met at work
MASTERS: list[subprocess.Popen[str]] = []  # all that were started
RESULTS = ("results/smoke/records/*", "scratch/smoke/weights/*/*/*.safetensors")


class Workflow:
    """A copy of the workflow whose trainings at smoke scale are longer, and whose jobs each hold a (fake) GPU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("workflow", "experiments"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "slurm", folder, follow_symlinks=False)
        for name in STUDENTS:
            self.change(f"experiments/{name}.yaml", _longer)
        self.needs("default", device="cpu", mem_mb=1000)
        self.needs("train", gpu=1)

    def begin_with(self, other: "Workflow") -> None:
        """Take over teacher and latents, so that trainings can begin."""
        for name in (".snakemake", "scratch/smoke/teacher", "scratch/smoke/latents"):
            source, target = other.folder / name, self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)

    def change(self, path: str, changed: Callable[[dict], dict]) -> None:
        file = self.folder / path
        file.write_text(yaml.safe_dump(changed(yaml.safe_load(file.read_text()))))

    def needs(self, rule: str, **asked: object) -> None:
        """What jobs of a rule ask for at smoke scale."""

        def add(old: dict) -> dict:
            smoke = old["smoke"]
            return old | {"smoke": smoke | {rule: smoke["default"] | asked}}

        self.change("workflow/resources.yaml", add)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`snakemake WORDS --config scale=smoke seeds=1`; what it says is added to the file `master`."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SALT_", "SLURM_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        ours = {"PATH": path, "PYTHONPATH": str(ROOT), "SALT_ROOT": str(self.folder)}
        ours |= {"SALT_PARTITION": "gpu", "SALT_CPU_PARTITION": "max"}  # as a Python expression, a function
        command = [sys.executable, "-m", "snakemake", *words, "--config", "scale=smoke", "seeds=1"]
        with (self.folder / "master").open("a") as log:
            MASTERS.append(
                subprocess.Popen(command, cwd=self.folder, env=inherited | ours, stdout=log, stderr=log, text=True)
            )
        return MASTERS[-1]

    def submit(self, *targets: str) -> subprocess.Popen[str]:
        """On the cluster, which is asked more often than a real one would like."""
        often = [f"--{key}seconds-{what}-status-checks=3" for key, what in (("slurm-init-", "before"), ("", "between"))]
        return self.start(*targets, "--profile", "slurm", *often)

    def finish(self, master: subprocess.Popen[str]) -> None:
        assert master.wait(PATIENCE) == 0, self.said()

    def said(self) -> str:
        return (self.folder / "master").read_text()

    def run_of(self, student: str) -> Path:
        """The run directory of a student, made or not."""
        found = list((self.folder / "scratch/smoke/runs" / student / "seed0").glob("*"))
        return found[0] if found else self.folder / "none"

    def steps(self, student: str) -> int:
        """Iterations that a student has behind it."""
        path = self.run_of(student) / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    def hold(self, student: str) -> tuple[int, str]:
        """Stop the process that trains a student where it is; returns it and its SLURM job."""
        _, process, _, _, _, _, job = (self.run_of(student) / "lease.holder").read_text().strip(")").split()
        os.kill(int(process), signal.SIGSTOP)
        return int(process), job

    def results(self) -> dict[str, bytes]:
        files = [path for pattern in RESULTS for path in sorted(self.folder.glob(pattern))]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def _longer(experiment: dict) -> dict:
    scales = experiment.get("scales", {})
    smoke = scales.get("smoke", {})
    return experiment | {"scales": scales | {"smoke": smoke | {"train": smoke.get("train", {}) | LONGER}}}
