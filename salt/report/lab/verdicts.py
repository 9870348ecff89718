"""Controls and claims of the lab: effects over seeds, and what they decide.

An effect is the mean over seeds of a contrast, which is taken seed by seed: all cells of a seed share initial networks
and noise. Its interval is Student's t; the p values of a phase are corrected after Holm for all claims of the file,
those that could not be measured among them, so that nothing is gained by leaving one out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from salt.config.lab_arms import PLAN
from salt.config.lab_claims import CONTROL_LEVEL, Contrast, Control, LabCell, LabClaim, LabClaims
from salt.report.lab.measured import Floor, LabRecords, Measured
from salt.report.lab.plan import Lab, Plan, read_plan
from salt.report.lab.records import read_lab
from salt.report.statistics import (
    Interval,
    halves_interval,
    holm,
    minimum_detectable_difference,
    seed_interval,
    two_sided_p,
)

Verdict = Literal[
    "holds",
    "holds, below the smallest effect",
    "opposite",
    "absent",
    "not resolved",
    "saturated",
    "no verdict",
]
FEWEST = 3
"""Seeds, below which nothing is decided."""
RULE = """\
* holds, opposite: significant after Holm's correction over all claims, on the predicted side of 0, or on the other;
* holds, below the smallest effect: significant on the predicted side, and the whole interval is within the smallest
  effect of 0, on both sides;
* absent: not significant, and the whole interval is within the smallest effect of 0;
* not resolved: anything else. More seeds would be needed;
* saturated: the mean of every cell lies in the range of its floor, truth against truth at equal n: there is nothing
  to tell apart;
