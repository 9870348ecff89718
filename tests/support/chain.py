"""What the tests of the command line share: how a command ended, and the chain of all verbs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


Salt = Callable[..., Answer]


@dataclass(frozen=True)
class Made:
    """The folders of one whole chain, and the words that made each."""

    folder: Path

    @property
    def teacher(self) -> Path:
        return self.folder / "teacher"

    @property
    def latents(self) -> Path:
        return self.folder / "latents"

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


@contextmanager
def corrupted(path: Path, corrupt: Callable[[Path], object]) -> Iterator[None]:
    """Spoil a file for the length of a block."""
    before = path.read_bytes()
    try:
        corrupt(path)
        yield
    finally:
        path.write_bytes(before)


def refused(salt: Salt, words: list[object], *parts: object) -> None:
    """The command exits 2 and says all of `parts` in one line."""
    answer = salt(*words)
    assert answer.code == 2, answer.err
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("salt: ")
    for part in parts:
        assert str(part) in lines[0]
