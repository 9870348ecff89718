"""Where the workflow keeps what a verb reads and writes, for a user who does not say it."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from salt.errors import SaltError
from salt.readers import read_json

if TYPE_CHECKING:
    from salt.workflow.lab import Lab
    from salt.workflow.layout import Layout

MADE, INDEX, MANIFEST = "provenance.json", "index.json", "manifest.json"
"""In every folder that is whole: of networks, of latents or trajectories, of videos."""
STUDENTS = Path("assets", "students")
"""`{scale}/{experiment}` below it: the students that the repository ships."""


def layout_of(scale: str) -> "Layout":
    """Where everything of a scale lies."""
    from salt.config import repository_root

    return _layout(scale, repository_root(), os.environ.get("SALT_SCRATCH"))


@cache
def _layout(scale: str, root: Path, scratch: str | None) -> "Layout":
    from salt.workflow.load import Workflow

    return Workflow.load({"scale": scale}, root / "workflow").layout


def out_of(
    given: Path | None, own: Callable[["Layout"], str | Path], scale: str, changed: object = None, option: str = "--out"
) -> Path:
    """Where a verb writes: where the user says, else the workflow's own place.

    Args:
        given: what the user said.
        own: the workflow's, of its layout, which is read only if it is needed.
        scale: the scale's name.
        changed: what the user asked for that the workflow does not: such a result never takes the place of its own.
        option: that names the place.

    Raises:
        SaltError: something was changed and no place is given.
    """
    if given is None and changed:
        raise SaltError(
            f"{option} is missing: what is asked for is not the workflow's own; a place of its own is accepted"
        )
    return given if given is not None else Path(own(layout_of(scale)))


def of_lab(given: Path | None, own: Callable[["Lab"], str | Path], name: str) -> Path:
    """A place of the lab: where the user says, else the workflow's own."""
    if given is not None:
        return given
    from salt.config import repository_root
    from salt.workflow.lab import Lab
    from salt.workflow.settings import Settings
    from salt.workflow.stages import load_stages

    return Path(own(Lab.load(name, Settings.read({}), load_stages(repository_root() / "workflow"))))


# ------------------------------------------------------------------------------------------ what is read
def teacher_of(scale: str) -> Path:
    """The folder of a scale's codec, text encoder and teacher: the workflow's own, else the one that is shipped.

    Raises:
        SaltError: there is neither.
    """
    from salt.config import load_scale, repository_root

    own, loaded = Path(layout_of(scale).scratch, "teacher"), load_scale(scale)
    if (own / MADE).is_file():
        return own
    if loaded.teacher == "shipped":
        return repository_root() / loaded.assets
    raise SaltError(f"{own}: no teacher of scale {scale} here; accepted: --teacher FOLDER, or `salt teacher` makes one")


def latents_of(scale: str) -> Path:
    """The bank that students are trained on.

    Raises:
        SaltError: it is not there.
    """
    return _whole(
        Path(layout_of(scale).latents, INDEX), "no latents", f"--latents FOLDER, or {_verb('latents', scale)}"
    )


def pairs_of(experiment: str, scale: str) -> Path | None:
    """The trajectories that an experiment regresses; None: it regresses none.

    Raises:
        SaltError: they are not there.
    """
    makes = f"--pairs FOLDER, or {_verb(f'ode-pairs {experiment}', scale)}"
    return next((_whole(Path(file), "no trajectories", makes) for file in layout_of(scale).pairs_of(experiment)), None)


def weights_of(experiment: str, scale: str, seed: int) -> Path:
    """The folder of a student's weights: the workflow's own, else those that the repository ships.

    Raises:
        SaltError: there are neither.
    """
    from salt.config import repository_root

    file, shipped = Path(layout_of(scale).weights(experiment, seed)), repository_root() / STUDENTS / scale / experiment
    is_shipped = not file.is_file() and (shipped / MADE).is_file()
    if is_shipped and read_json(shipped / MADE, "as it was shipped").get("seed") == seed:
        return shipped
    return _whole(
        file,
        f"no weights of {experiment}, seed {seed}",
        f"--weights FOLDER, or `snakemake ablation_{experiment} --config scale={scale}` trains them",
    )


def _verb(words: str, scale: str) -> str:
    return f"`salt {words} --scale {scale}` makes it"


def _whole(file: Path, missing: str, accepted: str) -> Path:
    if not file.is_file():
        raise SaltError(f"{file.parent}: {missing}; accepted: {accepted}")
    return file.parent


# --------------------------------------------------------------------------------------- what is written
def record_of(experiment: str, seed: int, kind: str) -> Callable[["Layout"], Path]:
    """The record of one model, for `out_of`."""
    return lambda layout: Path(layout.records, f"{experiment}_seed{seed}_{kind}.csv")


def videos_of(experiment: str, seed: int, long: bool = False) -> Callable[["Layout"], Path]:
    """The videos of the evaluation's prompts, for `out_of`."""
    return lambda layout: Path(layout.videos, experiment, f"seed{seed}{'_long' if long else ''}")


def own_videos(experiment: str, scale: str, seed: int) -> Path:
    """Where the videos of one's own captions, and of cells that one chose, go."""
    return Path("samples", scale, f"{experiment}_seed{seed}")
