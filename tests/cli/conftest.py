"""Calls `salt` in this process, on a copy of the experiments with the smoke scale made smaller still."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from salt.cli import main

ROOT = Path(__file__).parents[2]
EVALUATION = {"prompts": 6, "batch_size": 4, "nfe": [2], "short_nfe": [2], "teacher_nfe": 2, "defect_samples": 2}


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


Salt = Callable[..., Answer]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose scale `smoke` has few and short evaluations, and where `shipped` ships its teacher."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "experiments", root / "experiments")
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
            patch.setattr(sys, "argv", ["salt", *map(str, words)])
            with pytest.raises(SystemExit) as end:
                main()
        return Answer(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return call


@dataclass(frozen=True)
class Made:
    """The folders of one whole chain, and the words that made each."""

    folder: Path

    @property
    def teacher(self) -> Path:
        return self.folder / "teacher"

    @property
    def latents(self) -> Path:
        return self.folder / "latents.safetensors"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def videos(self) -> Path:
        return self.folder / "videos"

    @property
    def records(self) -> Path:
        return self.folder / "records"

    def words(self, verb: str, **other: object) -> list[object]:
        """The command of one link of the chain; `run_dir=...` replaces an option."""
        scores = self.records / "sc_dmd_seed0_scores.csv"
        teacher = {"teacher": self.teacher}
        positional: dict[str, list[object]] = {"teacher": [], "latents": [], "defect": [self.weights]}
        options: dict[str, dict[str, object]] = {
            "teacher": {"run_dir": self.folder / "runs" / "teacher", "out": self.teacher},
            "latents": teacher | {"out": self.latents},
            "train": teacher
            | {"latents": self.latents, "run_dir": self.folder / "runs" / "student", "out": self.weights},
            "sample": teacher | {"weights": self.weights, "out": self.videos},
            "score": {"videos": self.videos, "out": scores, "details": self.folder / "details"},
            "defect": teacher | {"out": self.records / "sc_dmd_seed0_defect.csv"},
        }
        words: list[object] = [verb, *positional.get(verb, ["sc_dmd"])]
        for name, value in ({"scale": "smoke"} | options[verb] | other).items():
            words += [f"--{name.replace('_', '-')}", value]
        return words


@pytest.fixture(scope="session")
def made(salt: Salt, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Every verb from the teacher to the records, run once. Tests must leave it as it is."""
    made = Made(tmp_path_factory.mktemp("chain"))
    for verb in ("teacher", "latents", "train", "sample", "score", "defect"):
        answer = salt(*made.words(verb))
        assert answer.code == 0, answer.err
    return made


@contextmanager
def spoilt(path: Path, spoil: Callable[[Path], object]) -> Iterator[None]:
    """Spoil a file for the length of a block."""
    before = path.read_bytes()
    try:
        spoil(path)
        yield
    finally:
        path.write_bytes(before)
