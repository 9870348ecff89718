"""What a scorer is: who says which prompts are evaluated, by which protocol, and what their videos score.

Two are known, `GroundTruth` and `RealVBench`; which of them a scale has is decided in `salt.evaluation.scorers` alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from salt.config.scale import Evaluation, Scale
from salt.data.prompts import OwnPrompt
from salt.data.vbench_prompts import AnyPrompt
from salt.digest import SHORT, json_digest
from salt.evaluation.cells import ModelCell
from salt.evaluation.lengths import Length
from salt.evaluation.vbench.board import Board
from salt.evaluation.vbench.view import Job


class Scorer(Protocol):
    """Scores the cells of one scale and one length."""

    @property
    def scale(self) -> Scale:
        """Whose videos are scored."""
        ...

    @property
    def length(self) -> Length:
        """That the videos have."""
        ...

    @property
    def truth(self) -> bool:
        """Whether it is known what every frame must show, so that clips of the prompts exist."""
        ...

    @property
    def board(self) -> Board:
        """The dimensions, and how they are counted."""
        ...

    def prompts(self) -> Sequence[AnyPrompt]:
        """Those of which videos are made and scored: the first ones of the list.

        Raises:
            SaltError: the list is missing, another one, or too short.
        """
        ...

    def diagnosed(self) -> Sequence[AnyPrompt]:
        """The `evaluation.defect_samples` that diagnostics start from, the same for all students.

        Raises:
            SaltError: as of `prompts`, or it has fewer.
        """
        ...

    def seeds(self, prompt: AnyPrompt | OwnPrompt) -> Sequence[int]:
        """The sampling seeds of a prompt's videos."""
        ...

    def image(self, prompt: AnyPrompt) -> Path | None:
        """The file of the first frame that belongs to a prompt; None: it has none."""
        ...

    def protocol(self) -> str:
        """12 hexadecimal digits of all that decides a score besides the model."""
        ...

    def jobs(self, cell: ModelCell, videos: Path, details: Path, part: tuple[int, int], device: str) -> list[Job]:
        """What is scored by jobs of its own before `score`, one a dimension.

        Raises:
            SaltError: it has no such jobs.
        """
        ...

    def score(
        self, cell: ModelCell, videos: Path, details: Path, provenance: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Score one cell.

        Args:
            cell: what was sampled.
            videos: folder of all cells.
            details: gets the results in VBench's layout.
            provenance: goes beside them.

        Returns:
            Tidy records, columns `RECORD_COLUMNS`; and a row a video, a column a dimension, raw, NaN where not scored.
        """
        ...

    def describe(self) -> str:
        """The scorer's own settings in words, as tables print them; empty: there are none."""
        ...

    def require_clips(self, what: str) -> None:
        """Refuse `what`, which needs clips of the prompts, where there are none.

        Raises:
            SaltError: the prompts are texts alone.
        """
        ...


def digest(decides: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of all that decides a measurement."""
    return json_digest(decides)[:SHORT]


def low_precision(evaluation: Evaluation) -> dict[str, Any]:
    """`precision` as a protocol counts it: nothing in float32, so that hashes from before there was a choice stand."""
    return evaluation.model_dump(include={"precision"})


def size_of_vae(scale: Scale) -> dict[str, Any]:
    """The size of videos of a scale with a VAE as a protocol counts it; others are sized by their world."""
    return scale.model_dump(include={"vae"})
