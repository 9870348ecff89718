"""What students are trained on where it is not the procedural world, and where released files lie on this machine."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt

from salt.config.base import Section
from salt.errors import SaltError

WEIGHTS = "SALT_WEIGHTS"


class Data(Section):
    """Captions, and videos where there are some. A caption without one is shown by the guided teacher."""

    captions: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+\.(txt|jsonl)$")]
    """File in `data` below `SALT_WEIGHTS`: a caption a line, or `{"caption": ..., "video": FILE}` a line."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of that file; None: any, and its own hash counts."""
    clips: PositiveInt
    """So many of its captions, from the first on; the eight after them are those of contact sheets."""


def weights_root() -> Path:
    """Where released weights and training data lie: `SALT_WEIGHTS`.

    Raises:
        SaltError: it is not set, or no folder.
    """
    stated = os.environ.get(WEIGHTS)
    if not stated or not Path(stated).is_dir():
        raise SaltError(
            f"{WEIGHTS}={stated or ''}: accepted: the folder that holds the released weights (docs/paper_scale.md)"
        )
    return Path(stated).absolute()
