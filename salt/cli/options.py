"""Options that several verbs share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from salt.errors import SaltError

ScaleName = Annotated[str, typer.Option("--scale", help="Stem of a file in experiments/scales.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Training seed.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
TeacherFolder = Annotated[Path, typer.Option("--teacher", help="Folder made by `salt teacher`.")]
Latents = Annotated[Path, typer.Option("--latents", help="Folder made by `salt latents`.")]
Device = Annotated[str, typer.Option("--device", help="As torch names it: cpu, cuda, cuda:1.")]
RunDir = Annotated[Path, typer.Option("--run-dir", help="Checkpoints and metrics; the same command continues there.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another process in the run directory to end.")]
Scratch = Annotated[Path, typer.Option("--scratch", envvar="SALT_SCRATCH", help="The workflow's scratch folder.")]
Records = Annotated[Path, typer.Option("--records", help="Folder of the records.")]
Weights = Annotated[Path, typer.Argument(help="Folder made by `salt train`.")]
Long = Annotated[
    bool,
    typer.Option("--long", help="Videos beyond the training length, as the scale's evaluation.long says: causal only."),
]
Part = Annotated[str, typer.Option("--part", help="i/n: the i-th of n parts of the work, from 0.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="A key of the experiment, as in train.iterations=400; repeatable.")
]


def as_mapping(overrides: list[str] | None) -> dict[str, str]:
    """`["a.b=1"]` -> `{"a.b": "1"}`.

    Raises:
        SaltError: no `=`, or nothing before it.
    """
    pairs = [text.partition("=") for text in overrides or []]
    for key, sign, value in pairs:
        if not (key and sign):
            raise SaltError(f"--set {key}{sign}{value}: KEY=VALUE is accepted, as in train.iterations=400")
    return {key: value for key, _, value in pairs}


def part_of(text: str) -> tuple[int, int]:
    """`"2/4"` -> `(2, 4)`.

    Raises:
        SaltError: the text names no part.
    """
    index, sign, parts = text.partition("/")
    if not (index.isdecimal() and sign and parts.isdecimal() and int(index) < int(parts)):
        raise SaltError(f"--part {text}: accepted: i/n with 0 <= i < n, as in 0/4")
    return int(index), int(parts)


def check_out(out: Path, made_first: Sequence[str] = ()) -> None:
    """Refuse to replace a file, or a folder that salt did not make.

    Args:
        out: the folder to be replaced; it may be missing or empty.
        made_first: beginnings of the names of files that a verb writes before `provenance.json`.

    Raises:
        SaltError: it holds something else, which would be lost.
    """
    others = [out.name] if out.is_file() else []
    if out.is_dir() and not (out / "provenance.json").exists():
        others = sorted(path.name for path in out.iterdir() if not path.name.lstrip(".").startswith(tuple(made_first)))
    if others:
        raise SaltError(
            f"--out {out}: {others[0]} is in the way; accepted: a folder that is new, empty or made by salt"
        )
