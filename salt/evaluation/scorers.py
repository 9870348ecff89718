"""Which scorer a scale has: the one place that decides it."""

from collections.abc import Sequence

from salt.config.scale import Scale
from salt.data.vbench_prompts import AnyPrompt
from salt.evaluation.groundtruth.ground_truth import GroundTruth
from salt.evaluation.lengths import Length, length_of_cells
from salt.evaluation.scorer import Scorer
from salt.evaluation.vbench.board import Board
from salt.evaluation.vbench.real_vbench import RealVBench


def scorer_of(scale: Scale, length: Length) -> Scorer:
    """The scorer of a scale's videos of one length."""
    if (vbench := length.vbench) is not None:
        return RealVBench(scale, length, vbench)
    return GroundTruth(scale, length)


def board_of(scale: Scale) -> Board:
    """The board of a scale's videos of training length."""
    return scorer_of(scale, length_of_cells(scale, long=False)).board


def evaluation_prompts(scale: Scale, long: bool = False) -> Sequence[AnyPrompt]:
    """The prompts whose videos, of training length or `long`, are sampled and scored; see `Scorer.prompts`."""
    return scorer_of(scale, length_of_cells(scale, long)).prompts()


def diagnosed_prompts(scale: Scale) -> Sequence[AnyPrompt]:
    """The prompts of `salt defect` and `salt caches`; see `Scorer.diagnosed`."""
    return scorer_of(scale, length_of_cells(scale, long=False)).diagnosed()
