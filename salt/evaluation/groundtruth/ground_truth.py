"""The ground-truth scorer of a scale: prompts of the world's report split, scored by `salt.evaluation.groundtruth`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from salt.config.scale import Scale
from salt.data.prompts import OwnPrompt, Prompt, prompts_hash, report_prompts
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import ModelCell
from salt.evaluation.groundtruth import scorer
from salt.evaluation.groundtruth.folder import records, score_folder, write_cell
from salt.evaluation.lengths import Length
from salt.evaluation.scorer import digest, low_precision
from salt.evaluation.vbench.board import TEXT, Board, image_board
from salt.evaluation.vbench.view import DimensionJob
from salt.evaluation.video import encoder


@dataclass(frozen=True)
class GroundTruth:
    """`salt.evaluation.scorer.Scorer` of the procedural world."""

    scale: Scale
    length: Length

    truth = True

    @property
    def board(self) -> Board:
        """VBench's, or VBench-I2V's; the world has no camera whose motion could be scored."""
        return image_board("leaderboard", camera=False) if self.scale.image_to_video else TEXT

    def prompts(self) -> Sequence[Prompt]:
        """The first prompts of the report split, in which kinds alternate."""
        return report_prompts(self.scale.world, self.length.prompts)

    def diagnosed(self) -> Sequence[Prompt]:
        """The first prompts of the report split."""
        return report_prompts(self.scale.world, self.scale.evaluation.defect_samples)

    def seeds(self, prompt: AnyPrompt | OwnPrompt) -> Sequence[int]:
        """The seeds of the scale."""
        return self.scale.evaluation.seeds

    def image(self, prompt: AnyPrompt) -> Path | None:
        """None: first frames are those of held-out clips."""
        return None

    def protocol(self) -> str:
        """Hash of prompts, seeds, videos, encoder, scorer and precision; of the board too if there are first frames."""
        world, evaluation, board = self.scale.world, self.scale.evaluation, self.board
        begins = {} if board is TEXT else {"board": [*board.dimensions], "first frame": "of a held-out clip"}
        width = world.size * world.video_scale
        decides = {
            "scorer": [scorer.SCORER, scorer.VERSION],
            "prompts": prompts_hash(self.prompts()),
            "seeds": evaluation.seeds,
            "video": [world.size, world.frames, world.video_scale, world.fps, encoder(width)],
        }
        return digest(decides | low_precision(evaluation) | begins | self.length.decides())

    def jobs(
        self, cell: ModelCell, videos: Path, details: Path, part: tuple[int, int], device: str
    ) -> list[DimensionJob]:
        """Refused: `score` needs no jobs before it."""
        raise SaltError(
            f"experiments/scales/{self.scale.name}.yaml: evaluation.vbench is missing; accepted: a mapping, as paper "
            "has"
        )

    def score(
        self, cell: ModelCell, videos: Path, details: Path, provenance: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Score every video of the cell."""
        scores = score_folder(
            videos / cell.name,
            self.prompts(),
            cell.variant,
            self.scale.evaluation.seeds,
            self.scale.world,
            self.protocol(),
            self.length.clips,
            self.board,
        )
        write_cell(details, cell, scores, provenance)
        return records(cell, scores), scores.wide

    def describe(self) -> str:
        """Empty: the protocol hash identifies its settings."""
        return ""

    def require_clips(self, what: str) -> None:
        """Accept: there are clips of every prompt."""
