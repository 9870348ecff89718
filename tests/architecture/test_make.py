"""`make test` beside a SLURM that somebody installed, and what `make reproduce` says step by step."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


FAKE = """#!/usr/bin/env bash
echo "called ${0##*/} $*"
for word in "$@"; do case $word in
    fig_lab) made=scratch/reproduce/paper_figures/lab; mkdir -p $made; touch $made/fig_lab.{png,pdf} ;;
    only=table4,figA1)
        tables=scratch/reproduce/results/tiny/tables figures=scratch/reproduce/paper_figures/tiny
        mkdir -p $tables $figures; echo "the table" > $tables/table4.md; touch $tables/table4.csv $figures/figA1.pdf ;;
esac; done
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_reproduce_says_what_is_there_as_soon_as_it_is(tmp_path: Path) -> None:
    """The lab, then Table 4, then how it agrees with the committed results."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    for name in ("snakemake", "salt", "python"):
        (venv / name).write_text("#!/bin/sh\necho 3\n" if name == "python" else FAKE)
        (venv / name).chmod(0o755)
    (tmp_path / ".venv" / ".complete").touch()
    command = ["make", "reproduce", "--assume-old=.venv/.complete", "--no-print-directory"]
    run = subprocess.run(command, cwd=tmp_path, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said = [re.sub(r"\d+ min \d+ s", "M min S s", line) for line in run.stdout.splitlines() if line]
    records = "--records scratch/reproduce/results/tiny/records --committed results/tiny/records"
    assert [line for line in said if line.startswith(("called", "The core", "the table", "Table 4"))] == [
        "called snakemake fig_lab --config out=scratch/reproduce",
        "The core of the lab: there to be looked at, M min S s after the start",
        "called snakemake --cores 3 --config seeds=1 only=table4,figA1 out=scratch/reproduce",
        "the table",
        "Table 4 and its students' defect, of one training seed: there to be looked at, M min S s after the start",
        f"called salt agreement table4 --scale tiny {records}",
    ]
    assert "  scratch/reproduce/paper_figures/lab/fig_lab.png" in said
    assert "  scratch/reproduce/results/tiny/tables/table4.md" in said


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_demo_passes_a_caption_on_as_it_was_given(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "salt").write_text('#!/usr/bin/env bash\nprintf "<%s>\\n" "$@"\n')
    (venv / "salt").chmod(0o755)
    (tmp_path / ".venv" / ".complete").touch()
    caption = """a "red"  $HOME ring; it's `left`"""
    given = f"CAPTION={caption.replace('$', '$$')}"
    command = ["make", "demo", given, "--assume-old=.venv/.complete", "--no-print-directory"]
    run = subprocess.run(command, cwd=tmp_path, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    words = run.stdout.splitlines()
    assert f"<{caption}>" in words, words
    scale = words[words.index("<--scale>") + 1].strip("<>")
    assert (ROOT / "assets" / "students" / scale / words[1].strip("<>") / "provenance.json").is_file()
    assert "samples/demo/demo.gif" in words[-1]


def test_the_lock_holds_what_the_project_asks_for_by_hash() -> None:
    """But for torch, of which builds differ by the machine, and whatever it brings for GPUs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    entries = re.findall(r"^([\w.-]+)==(\S+)((?:.*\\\n)+.*)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    locked = {canonicalize_name(name): version for name, version, _ in entries}
    wanted = {canonicalize_name(one.name): one.specifier for one in asked if one.name != "torch"}
    assert {name for name, allowed in wanted.items() if name not in locked or locked[name] not in allowed} == set()
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    assert [name for name in locked if name.startswith(("torch", "nvidia", "cuda", "triton"))] == []
    assert "setuptools" in locked  # builds the editable install, without fetching another one
