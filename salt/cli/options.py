"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

ScaleName = Annotated[str, typer.Option("--scale", help="Stem of a file in experiments/scales.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Training seed.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
TeacherFolder = Annotated[Path, typer.Option("--teacher", help="Folder made by `salt teacher`.")]
Latents = Annotated[Path, typer.Option("--latents", help="File made by `salt latents`.")]
RunDir = Annotated[Path, typer.Option("--run-dir", help="Checkpoints and metrics; the same command continues there.")]
Records = Annotated[Path, typer.Option("--records", help="Folder of the records.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="A key of the experiment, as in train.iterations=400; repeatable.")
]


def as_mapping(overrides: list[str] | None) -> dict[str, str]:
    """`["a.b=1"]` -> `{"a.b": "1"}`."""
    pairs = [text.partition("=") for text in overrides or []]
    for key, sign, value in pairs:
        if not (key and sign):
            raise typer.BadParameter(f"--set {key}{sign}{value}: KEY=VALUE is accepted, as in train.iterations=400")
    return {key: value for key, _, value in pairs}
