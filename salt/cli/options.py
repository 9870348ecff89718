"""Options that several verbs share.

The type of an option that names what a verb writes checks and tries that place, before any work, so that no verb can
forget to.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from salt.errors import SaltError, of_the_system
from salt.files import Kind, in_the_way, try_to_write

WRITES = "writes"
"""The attribute of an option's check that says that the option names a place which is written."""
Written = Callable[[typer.CallbackParam, Path | None], Path | None]


def written(wanted: Kind | None, replaced: Sequence[str] | None = None) -> Written:
    """The check of an option that names where a verb writes: a folder or a file of that kind, or nothing yet.

    Args:
        wanted: what the verb makes there; None: another option decides, and the verb calls `check_written`.
        replaced: None: the verb writes into the folder, or replaces the file. Else the folder is replaced as a whole,
            and must be empty or salt's own: these are what the names of files begin with that the verb leaves there.

    Returns:
        A callback of typer, which raises SaltError where something else stands there that would be lost, or where
        nothing can be written.
    """

    def check(param: typer.CallbackParam, value: Path | None) -> Path | None:
        if value is not None and wanted is not None:
            check_written(max(param.opts, key=len), value, wanted, replaced)
        return value

    setattr(check, WRITES, "replaced" if replaced is not None else "written")
    return check


class Verb(TyperCommand):
    """A command that does not write where it reads, nor twice to the same place, whatever its options are called."""

    def invoke(self, ctx: Any) -> Any:
        """Compare the places that were named, before any work."""
        places = []
        for param in self.params:
            given = ctx.params.get(param.name)
            named = [value for value in (given if isinstance(given, list) else [given]) if isinstance(value, Path)]
            places += [(param, Path(os.path.realpath(value)), value) for value in named]
        for one, real, value in places:
            if how := getattr(one.callback, WRITES, None):
                others = [(other, there) for other, there, _ in places if other is not one]
                self._apart(f"{_option(one)} {value}", how, real, others)
        return super().invoke(ctx)

    def _apart(self, said: str, how: str, real: Path, others: Sequence[tuple[Any, Path]]) -> None:
        for other, there in others:
            holds = there.is_relative_to(real)
            if holds or real.is_relative_to(there) if how == "replaced" else real == there:
                does = "written" if hasattr(other.callback, WRITES) else "read"
                place = "the place" if real == there else "a folder above the place" if holds else "in the folder"
                raise SaltError(f"{said}: {place} that is {does} as {_option(other)}; accepted: a place of its own")


def _option(param: Any) -> str:
    return max(param.opts, key=len) if param.opts[0].startswith("-") else str(param.name).upper()


def check_written(option: str, value: Path, wanted: Kind, replaced: Sequence[str] | None = None) -> None:
    """The check itself, for a place whose kind another option decides; arguments and error as of `written`."""
    accepted = f"a {wanted}, or a name that is new"
    found = in_the_way(value, wanted)
    if replaced is not None:
        accepted = "a folder that is new, empty or made by salt"
        found = found or _foreign(value, replaced)
    if found:
        raise SaltError(f"{option} {value}: {found} is in the way; accepted: {accepted}")
    _try(option, value)


def _try(option: str, value: Path) -> None:
    try:
        try_to_write(value)
    except OSError as error:
        raise SaltError(f"{option} {value}: nothing can be written there: {of_the_system(error)}") from error


def _foreign(folder: Path, replaced: Sequence[str]) -> str | None:
    """What in a folder is not salt's, or a name that no folder can be renamed to."""
    if folder.name in ("", ".."):
        return "the folder of this shell, or one above it,"
    if not folder.is_dir():
        return None
    names = sorted(path.name for path in folder.iterdir())
    return next((name for name in names if not name.lstrip(".").startswith(tuple(replaced))), None)


def followed(param: typer.CallbackParam, value: Path | None) -> Path | None:
    """The check of a folder that the user may have moved elsewhere, and left a link to."""
    if value is None:
        return None
    if found := in_the_way(Path(os.path.realpath(value)), "folder"):
        raise SaltError(f"{max(param.opts, key=len)} {value}: {found} is in the way; accepted: a folder")
    return value


def worked_in(param: typer.CallbackParam, value: Path | None) -> Path | None:
    """The check of such a folder in which a verb also writes."""
    if followed(param, value) is not None and value is not None:
        _try(max(param.opts, key=len), value)
    return value


def of_videos(param: typer.CallbackParam, value: str) -> str:
    """The check of a scale for verbs that make videos; an unknown one is refused where its file is read."""
    from salt.config.files import scale_names
    from salt.config.load import load_scale

    if value in scale_names() and load_scale(value).exact is not None:
        raise SaltError(
            f"--scale {value}: a scale of the lab, which makes no videos; accepted: the verbs lab-..., or "
            "`snakemake lab`"
        )
    return value


DEFAULT_SCALE = "tiny"
"""As `snakemake` has it."""
ScaleName = Annotated[str, typer.Option("--scale", help="Stem of a file in experiments/scales.", callback=of_videos)]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Training seed.")]
WEIGHTS = ("config.json", "diffusion_pytorch_model", "provenance.json")
"""Of a network's folder."""
_OUT = "Where the result goes. Default: where the workflow has it."
OutFile = Annotated[Path | None, typer.Option("--out", help=_OUT, callback=written("file"))]
OutFolder = Annotated[Path | None, typer.Option("--out", help=_OUT, callback=written("folder"))]
OutWeights = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help=_OUT,
        callback=written("folder", WEIGHTS),
    ),
]
_ASSETS = ("codec", "vae", "text_encoder", "image_", "tokenizer", "transformer", "larger", "provenance.json")
"""Of a scale's folder."""
OutAssets = Annotated[Path | None, typer.Option("--out", help=_OUT, callback=written("folder", _ASSETS))]
Details = Annotated[
    Path | None,
    typer.Option(
        "--details",
        help="Folder for files in VBench's layout. Default: the workflow's.",
        callback=written("folder"),
    ),
]
TeacherFolder = Annotated[
    Path | None,
    typer.Option("--teacher", help="Folder made by `salt teacher`. Default: the workflow's, or the shipped one."),
]
Latents = Annotated[
    Path | None, typer.Option("--latents", help="Folder made by `salt latents`. Default: the workflow's.")
]
StudentWeights = Annotated[
    Path | None,
    typer.Option("--weights", help="Folder made by `salt train`. Default: the workflow's, or the shipped ones."),
]
Videos = Annotated[Path | None, typer.Option("--videos", help="Folder made by `salt sample`. Default: the workflow's.")]
Device = Annotated[str, typer.Option("--device", help="As torch names it: cpu, cuda, cuda:1.")]
RunDir = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        help="Checkpoints and metrics; the same command continues there. Default: the workflow's.",
        callback=written("folder"),
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another process in the run directory to end.")]
Scratch = Annotated[
    Path, typer.Option("--scratch", envvar="SALT_SCRATCH", help="The workflow's scratch folder.", callback=followed)
]
Records = Annotated[Path | None, typer.Option("--records", help="Folder of the records. Default: the workflow's.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON in place of text.")]
Weights = Annotated[Path, typer.Argument(help="Folder made by `salt train`.")]
Long = Annotated[
    bool,
    typer.Option("--long", help="Videos beyond the training length, as the scale's evaluation.long says: causal only."),
]
Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", help="A cell that is wanted, as in extended_cm_4; repeatable. Default: all of them."),
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
