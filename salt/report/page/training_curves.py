"""Learning curves and cost for the page, from the records that `salt training-curves` made."""

from pathlib import Path

import pandas as pd

from salt.config.load import load_experiment
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.readers import read_table
from salt.report.page.content import Curve
from salt.report.training_curves import COLUMNS, SECONDS, UPDATES

HIGH, TALL = 46.0, 2.0
"""Of a plot of height 50: the lowest place, and the highest."""
MINUTE, HOUR = 60, 3600


def read_trainings(records: Path) -> pd.DataFrame | None:
    """All records of trainings; None where there are none.

    Raises:
        SaltError: a broken file.
    """
    frames = []
    for path in sorted(records.glob("*_curves.csv")):
        frames.append(read_table(path, COLUMNS, "as `salt training-curves` wrote it", numbers=COLUMNS[-2:]))
        if tuple(frames[-1].columns) != COLUMNS:
            raise SaltError(f"{path}: columns {', '.join(frames[-1].columns)}; accepted: {', '.join(COLUMNS)}")
    return pd.concat(frames, ignore_index=True) if frames else None


def spent(frame: pd.DataFrame | None) -> str:
    """What all trainings took together, as far as their weights say it."""
    if frame is None:
        return ""
    took = frame[frame["quantity"] == SECONDS]["value"]
    together = f"{len(took)} trainings took {took.sum() / HOUR:.1f} hours together, one after the other."
    return together if len(took) else ""


def cost_of(frame: pd.DataFrame | None, scale: Scale) -> tuple[tuple[str, ...], ...]:
    """Head and lines of a table: of each experiment the trainings, their updates, and the time of one."""
    if frame is None:
        return ()
    lines = []
    for name, part in frame.groupby("experiment", sort=False):
        value = part.groupby("quantity")["value"]
        updates, took = value.get_group(UPDATES), value.mean().get(SECONDS)
        minutes = "" if took is None else f"{took / MINUTE:.1f}"
        lines.append(
            (load_experiment(str(name), scale.name).title, str(len(updates)), f"{updates.max():,.0f}", minutes)
        )
    return (("Experiment", "Trainings", "Updates", "Minutes each"), *lines)


def curves_of(frame: pd.DataFrame | None, scale: Scale) -> tuple[Curve, ...]:
    """One plot for each experiment and quantity, of the mean over training seeds."""
    if frame is None:
        return ()
    logged = frame[~frame["quantity"].isin([SECONDS, UPDATES])]
    return tuple(
        _curve(load_experiment(str(name), scale.name).title, str(quantity), part.groupby("update")["value"].mean())
        for (name, quantity), part in logged.groupby(["experiment", "quantity"], sort=False)
    )


def _curve(experiment: str, quantity: str, mean: "pd.Series[float]") -> Curve:
    low, high, last = mean.min(), mean.max(), max(mean.index)
    span = (high - low) or 1.0
    points = " ".join(
        f"{100 * update / last:.1f},{HIGH - (HIGH - TALL) * (value - low) / span:.1f}"
        for update, value in zip(mean.index.tolist(), mean.tolist(), strict=True)
    )
    return Curve(experiment, quantity, points, f"{low:.3g}", f"{high:.3g}", f"{mean.iloc[-1]:.3g}")
