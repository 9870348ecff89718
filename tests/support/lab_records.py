"""A repository with records of a lab whose effects are known. No result is here."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from salt.files import sha256
from salt.report.lab.plan import Lab

Row = dict[str, Any]
EXPLORE, CONFIRM = tuple(range(8)), tuple(range(100, 116))
LAB = Lab("lab", EXPLORE, CONFIRM)
FLOOR, FLOOR_SPREAD = 0.0125, 0.001
EFFECTS = {
    "up": (0.05, 0.01),
    "slight": (0.004, 0.002),
    "down": (-0.05, 0.01),
    "same": (0.0, 0.004),
    "vague": (0.004, 0.05),
}
"""Arm: mean and standard deviation, over seeds, of what it measures more than `base`."""
VERDICTS = {
    "up": "holds",
    "slight": "holds, below the smallest effect",
    "down": "opposite",
    "same": "absent",
    "vague": "not resolved",
    "perfect": "saturated",
}
ARMS = ("base", "one_step", *VERDICTS, "also_perfect")
CLAIM = (
    "  {arm}: {{text: {arm} is worse than {other}., source: Sec. 1, predicted: greater, smallest: 0.01, "
    "plus: [{{arm: {arm}, nfe: 4}}], minus: [{{arm: {other}, nfe: 4}}]}}\n"
)
PLAN = """\
metric: sliced_w1
controls:
  teacher:
    {text: The exact teacher improves., kind: improves,
     plus: [{arm: exact_teacher, nfe: 32, solver: euler}], minus: [{arm: exact_teacher, nfe: 4, solver: euler}]}
  map:
    {text: The exact map is not hurt., kind: no_worse, smallest: 0.01,
     plus: [{arm: exact_map, nfe: 16}], minus: [{arm: exact_map, nfe: 1}]}
  injected:
    {text: An injected error grows., kind: worsens,
     plus: [{arm: injected_error, nfe: 16}], minus: [{arm: injected_error, nfe: 1}]}
  closed_form:
    {text: It is what its closed form says., kind: matches, smallest: 0.01,
     plus: [{arm: injected_error, nfe: 16}], minus: [{arm: injected_error_closed_form, nfe: 16}]}
  one_step:
    {text: A student of one step gets worse., kind: worsens,
     plus: [{arm: one_step, nfe: 16}], minus: [{arm: one_step, nfe: 1}]}
  truth:
    {text: Two halves of the truth are alike., kind: nothing, smallest: 0.01,
     halves: {arm: truth, nfe: 0, solver: none}}
claims:
""" + "".join(CLAIM.format(arm=arm, other="also_perfect" if arm == "perfect" else "base") for arm in VERDICTS)
INFO = {"commit": None, "dirty": False, "finished": "2026-11-27T12:00:00+00:00", "seconds": 90.5, "lost": {}}


def spread(name: str, number: int, mean: float, sd: float) -> np.ndarray:
    """Numbers that have exactly this mean and standard deviation."""
    drawn = np.random.default_rng(crc32(name.encode())).normal(size=number)
    return mean + sd * (drawn - drawn.mean()) / drawn.std(ddof=1)


def rows(method: str, seeds: Sequence[int], values: Iterable[float], **changed: Any) -> list[Row]:
    """One measurement a seed."""
    usual = {
        **{"method": method, "experiment": method, "world": "mixture", "updates": 800, "nfe": 4, "solver": "cm"},
        **{"cache": 0, "chunk": 0, "metric": "sliced_w1", "n": 2048, "protocol": "lab-1 0123456789ab"},
    }
    return [
        {**usual, **changed, "seed": seed, "value": float(value)} for seed, value in zip(seeds, values, strict=True)
    ]


def of_arms(seeds: Sequence[int], phase: str) -> list[Row]:
    """Every arm of the plan, with the effects above."""
    number = len(seeds)
    base = spread(f"base {phase}", number, 0.1, 0.02)
    found = rows("base", seeds, base)
    for arm, (mean, sd) in EFFECTS.items():
        found += rows(arm, seeds, base + spread(f"{arm} {phase}", number, mean, sd))
    for arm in ("perfect", "also_perfect"):
        found += rows(arm, seeds, spread(f"{arm} {phase}", number, FLOOR, 0.0005))
    for nfe, mean in ((1, 0.1), (16, 0.2)):
        found += rows("one_step", seeds, spread(f"one {nfe} {phase}", number, mean, 0.01), nfe=nfe)
    return found


def of_nobody() -> list[Row]:
    """What nobody trains, 16 repeats each."""
    repeats = range(16)
    found = rows("truth", repeats, spread("truth", 16, FLOOR, FLOOR_SPREAD), nfe=0, solver="none", updates=0)
    for method, solver, means in (
        ("exact_teacher", "euler", {4: 0.08, 32: 0.02}),
        ("exact_map", "cm", {1: 0.0125, 16: 0.0125}),
        ("injected_error", "cm", {1: 0.1, 16: 0.4}),
        ("injected_error_closed_form", "cm", {16: 0.4}),
    ):
        for nfe, mean in means.items():
            values = spread(f"{method} {nfe}", 16, mean, FLOOR_SPREAD)
            found += rows(method, repeats, values, nfe=nfe, solver=solver, updates=0)
    return found


@dataclass
class LabFolder:
    """A root with `experiments/lab/claims.yaml`, the shipped `figures.yaml`, and `results/lab/records`."""

    root: Path
    plan: str = PLAN
    info: Row = field(default_factory=lambda: dict(INFO))

    def __post_init__(self) -> None:
        self.records.mkdir(parents=True)
        (self.root / "experiments" / "scales").mkdir(parents=True)
        self.write_plan(self.plan)
        shutil.copy(Path(__file__).parents[2] / "experiments" / "lab" / "figures.yaml", self.claims.parent)

    @property
    def records(self) -> Path:
        return self.root / "results" / "lab" / "records"

    @property
    def claims(self) -> Path:
        return self.root / "experiments" / "lab" / "claims.yaml"

    def write_plan(self, text: str) -> None:
        self.claims.parent.mkdir(exist_ok=True)
        self.claims.write_text(text)

    def write(self, name: str, found: Sequence[Row], **info: Any) -> None:
        """One set of arms: measurements, and what is known of the run."""
        pd.DataFrame(found).to_csv(self.records / f"{name}.csv.gz", index=False)
        told = {**self.info, "plan_sha256": sha256(self.claims), **info}
        (self.records / f"{name}.json").write_text(json.dumps(told))

    def write_controls(self, found: Sequence[Row]) -> None:
        pd.DataFrame(found).to_csv(self.records / "controls.csv", index=False)

    def write_all(self) -> None:
        self.write_controls(of_nobody())
        self.write("core_0-7", of_arms(EXPLORE, "explore"))
        for first in (100, 108):
            seeds = range(first, first + 8)
            chosen = [row for row in of_arms(CONFIRM, "confirm") if row["seed"] in seeds]
            self.write(f"core_{first}-{first + 7}", chosen)