* no verdict: a control fails, the plan is not what the confirming runs saw, fewer than three seeds, not run, or a
  scale whose numbers mean nothing."""


@dataclass(frozen=True)
class Tested:
    """A control and what became of it."""

    name: str
    control: Control
    interval: Interval | None
    """Of level .999; None: not measured."""
    seeds: tuple[int, ...]
    """Or repeats."""
    why_not: str
    """Why it fails; empty: it holds."""

    @property
    def holds(self) -> bool:
        """Whether the instrument shows what is known to be there."""
        return not self.why_not


@dataclass(frozen=True)
class Judged:
    """A claim in one phase, and what became of it."""

    name: str
    claim: LabClaim
    lost: dict[str, tuple[int, ...]]
    """Of its arms: seeds that diverged."""
    reason: str = ""
    """Of no verdict."""
    verdict: Verdict = "no verdict"
    interval: Interval | None = None
    """None: not measured."""
    seeds: tuple[int, ...] = ()
    samples: tuple[int, ...] = ()
    """n of its cells."""
    means: tuple[float, ...] = ()
    """Of its cells, over the seeds."""
    floors: tuple[Floor | None, ...] = ()
    """Of its cells."""
    p: float | None = None
    adjusted: float | None = None
    """After Holm, over the family."""

    @property
    def detectable(self) -> float | None:
        """The true effect that these seeds find four times in five, before correction."""
        if self.interval is None or not self.interval.bounded:
            return None
        return minimum_detectable_difference(self.interval)

    @property
    def saturated(self) -> bool:
        """Whether every cell is as good as the truth is against itself."""
        return bool(self.means) and all(
            floor is not None and floor.low <= mean <= floor.high
            for mean, floor in zip(self.means, self.floors, strict=True)
        )


@dataclass(frozen=True)
class Judgement:
    """Everything that the lab decides."""

    lab: Lab
    claims: LabClaims
    records: LabRecords
    plan: Plan
    controls: tuple[Tested, ...]
    explore: tuple[Judged, ...]
    confirm: tuple[Judged, ...]

    @property
    def failed(self) -> tuple[Tested, ...]:
        """The controls that fail."""
        return tuple(tested for tested in self.controls if not tested.holds)


def judge_lab(lab: Lab, claims: LabClaims, folder: Path, name: str = PLAN) -> Judgement:
    """Test the controls, then judge every claim in both phases.

    Args:
        lab: whose records these are.
        claims: the plan.
        folder: `results/lab/records`.
        name: stem of the plan's file.

    Raises:
        SaltError: broken records, or a cell that was not measured although its arm was.
    """
    records = read_lab(folder, lab.explore, lab.confirm)
    plan = read_plan(records.confirm.runs, name)
    controls = tuple(try_control(name, control, records, lab) for name, control in claims.controls.items())
    failed = [tested.name for tested in controls if not tested.holds]
    why_not = f"control failed: {', '.join(failed)}" if failed else ""
    if not lab.meaningful:
        why_not = f"{lab.name}: numbers mean nothing"
    explore = judge(claims, records, records.explore, lab, why_not)
    confirm = judge(claims, records, records.confirm, lab, why_not or plan.why_not)
    return Judgement(lab, claims, records, plan, controls, explore, confirm)


# ------------------------------------------------------------------------------------------------- controls
def try_control(name: str, control: Control, records: LabRecords, lab: Lab) -> Tested:
    """Measure a control, and say whether it holds."""
    measured = records.phase_of(control.cells[0])
    if absent := _absent(control, measured, lab):
        return Tested(name, control, None, (), f"{absent} is not measured")
    seeds = _seeds(control, measured)
    if control.halves is None:
        if not seeds:
            return Tested(name, control, None, (), "no seed that all its cells have")
        interval = seed_interval(effects(control, measured, seeds), level=CONTROL_LEVEL)
    else:
        halves = [[seed for seed in seeds if seed % 2 == odd] for odd in (0, 1)]
        if not all(halves):
            return Tested(name, control, None, seeds, "no seeds in one of the halves")
        even, odd = (measured.values(control.halves, half) for half in halves)
        interval = halves_interval(even, odd, level=CONTROL_LEVEL)
    return Tested(name, control, interval, seeds, _fails(control, interval))


def _fails(control: Control, interval: Interval) -> str:
    """Why a control fails; empty where it holds."""
    if not interval.bounded:
        return "one seed says nothing of the spread"
    low, high, smallest = interval.low, interval.high, control.smallest or 0.0
    if control.kind == "improves":
        return "" if high < 0 else "the interval does not lie below 0"
    if control.kind == "worsens":
        return "" if low > 0 else "the interval does not lie above 0"
    if control.kind == "no_worse":
        return "" if high < smallest else "the interval does not end below the smallest effect"
    if not low <= 0 <= high:
        return "the interval does not include 0"
    return "" if -smallest < low and high < smallest else "the interval is not within the smallest effect"


# --------------------------------------------------------------------------------------------------- claims
def judge(claims: LabClaims, records: LabRecords, measured: Measured, lab: Lab, why_not: str) -> tuple[Judged, ...]:
    """Every claim in one phase; `why_not`: why none of them gets a verdict."""
    level = claims.family.level
    found = [_measure(name, claim, records, measured, lab, level) for name, claim in claims.claims.items()]
    adjusted = holm([1.0 if one.p is None else one.p for one in found])
    return tuple(_decide(one, float(p), why_not, 1 - level) for one, p in zip(found, adjusted, strict=True))


def verdict(interval: Interval, adjusted: float, claim: LabClaim, alpha: float) -> Verdict:
    """The rule, for an effect that is not saturated."""
    within = -claim.smallest < interval.low and interval.high < claim.smallest
    if adjusted > alpha:
        return "absent" if within else "not resolved"
    if np.sign(interval.estimate) != claim.side:
        return "opposite"
    return "holds, below the smallest effect" if within else "holds"


def effects(contrast: Contrast, measured: Measured, seeds: Sequence[int]) -> NDArray[np.float64]:
    """One effect a seed, `(R,)`: the sum of plus less the sum of minus."""
    plus, minus = (
        np.sum([measured.values(cell, seeds) for cell in cells], axis=0) for cells in (contrast.plus, contrast.minus)
    )
    difference: NDArray[np.float64] = plus - minus
    return difference


def _measure(name: str, claim: LabClaim, records: LabRecords, measured: Measured, lab: Lab, level: float) -> Judged:
    judged = Judged(name, claim, measured.lost(cell.arm for cell in claim.cells))
    if absent := _absent(claim, measured, lab):
        return replace(judged, reason=f"not run: {absent}" if measured.runs else "no runs yet")
    seeds = _seeds(claim, measured)
    if not seeds:
        return replace(judged, reason="no seed that all its cells have")
    interval = seed_interval(effects(claim, measured, seeds), level=level)
    few = f"{len(seeds)} seeds" if len(seeds) < FEWEST else ""
    return replace(
        judged,
        reason=few,
        interval=interval,
        seeds=seeds,
        samples=tuple(sorted({measured.samples(cell) for cell in claim.cells})),
        means=tuple(float(measured.values(cell, seeds).mean()) for cell in claim.cells),
        floors=tuple(records.floor(cell, measured) for cell in claim.cells),
        p=None if few else two_sided_p(interval),
    )


def _decide(one: Judged, adjusted: float, why_not: str, alpha: float) -> Judged:
    if one.p is None or one.interval is None:
        return replace(one, reason=one.reason if one.interval is None else why_not or one.reason)
    if why_not:
        return replace(one, adjusted=adjusted, reason=why_not)
    found = "saturated" if one.saturated else verdict(one.interval, adjusted, one.claim, alpha)
    return replace(one, adjusted=adjusted, verdict=found)


def _absent(contrast: Contrast, measured: Measured, lab: Lab) -> str:
    """The first arm that was not run; where numbers mean nothing, also one that lacks a cell."""
    for cell in contrast.cells:
        if cell.arm not in measured.arms or not (lab.meaningful or measured.has(cell)):
            return cell.arm
    return ""


def _seeds(contrast: Contrast, measured: Measured) -> tuple[int, ...]:
    """Those that all cells have: of what was measured, without the members that are lost."""
    return tuple(sorted(set.intersection(*({*measured.seeds(cell.arm)} for cell in contrast.cells))))


def cell_text(cell: LabCell, title: str) -> str:
    """`DMD-8 at 4`, and all that is not usual."""
    more = [
        "Euler" if cell.solver == "euler" else "",
        f"{cell.updates} updates" if cell.updates != "last" else "",
        f"chunk {cell.chunk}" if cell.chunk else "",
        f"cache of {cell.cache}" if cell.cache else "",
    ]
    told = ", ".join(part for part in more if part)
    return title + (f" at {cell.nfe}" if cell.nfe else "") + (f" ({told})" if told else "")
