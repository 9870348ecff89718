"""Training data of scales without a procedural world."""

from typing import Annotated

from pydantic import Field, PositiveInt

from salt.config.base import Section
from salt.config.released import Below


class Data(Section):
    """Captions, with or without videos; for a caption without one, the guided teacher samples it."""

    captions: Annotated[Below, Field(pattern=r"\.(txt|jsonl)$")]
    """File below `SALT_WEIGHTS`: a caption a line, or `{"caption": ..., "video": FILE}` a line."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of that file; None: not checked, and the file's own hash is recorded."""
    clips: PositiveInt
    """Number of its captions that are used, from the first on; contact sheets use the eight after them, if any."""
