"""What was found in a figure, in sentences that are made from the claims that it shows and from its records."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from salt.config.load import load_experiment
from salt.evaluation.cells import REAL, TEACHER, Cell, cells_of
from salt.report.page.judged import CHIPS, Measured, number
from salt.report.paper_claims import Claim
from salt.report.records import Records
from salt.report.suite import FigureSpec

NO_RECORD = "A drawing: it shows the method and no measurement."
MOST = 3
"""Statements that are told of one figure, the clearest first."""
NO_CLAIM = "The paper claims nothing that could be judged by this figure."


def found_in(spec: FigureSpec, measured: Sequence[Measured], records: Records, wanted: Sequence[int]) -> list[str]:
    """A sentence for each statement whose students and records the figure shows; else what its records say.

    Args:
        spec: of the figure.
        measured: all claims of the scale.
        records: of the scale.
        wanted: training seeds of the figure.
    """
    if not spec.uses:
        return [NO_RECORD]
    about: dict[str, list[Measured]] = {}
    for one in measured:
        if _shows(spec, one.claim):
            about.setdefault(one.claim.says, []).append(one)
    clearest = sorted(about.items(), key=lambda pair: -max(one.clear for one in pair[1]))
    sentences = [_sentence(says, ones) for says, ones in clearest[:MOST]]
    if len(clearest) > MOST:
        sentences.append(f"It shows {len(clearest) - MOST} more: {'; '.join(says for says, _ in clearest[MOST:])}.")
    return sentences or _of_records(spec, records, wanted) or [NO_CLAIM]


def _shows(spec: FigureSpec, claim: Claim) -> bool:
    """Whether a figure draws both students of a claim, as it compares them."""
    pair = (claim.method, claim.baseline)
    drawn = spec.nfe if claim.kind in ("scores", "modes") and "own" not in spec.nfe else ()
    return (
        claim.kind in spec.uses
        and claim.method.prompts != "short"
        and all(cell.experiment in spec.experiments and (not drawn or cell.nfe in drawn) for cell in pair)
    )


def _sentence(says: str, ones: Sequence[Measured]) -> str:
    """`SC-DMD ...: 5 of 7 not distinguishable, 2 against the paper; the clearest: Total: ... -0.60 [-1.38, +0.18]`."""
    counts = ", ".join(
        f"{CHIPS[verdict].text} in {count} of {len(ones)}"
        for verdict, count in Counter(one.verdict for one in ones).most_common()
    )
    if all(one.span is None for one in ones):
        return f"{says}: {counts}."
    clearest = max(ones, key=lambda one: one.clear)
    return f"{says}: {counts}. The clearest: {clearest.claim.measured}, {clearest.printed}."


def _of_records(spec: FigureSpec, records: Records, wanted: Sequence[int]) -> list[str]:
    """Of references, their Total; of caches and of any number of steps, what more of them change."""
    if "caches" in spec.uses:
        return _caches(spec, records, wanted)
    if "any_step" in spec.uses:
        return _any_step(spec, records, wanted)
    if "scores" not in spec.uses:
        return []
    totals = [
        f"{cell_title} {np.mean(records.values('scores', cell, [0], 'total')):.2f}"
        for name, cell_title in ((TEACHER, "the teacher"), (REAL, "real clips through the codec"))
        if name in (*spec.references, REAL) and records.seeds("scores", name, [0])
        for cell in cells_of(name, "", records.scale, 0)
        if cell.prompts == "extended"
    ]
    return [f"Total, of 100: {', '.join(totals)}."] if totals else []


def _caches(spec: FigureSpec, records: Records, wanted: Sequence[int]) -> list[str]:
    """Share of objects that the last chunk keeps, when its cache was made with the most steps and the fewest."""
    nfes = records.scale.evaluation.nfe
    told = []
    for name in spec.experiments:
        if not (seeds := records.seeds("caches", name, wanted)):
            continue
        there = set(records.tidy("caches", name, seeds)["metric"])
        steps = [nfe for nfe in nfes if f"objects@cache{nfe}" in there]
        if len(steps) > 1:
            cell = Cell(name, "extended", records.scale.evaluation.main_solver, steps[0])
            few, many = (
                100 * float(np.mean(records.values("caches", cell, seeds, f"objects@cache{nfe}")))
                for nfe in (steps[0], steps[-1])
            )
            label = load_experiment(name, records.scale.name).title
            told.append(f"{label} {number(many - few)} points ({few:.1f} to {many:.1f})")
    if not told:
        return []
    return [
        "What a chunk of the fewest steps gains in objects that are right when its cache was made with the most steps "
        f"instead of the fewest: {'; '.join(told)}."
    ]


def _any_step(spec: FigureSpec, records: Records, wanted: Sequence[int]) -> list[str]:
    """The energy distance of each student with the fewest evaluations, with four and with the most."""
    steps = [nfe for nfe in records.scale.any_step if nfe in (1, 4, records.scale.any_step[-1])]
    told = []
    for name in spec.experiments:
        if not (seeds := records.seeds("any_step", name, wanted)):
            continue
        experiment = load_experiment(name, records.scale.name)
        cells = [Cell(name, "extended", experiment.main_solver, nfe) for nfe in steps]
        means = [100 * np.mean(records.values("any_step", cell, seeds, "energy_distance")) for cell in cells]
        told.append(f"{experiment.label or experiment.title} {', '.join(f'{mean:.2f}' for mean in means)}")
    at = ", ".join(map(str, steps))
    return [f"Energy distance at {at} evaluations, of 100: {'; '.join(told)}."] if told else []
