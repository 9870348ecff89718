"""What the lab's tables say of where their numbers come from."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from salt.config.lab_claims import LabCell
from salt.report.lab.measured import Floor, Measured
from salt.report.lab.verdicts import Judgement


def provenance(judgement: Judgement) -> list[str]:
    """As sentences, the warning first: scale, seeds, n, protocol, the plan's age, floors, what is lost or not run."""
    lab, records = judgement.lab, judgement.records
    judged = (*judgement.explore, *judgement.confirm)
    samples = sorted({n for one in judged for n in one.samples})
    protocols = ", ".join(f"{world}: {protocol}" for world, protocol in records.protocols.items())
    return [
        *([] if lab.meaningful else [f"{lab.name}: numbers mean nothing."]),
        f"Scale: {lab.name}. Explored seeds: {_seeds(records.explore)}. Confirming seeds: {_seeds(records.confirm)}.",
        f"Samples of each caption and member: {', '.join(map(str, samples)) or 'none'}. Protocol: {protocols}.",
        *judgement.plan.lines(records.confirm.runs),
        f"Floors, truth against truth at equal n, mean and range of 95 % of the repeats: {_floors(judgement)}.",
        f"Diverged, and left out with their seed: {_lost(records.explore, records.confirm)}.",
        f"Confirming seeds not run: {_missing(judgement)}.",
        f"Not run: {_not_run(judgement)}.",
    ]


def ranges(numbers: Iterable[int]) -> str:
    """`0-15, 100-131`."""
    found = []
    for _, run in groupby(enumerate(sorted({*numbers})), lambda pair: pair[1] - pair[0]):
        part = [number for _, number in run]
        found.append(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}")
    return ", ".join(found)


def _seeds(measured: Measured) -> str:
    return ranges(seed for run in measured.runs for seed in run.seeds) or "none"


def _floors(judgement: Judgement) -> str:
    """Of every metric that a claim measures, once."""
    found: dict[str, Floor | None] = {}
    records = judgement.records
    for phase, judged in ((records.explore, judgement.explore), (records.confirm, judgement.confirm)):
        for one in judged:
            for cell, floor in zip(one.claim.cells, one.floors, strict=False):
                found.setdefault(_measure(cell, phase.world(cell)), floor)
    return "; ".join(f"{name} {_floor(floor)}" for name, floor in sorted(found.items())) or "none"


def _measure(cell: LabCell, world: str) -> str:
    return f"{cell.metric} ({world}{f', chunk {cell.chunk}' if cell.chunk else ''})"


def _floor(floor: Floor | None) -> str:
    if floor is None:
        return "has none"
    return f"{floor.mean:.4g} [{floor.low:.4g}, {floor.high:.4g}] (n {floor.n}, {floor.repeats} repeats)"


def _lost(*phases: Measured) -> str:
    """Every arm with seeds that are lost."""
    found = [
        f"{arm} {ranges(seeds)}"
        for phase in phases
        for arm, seeds in phase.lost(arm for run in phase.runs for arm in run.info.lost).items()
    ]
    return "; ".join(found) or "none"


def _missing(judgement: Judgement) -> str:
    """Of the arms in claims: confirming seeds that are neither measured nor lost."""
    measured, found = judgement.records.confirm, []
    wanted = {*judgement.lab.confirm}
    for arm in dict.fromkeys(cell.arm for one in judgement.confirm for cell in one.claim.cells):
        if arm in measured.arms and (missing := wanted - {*measured.seeds(arm), *measured.lost([arm]).get(arm, ())}):
            found.append(f"{arm} {ranges(missing)}")
    return "; ".join(found) or ("none" if measured.runs else "all")


def _not_run(judgement: Judgement) -> str:
    """Arms of claims and controls that are nowhere measured."""
    records = judgement.records
    contrasts: Sequence[Sequence[LabCell]] = [
        *(tested.control.cells for tested in judgement.controls),
        *(one.claim.cells for one in judgement.confirm),
    ]
    every = dict.fromkeys(cell.arm for cells in contrasts for cell in cells)
    there = records.explore.arms | records.confirm.arms | records.controls.arms
    return ", ".join(arm for arm in every if arm not in there) or "nothing"
