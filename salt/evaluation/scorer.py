"""The interface of scorers: which prompts are evaluated, by which protocol, and the scores of their videos.

There are two, `GroundTruth` and `RealVBench`; `salt.evaluation.scorers` alone decides which of them a scale has.
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
from salt.evaluation.vbench.view import DimensionJob


class Scorer(Protocol):
    """Scores the cells of one scale and one length."""

    @property
    def scale(self) -> Scale:
        """The scale whose videos are scored."""
        ...

    @property
    def length(self) -> Length:
        """The length of the videos."""
        ...

    @property
    def truth(self) -> bool:
        """Whether the content of every frame is known, so that there are real clips of the prompts."""
        ...

    @property
    def board(self) -> Board:
        """The dimensions, and how they are aggregated."""
        ...

    def prompts(self) -> Sequence[AnyPrompt]:
        """The prompts whose videos are sampled and scored: the first ones of the list.

        Raises:
            SaltError: the list is missing, not the expected one, or too short.
        """
        ...

    def diagnosed(self) -> Sequence[AnyPrompt]:
        """The `evaluation.defect_samples` prompts of diagnostics, the same for all students.

        Raises:
            SaltError: as for `prompts`, or there are too few prompts.
        """
        ...

    def seeds(self, prompt: AnyPrompt | OwnPrompt) -> Sequence[int]:
        """The sampling seeds of a prompt's videos."""
        ...

    def image(self, prompt: AnyPrompt) -> Path | None:
        """The image file that is a prompt's first frame; None: it has none."""
        ...

    def protocol(self) -> str:
        """12 hexadecimal digits that identify everything that determines a score, besides the model."""
        ...

    def jobs(
        self, cell: ModelCell, videos: Path, details: Path, part: tuple[int, int], device: str
    ) -> list[DimensionJob]:
        """The jobs, one per dimension, that must be run before `score`.

        Raises:
            SaltError: this scorer has no such jobs.
        """
        ...

    def score(
        self, cell: ModelCell, videos: Path, details: Path, provenance: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Score one cell.

        Args:
            cell: the cell.
            videos: folder of all cells.
            details: folder for results in VBench's layout.
            provenance: written beside them.

        Returns:
            Tidy records with columns `RECORD_COLUMNS`; and raw scores, a row per video and a column per dimension, NaN
            where a video is not scored.
        """
        ...

    def describe(self) -> str:
        """The scorer's own settings in words, for tables; empty: there are none."""
        ...

    def require_clips(self, what: str) -> None:
        """Refuse `what`, which needs real clips of the prompts, if there are none.

        Raises:
            SaltError: the prompts are captions alone.
        """
        ...


def digest(decides: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that identify everything that determines a measurement."""
    return json_digest(decides)[:SHORT]


def low_precision(evaluation: Evaluation) -> dict[str, Any]:
    """`precision` as it enters a protocol: absent if float32, so that hashes older than this setting stay valid."""
    return evaluation.model_dump(include={"precision"})


def size_of_vae(scale: Scale) -> dict[str, Any]:
    """The size of videos at a scale with a VAE, as it enters a protocol; elsewhere the world determines it."""
    return scale.model_dump(include={"vae"})
