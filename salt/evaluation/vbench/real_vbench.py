"""The real VBench as the scorer of a scale: its prompts, a job for each dimension, and records of their results."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from salt.config.scale import Scale
from salt.config.vbench import FILTERED_SAMPLES, VBench, vbench_folder
from salt.data.prompts import OwnPrompt, Prompt, prompts_hash
from salt.data.vbench_prompts import AnyPrompt, VBenchPrompt, read_vbench_prompts
from salt.errors import SaltError
from salt.evaluation.cells import ModelCell
from salt.evaluation.lengths import Length
from salt.evaluation.scorer import digest, low_precision, size_of_vae
from salt.evaluation.vbench.board import TEXT, Board, image_board
from salt.evaluation.vbench.records import gather, vbench_records, vbench_wide
from salt.evaluation.vbench.results import Scored, write_results
from salt.evaluation.vbench.view import DimensionJob
from salt.evaluation.video import ENCODER, encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RealVBench:
    """The `salt.evaluation.scorer.Scorer` of scales that have `evaluation.vbench`."""

    scale: Scale
    length: Length
    vbench: VBench

    truth = False

    @property
    def board(self) -> Board:
        """The board of the suite."""
        return image_board(self.vbench.i2v_formula) if self.vbench.suite == "i2v" else TEXT

    def prompts(self) -> Sequence[VBenchPrompt]:
        """The first prompts of VBench's list.

        Raises:
            SaltError: the list is missing below `vbench_folder`, is not the protocol's, or is too short.
        """
        every = read_vbench_prompts(vbench_folder() / "prompts", self.vbench)
        if len(every) < self.length.prompts:
            raise SaltError(
                f"{vbench_folder() / 'prompts' / self.vbench.prompt_list}: {len(every)} prompts; accepted: "
                f"{self.length.prompts} or more, as scale.evaluation says"
            )
        return every[: self.length.prompts]

    def diagnosed(self) -> Sequence[VBenchPrompt]:
        """Evenly spaced members of `prompts`, since VBench's list is ordered by dimension."""
        count, every = self.scale.evaluation.defect_samples, self.prompts()
        if len(every) < count:
            raise SaltError(f"evaluation.defect_samples={count}: accepted: up to evaluation.prompts={len(every)}")
        return [every[i * len(every) // count] for i in range(count)]

    def seeds(self, prompt: AnyPrompt | OwnPrompt) -> Sequence[int]:
        """The seeds of the scale; more if VBench's static filter chooses among videos."""
        asked = prompt.asked if isinstance(prompt, VBenchPrompt) else ()
        if self.vbench.flicker == "filtered" and "temporal_flickering" in asked:
            return range(FILTERED_SAMPLES)
        return self.scale.evaluation.seeds

    def image(self, prompt: AnyPrompt) -> Path | None:
        """The crop of VBench-I2V's image that the protocol names."""
        if isinstance(prompt, Prompt) or prompt.image is None:
            return None
        return vbench_folder() / "images" / self.vbench.image_ratio / prompt.image

    def protocol(self) -> str:
        """Hash of prompts, seeds, videos, encoder, all of VBench's settings, and precision."""
        evaluation, world = self.scale.evaluation, self.scale.world
        decides = {
            "scorer": ["vbench", self.vbench.model_dump(mode="json")],
            "prompts": prompts_hash(self.prompts()),
            "seeds": evaluation.seeds,
            "video": [world.frames, self.length.clips, world.fps, encoder(self.scale.video_size[1])],
        }
        return digest(decides | size_of_vae(self.scale) | low_precision(evaluation))

    def jobs(
        self, cell: ModelCell, videos: Path, details: Path, part: tuple[int, int], device: str
    ) -> list[DimensionJob]:
        """One job for each dimension of the protocol; its files are written to `details/{cell}`."""
        prompts, protocol, seeds = self.prompts(), self.protocol(), self.scale.evaluation.seeds
        return [
            DimensionJob(
                name, self.vbench, protocol, prompts, seeds, videos / cell.name, details / cell.name, part, device
            )
            for name in self.vbench.dimensions()
        ]

    def score(
        self, cell: ModelCell, videos: Path, details: Path, provenance: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Gather the results of a cell's dimensions into one file and into records."""
        return self.recorded(cell, gather(self.jobs(cell, videos, details, (0, 1), "cpu")), details, provenance)

    def recorded(
        self, cell: ModelCell, scored: Scored, details: Path, provenance: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Write the results of a cell into one file, and return its records, as `score`."""
        whole = Scored(scored.results, {**provenance, **cell.columns(), **scored.provenance})
        write_results(details / f"{cell.name}_eval_results.json", whole)
        for name, reason in scored.provenance["absent"].items():
            log.warning("%s: %s is ABSENT, and every score that it enters: %s", cell.name, name, reason)
        wide = vbench_wide(scored, self.prompts(), self.scale.evaluation.seeds, self.vbench)
        return vbench_records(cell, scored, self.board), wide

    def describe(self) -> str:
        """VBench's settings."""
        samples, codec = len(self.scale.evaluation.seeds), f"H.264 crf {ENCODER['crf']}"
        return self.vbench.describe(samples, self.scale.world.fps, codec)

    def require_clips(self, what: str) -> None:
        """Refuse: there are no clips."""
        raise SaltError(f"{what}: there are no clips of VBench's prompts; accepted: a scale of the ground-truth scorer")
