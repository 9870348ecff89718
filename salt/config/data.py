"""What students are trained on where it is not the procedural world."""

from typing import Annotated

from pydantic import Field, PositiveInt

from salt.config.base import Section
from salt.config.released import Below


class Data(Section):
    """Captions, and videos where there are some. A caption without one is shown by the guided teacher."""

    captions: Annotated[Below, Field(pattern=r"\.(txt|jsonl)$")]
    """File below `SALT_WEIGHTS`: a caption a line, or `{"caption": ..., "video": FILE}` a line."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of that file; None: any, and its own hash counts."""
    clips: PositiveInt
    """So many of its captions, from the first on; contact sheets show the eight after them, if there are any."""
