"""`make test` beside a SLURM that somebody installed: the tests must not see it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLURM = ("sinfo", "squeue", "sbatch", "sacct", "srun", "scontrol", "slurmctld")
BASE = ("bash", "env", "git", "which")
PYTEST = f"""#!/usr/bin/env bash
[ "$2" = pytest ] || exit 0
for command in {" ".join((*SLURM, *BASE))} mine; do type -P "$command" > /dev/null && echo "found $command"; done
exit 3
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_the_tests_run_with_the_base_of_the_system_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    installed, venv = tmp_path / "installed", tmp_path / ".venv" / "bin"
    for folder, names in ((installed, (*SLURM, "mine")), (venv, ("python", "ruff", "mypy"))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(PYTEST if name == "python" else "#!/bin/sh\n")
            (folder / name).chmod(0o755)
    path = os.pathsep.join([str(installed), os.environ["PATH"]])
    command = ["make", "test", "--assume-old=.venv/.complete", "--no-print-directory"]
    (tmp_path / ".venv" / ".complete").touch()
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PATH": path, "MAKEFLAGS": ""}, capture_output=True, text=True
    )
    assert run.returncode == 2, "make passes on that the tests failed"
    assert [line for line in run.stdout.splitlines() if line.startswith("found")] == [f"found {c}" for c in BASE]
