"""Rule `lab_controls`: what the lab measures where the answer is known: exact teachers, exact maps, floors."""

from pathlib import Path

import pandas as pd

from salt.config import load_experiment, load_scale
from salt.evaluation.lab.controls import analytic_controls
from salt.stages.shared.devices import single_thread
from salt.stages.shared.records import write_csv

ROW = "dmd_8"
"""The experiment whose grids controls are sampled on: they are those of all students."""


def run(lab: str, out: Path) -> None:
    """Measure the controls of a scale of the lab, and of the one beside it.

    Args:
        lab: the scale's name.
        out: the records.
    """
    single_thread()
    scale = load_scale(lab)
    names = [lab] if scale.beside is None else [lab, scale.beside]
    tables = [analytic_controls(load_scale(name), load_experiment(ROW, name).grid.shift) for name in names]
    write_csv(pd.concat(tables, ignore_index=True), out)
