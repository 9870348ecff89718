"""Weights that others have published, in the place of a training: what `salt import-released EXPERIMENT` reads."""

import os
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from salt.config.base import Section
from salt.errors import SaltError
from salt.files import sha256

MARK = " (released weights)"
"""Ends the title in every record of imported weights, for who reads it."""
TRAINED, RELEASED = "trained", "released"
"""Column `weights` of records: by us, or by others; records without the column are of trained ones."""


def _below(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path}: a path below SALT_WEIGHTS is accepted, as in gdhe17/Self-Forcing/checkpoints/a.pt")
    return path


Below = Annotated[str, Field(min_length=1), AfterValidator(_below)]
"""A path below `weights_root()`."""


class Released(Section):
    """A published checkpoint of a row. It is of one experiment at one scale, and not inherited through `extends`."""

    source: Below
    """File or folder of the checkpoint, below SALT_WEIGHTS: the hub's own name of it, after that of its repository."""
    page: Annotated[str, Field(min_length=1)]
    """Where it is downloaded from, as messages say it."""
    which: Literal["ema", "regular"] | None = None
    """The average of the training or its last state; None: the file holds one of them."""
    lora: Below | None = None
    """A LoRA to merge, below SALT_WEIGHTS."""
    always: bool = Field(default=False, exclude_if=lambda value: not value)
    """Taken unless `--config weights=trained` says otherwise: the paper scores this file, and the row's training costs
    more than all that is compared with it."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the file `source`; None: not known."""

    def missing(self) -> list[Path]:
        """Those of its files that are not there."""
        return [path for path in map(_place, (self.source, self.lora)) if path is not None and not path.exists()]

    def files(self, whose: str) -> tuple[Path, Path | None]:
        """Checkpoint and LoRA, where both are there and the checkpoint is the published one.

        Args:
            whose: the file that asks for them, for the message.

        Raises:
            SaltError: a file is missing, or is another; with where to put it and where it is downloaded from.
        """
        if missing := self.missing():
            raise SaltError(f"{missing[0]}: missing, which {whose} asks for; download it there from {self.page}")
        source, lora = weights_root() / self.source, _place(self.lora)
        if self.sha256 is not None and (source.is_dir() or sha256(source) != self.sha256):
            raise SaltError(
                f"{source}: not the file with SHA-256 {self.sha256[:12]}... that {whose} asks for; download it again "
                f"from {self.page}"
            )
        return source, lora


def weights_root() -> Path:
    """Where downloaded weights lie: `SALT_WEIGHTS`, else `released` in the folder `SALT_SCRATCH`."""
    scratch = Path(os.environ.get("SALT_SCRATCH", "scratch"))
    return Path(os.environ.get("SALT_WEIGHTS") or scratch / "released").absolute()


def _place(path: str | None) -> Path | None:
    return None if path is None else weights_root() / path
