"""Calls `salt` in this process, on a copy of the experiments with the smoke scale made smaller still."""

import io
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from salt.cli import main
from support.chain import Answer, Made, Salt

ROOT = Path(__file__).parents[2]
LONG = {"length": 2, "prompts": 2, "nfe": [2], "memory": {"window": 2, "sink": 1, "positions": "relative"}}
EVALUATION = {
    "prompts": 6,
    "batch_size": 4,
    "nfe": [2],
    "short_nfe": [2],
    "teacher_nfe": 2,
    "defect_samples": 2,
    "long": LONG,
}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose scale `smoke` has few and short evaluations, and where `shipped` ships its teacher."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("experiments", "workflow"):
        shutil.copytree(ROOT / folder, root / folder)
    scales = root / "experiments" / "scales"
    smoke = yaml.safe_load((scales / "smoke.yaml").read_text()) | {"evaluation": EVALUATION}
    (scales / "smoke.yaml").write_text(yaml.safe_dump(smoke))
    shipped = smoke | {"teacher": "shipped", "assets": "assets/shipped"}
    (scales / "shipped.yaml").write_text(yaml.safe_dump(shipped))
    return root


@pytest.fixture(scope="session")
def salt(root: Path) -> Salt:
    """salt(*words) -> exit code, standard output and standard error."""

    def call(*words: object) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setenv("SALT_ROOT", str(root))
            patch.setenv("GIT_DIR", str(root))  # no checkout: a commit between two calls is no difference
            patch.setattr(sys, "argv", ["salt", *map(str, words)])
            with pytest.raises(SystemExit) as end:
                main()
        return Answer(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return call


@pytest.fixture(scope="session")
def made(salt: Salt, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Every verb from the teacher to the records, run once. Tests must leave it as it is."""
    made = Made(tmp_path_factory.mktemp("chain"))
    for verb in ("teacher", "latents", "train", "sample", "score", "defect"):
        answer = salt(*made.words(verb))
        assert answer.code == 0, answer.err
    return made
