"""The container file, as far as it can be checked without a container: what it runs is there, and what it copies."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
STEPS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]


def of(instruction: str) -> list[str]:
    return [words for name, words in STEPS if name == instruction]


def test_its_python_is_one_that_salt_takes() -> None:
    (base,) = of("FROM")
    accepted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert re.search(r"python:([\d.]+)", base)[1] in SpecifierSet(accepted)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_it_runs_what_the_makefile_has() -> None:
    made = re.findall(r"make ([a-z]+)", of("RUN")[1])
    entry, command = json.loads(of("ENTRYPOINT")[0]), json.loads(of("CMD")[0])
    assert entry == ["make", "-C", *of("WORKDIR")]
    for target in (*made, *command, "demo"):
        plan = ["make", "-n", target, "--assume-old=.venv/.complete"]
        assert subprocess.run(plan, cwd=ROOT, capture_output=True).returncode == 0, target
    assert made == ["setup"]
    assert command == ["reproduce"]


def test_what_a_machine_makes_is_not_copied_and_all_else_is() -> None:
    left_out = (ROOT / ".containerignore").read_text().split()
    assert (ROOT / ".dockerignore").read_text().split() == left_out
    ignored = set((ROOT / ".gitignore").read_text().split())
    assert all(name.removeprefix("**/") in {entry.rstrip("/") for entry in ignored} for name in left_out)
    tracked = {Path(name).parts[0] for name in ("salt", "workflow", "experiments", "assets", "results", "Makefile")}
    assert not tracked & set(left_out)
