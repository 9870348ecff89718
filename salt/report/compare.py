"""Two students beside each other: what their configurations differ in, and what their scores differ by.

Scores are compared as tables do it: the same captions and sampling seeds, paired by training seed, with intervals.
"""

from pathlib import Path

from salt.config.hashing import differences
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.report.metrics import title
from salt.report.records import Records
from salt.report.statistics import Interval
from salt.report.tables import differences as score_differences
from salt.report.tables import mode_differences

NAMES = {"name", "title", "about"}
"""Of the configuration: what is different of all."""


def configurations(one: Experiment, other: Experiment) -> list[str]:
    """Every key in which two experiments differ, with both values."""
    dumped = [experiment.model_dump(mode="json", exclude=NAMES) for experiment in (one, other)]
    return [
        line.replace("(there ", f"({one.name} ").replace(", now ", f", {other.name} ") for line in differences(*dumped)
    ]


def scores(one: Experiment, other: Experiment, folder: Path) -> list[str]:
    """A line for each metric of each cell that both have, `one` minus `other`, with its interval.

    Raises:
        SaltError: they have no training seed in common that was scored.
    """
    records, scale = Records(folder, one.scale), one.scale
    wanted = range(scale.training_seeds)
    seeds = [seed for seed in wanted if all(records.seeds("scores", each.name, [seed]) for each in (one, other))]
    if not seeds:
        raise SaltError(
            f"{folder}: no training seed of which {one.name} and {other.name} both have scores; accepted: after "
            f"`snakemake ablation_{one.name} ablation_{other.name} --config scale={scale.name}`"
        )
    named = f"{one.name} - {other.name}, training seeds {', '.join(map(str, seeds))}"
    lines = [f"{named}; * its interval excludes 0, not adjusted for the number of metrics"]
    for nfe in scale.evaluation.nfe:
        pair = [Cell(each.name, "extended", scale.evaluation.main_solver, nfe) for each in (one, other)]
        found = score_differences(records, *pair, tuple(seeds))
        if all(records.seeds("modes", each.name, seeds) == tuple(seeds) for each in (one, other)):
            found |= mode_differences(records, *pair, tuple(seeds))
        lines += [f"  {nfe:>3} steps  {title(metric):<24} {told(interval)}" for metric, interval in found.items()]
    return lines


def told(interval: Interval) -> str:
    """`+1.23 [+0.40, +2.06] *`."""
    if not interval.bounded:
        return f"{interval.estimate:+9.3f}"
    clear = " *" if interval.low > 0 or interval.high < 0 else ""
    return f"{interval.estimate:+9.3f} [{interval.low:+.3f}, {interval.high:+.3f}]{clear}"
