"""Whether the scorer of a scale sees what is spoilt on purpose: the state of its controls, from `controls.csv`."""

from pathlib import Path

import pandas as pd

from salt.errors import SaltError
from salt.evaluation.groundtruth.corruptions import CLEAR, CONTROLS, misses
from salt.evaluation.vbench.board import DIMENSIONS, normalise
from salt.report.metrics import title
from salt.report.page.content import Controls
from salt.report.page.markup import markdown_to_html
from salt.report.records import read_measurements
from salt.report.render import markdown_lines

HOW = (
    f"Real clips are spoilt in one way each. What that must hurt has to fall by more than {CLEAR:g} points of VBench's "
    "range, and all else has to stay within as much of real clips, but for what may change for a stated reason."
)


def controls_of_scale(records: Path) -> Controls:
    """Judge the controls.

    Args:
        records: `results/{scale}/records`; without a `controls.csv` nothing is known.

    Raises:
        SaltError: a broken file.
    """
    path = records / "controls.csv"
    if not path.exists():
        return Controls("The controls of this scale's scorer are not measured here.", None)
    scores = _percent(read_measurements(path))
    for name in CONTROLS:
        if {*scores.get(name, ())} != {*DIMENSIONS}:
            accepted = "accepted: as `salt score-controls` writes it now"
            raise SaltError(f"{path}: control_{name} is not in it as a whole; {accepted}")
    wrong = {name: misses(name, scores[name], scores["real"]) for name in CONTROLS if name != "real"}
    failures = tuple(
        f"{CONTROLS[name].title}: {', '.join(map(title, found))}" for name, found in wrong.items() if found
    )
    held = f"{len(wrong) - len(failures)} of {len(wrong)} controls hold"
    said = f"The scorer sees what is spoilt on purpose: {held}." if not failures else f"The scorer fails: {held}."
    return Controls(said, not failures, failures, markdown_to_html(_table(scores, wrong)))


def _percent(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Control -> dimension -> its mean in percent of VBench's range."""
    frame = frame[frame["metric"].isin(DIMENSIONS)]
    return {
        str(name).removeprefix("control_"): {
            metric: 100 * normalise(metric, value)
            for metric, value in zip(part["metric"].tolist(), part["value"].tolist(), strict=True)
        }
        for name, part in frame.groupby("experiment", sort=False)
    }


def _table(scores: dict[str, dict[str, float]], wrong: dict[str, list[str]]) -> str:
    head = ["Real clips are", "Must fall", "By at least", "Holds"]
    rows = []
    for name, dimensions in wrong.items():
        falls = CONTROLS[name].falls
        least = min(scores["real"][dimension] - scores[name][dimension] for dimension in falls)
        holds = "no" if dimensions else "yes"
        names = "everything" if set(falls) == set(DIMENSIONS) else ", ".join(map(title, falls))
        rows.append([CONTROLS[name].title, names, f"{least:.1f}", f"**{holds}**"])
    return "\n\n".join([HOW, "\n".join(markdown_lines(head, rows, texts=(0, 1, 3)))])
