"""Which captions are shown side by side: by the rule, from scores whose differences are known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from salt.config.load import load_scale
from salt.config.scale import Scale
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.evaluation.vbench.board import DIMENSIONS
from salt.report.figure_context import FigureContext
from salt.report.records import Records
from salt.report.side_by_side import METRIC, Pair, cases, pairs
from salt.report.statistics import PromptScores, prompt_scores
from salt.report.suite import FigureSpec

TINY = load_scale("tiny")
PAIR = Pair("longlive", "salt_longlive", (0, 1))
IDS = [prompt.id for prompt in report_prompts(TINY.world, 11)]


@dataclass(frozen=True)
class Known:
    """In place of `Records`: one number per experiment, training seed, caption and sampling seed."""

    values: dict[str, np.ndarray]
    ids: dict[str, list[str]]
    scale: Scale = TINY
    folder: Path = Path("records")

    def prompt_scores(self, cell: Cell, seeds: tuple[int, ...]) -> PromptScores:
        assert (cell.prompts, cell.solver, cell.nfe) == ("extended", "cm", 4)
        values = self.values[cell.experiment]
        every = np.full((*values.shape, len(DIMENSIONS)), 7.0)  # every other dimension is noise to the rule
        every[..., list(DIMENSIONS).index(METRIC)] = values
        return prompt_scores(cell.experiment, seeds, self.ids[cell.experiment], tuple(DIMENSIONS), every)


def context(records: object, experiments: tuple[str, ...] = ("longlive", "salt_longlive")) -> FigureContext:
    spec = FigureSpec(title="", seeds=2, uses=("scores", "videos"), experiments=experiments, nfe=(2, 4))
    return FigureContext("fig4", spec, records, Path("videos"), (0, 1))


def known(gains: np.ndarray, ids: list[str] = IDS) -> Known:
    """Ours gains `gains` on each caption in the mean of 2 training and 2 sampling seeds, and not in any single one."""
    base = np.random.default_rng(0).uniform(0.1, 0.2, (2, len(gains), 2))
    spread = np.array([[0.03, -0.01], [0.02, -0.04]])[:, None]
    ours = base + gains[:, None] + spread
    return Known({"longlive": base, "salt_longlive": ours}, {"longlive": IDS, "salt_longlive": ids})


def test_the_captions_at_the_percentiles_of_the_difference_are_shown() -> None:
    gains = np.random.default_rng(1).permutation(np.arange(-3, 8) / 100)
    shown = cases(context(known(gains)), PAIR)
    assert [case.percentile for case in shown] == [10, 50, 90]
    assert [case.difference for case in shown] == pytest.approx([-2, 2, 6])
    assert [IDS.index(case.prompt.id) for case in shown] == [
        int(np.flatnonzero(gains == g)[0]) for g in (-0.02, 0.02, 0.06)
    ]


def test_equal_differences_keep_the_order_of_the_report_list() -> None:
    shown = cases(context(known(np.zeros(11))), PAIR)
    assert [case.prompt.id for case in shown] == [IDS[1], IDS[5], IDS[9]]


def test_scores_of_different_captions_are_refused() -> None:
    with pytest.raises(SaltError, match=r"longlive and salt_longlive were scored on different captions"):
        cases(context(known(np.zeros(11), [*IDS[:-1], "p0099"])), PAIR)


def test_only_whole_pairs_and_the_seeds_of_both_are_compared(make_records, tmp_path) -> None:
    writer = make_records(tmp_path / "records", prompts=8, nfe=(4,))
    names = ("longlive", "salt_longlive", "self_forcing", "salt_self_forcing")
    for name, seed in ((names[0], 0), (names[0], 1), (names[1], 1), (names[2], 0)):
        writer.scores(name, seed, [("cm", 4)])
    records = Records(writer.folder, TINY)
    assert pairs(context(records, names)) == [Pair("longlive", "salt_longlive", (1,))]
    with pytest.raises(SaltError, match=r"fig4 needs scores of both of a pair; accepted: self_forcing and salt_self_f"):
        pairs(context(records, names[2:]))
    with pytest.raises(SaltError, match=r"figures.fig4.experiments = longlive; accepted: pairs"):
        pairs(context(records, names[:1]))
