"""Where the workflow keeps what a verb reads, for a user who does not say it."""

from pathlib import Path
from typing import TYPE_CHECKING

from salt.errors import SaltError

if TYPE_CHECKING:
    from salt.workflow.layout import Layout

MADE = "provenance.json"
"""In every folder that is whole."""


def teacher_of(scale: str) -> Path:
    """The folder of a scale's codec, text encoder and teacher: the workflow's own, else the one that is shipped.

    Raises:
        SaltError: there is neither.
    """
    from salt.config import load_scale, repository_root

    own, loaded = Path(_layout(scale).scratch, "teacher"), load_scale(scale)
    if (own / MADE).is_file():
        return own
    if loaded.teacher == "shipped":
        return repository_root() / loaded.assets
    raise SaltError(f"{own}: no teacher of scale {scale} here; accepted: --teacher FOLDER, or `salt teacher` makes one")


def weights_of(experiment: str, scale: str, seed: int) -> Path:
    """The folder of a student's weights, as the workflow trains them.

    Raises:
        SaltError: they are not there.
    """
    folder = Path(_layout(scale).weights(experiment, seed)).parent
    if (folder / MADE).is_file():
        return folder
    raise SaltError(
        f"{folder}: no weights of {experiment}, seed {seed}; accepted: --weights FOLDER, or `snakemake "
        f"ablation_{experiment} --config scale={scale}` trains them"
    )


def videos_of(experiment: str, scale: str, seed: int) -> Path:
    """Where the videos of one's own captions go."""
    return Path("samples", scale, f"{experiment}_seed{seed}")


def _layout(scale: str) -> "Layout":
    from salt.config import repository_root
    from salt.workflow.load import Workflow

    return Workflow.load({"scale": scale}, repository_root() / "workflow").layout
