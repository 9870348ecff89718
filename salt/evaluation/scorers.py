"""Who scores a scale: the one place that decides it."""

from collections.abc import Sequence

from salt.config.scale import Scale
from salt.data.vbench_prompts import AnyPrompt
from salt.evaluation.groundtruth.ground_truth import GroundTruth
from salt.evaluation.lengths import Length, length_of_cells
from salt.evaluation.scorer import Scorer
from salt.evaluation.vbench.board import Board
from salt.evaluation.vbench.real_vbench import RealVBench


def scorer_of(scale: Scale, length: Length) -> Scorer:
    """The scorer of videos of a length at a scale."""
    if (vbench := length.vbench) is not None:
        return RealVBench(scale, length, vbench)
    return GroundTruth(scale, length)


def board_of(scale: Scale) -> Board:
    """What is scored of videos of training length at a scale."""
    return scorer_of(scale, length_of_cells(scale, long=False)).board


def evaluation_prompts(scale: Scale, long: bool = False) -> Sequence[AnyPrompt]:
    """The prompts of which videos are made and scored, of training length or `long`; see `Scorer.prompts`."""
    return scorer_of(scale, length_of_cells(scale, long)).prompts()


def diagnosed_prompts(scale: Scale) -> Sequence[AnyPrompt]:
    """The prompts that `salt defect` and `salt caches` start from; see `Scorer.diagnosed`."""
    return scorer_of(scale, length_of_cells(scale, long=False)).diagnosed()
