"""The tables: our mean over training seeds beside the paper's number, and differences with their intervals.

A table is read off `experiments/tables.yaml`, its records, and `experiments/paper_values.yaml`; nothing in it is typed.
Absolute numbers are not comparable with the paper's below the paper scale (another world, another scorer); signs of
differences are. All numbers are times 100.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from salt.config.load import load_experiment, load_scale
from salt.config.modes import DRIFT, MEASURES
from salt.config.paper import PaperValue, paper_values
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.evaluation.cells import REAL, TEACHER, Cell
from salt.evaluation.lengths import length_of_cells
from salt.evaluation.scorers import scorer_of
from salt.report.ceiling import saturated
from salt.report.metrics import all_metrics, metrics_of, percent
from salt.report.records import Kind, Provenance, Records, kind_of, one_protocol, read_measurements, released_in
from salt.report.render import write_table
from salt.report.statistics import LEVEL, RESAMPLES, Interval, paired_interval, seed_interval
from salt.report.suite import TableSpec, load_suite, table_spec
from salt.report.table_model import Comparison, Table, TableRow

METHOD = (
    f"{LEVEL:.0%} of differences on the same captions and sampling seeds, {RESAMPLES} caption resamples; with two or "
    "more training seeds paired by seed and joined with their spread (Student's t), with one they cover captions only"
)

MODES_METHOD = "; of measures of distributions over training seeds alone, paired, Student's t"


def make_table(name: str, scale: str, records_dir: Path, seeds: int | None, out_dir: Path) -> list[Path]:
    """Write `{name}.csv`, `.md` and `.tex`; the same records give the same bytes.

    Args:
        name: a table of `experiments/tables.yaml`.
        scale: whose records these are.
        records_dir: `results/{scale}/records`.
        seeds: number of training seeds; None: as `experiments/tables.yaml` says.
        out_dir: made where it is missing.

    Raises:
        SaltError: an unknown table, no records at all, broken records, or records of different protocols.
    """
    table = build_table(name, Records(records_dir, load_scale(scale)), seeds)
    out_dir.mkdir(parents=True, exist_ok=True)
    return write_table(table, out_dir)


def build_table(name: str, records: Records, seeds: int | None = None) -> Table:
    """Everything that a table prints, from its records."""
    spec = table_spec(name, records.scale)
    if "controls" in spec.uses:
        return _controls(name, spec, records)
    wanted = tuple(range(seeds if seeds is not None else spec.seeds))
    metrics = spec.columns or metrics_of(records.board)
    paper = [value for value in paper_values() if value.table == name]
    students = [
        _student(records, paper, load_experiment(row.experiment, records.scale.name), row.nfe, spec, wanted, metrics)
        for row in spec.rows
    ]
    references = [_reference(records, reference, spec, metrics) for reference in spec.references]
    rows = (*students, *references, *_published_only(paper, [row.cell for row in students]))
    measured = [row for row in rows if row.ours]
    if not measured:
        raise SaltError(
            f"{records.folder}: no records of {name}; accepted: {', '.join(r.experiment for r in spec.rows)}"
        )
    frames = [records.tidy(row.cell.kind, row.cell.experiment, row.seeds) for row in measured if row.cell]
    protocol, released = one_protocol(frames, f"{records.folder}, {name}"), released_in(frames)
    absent = _absent(records, measured)
    used = tuple(sorted({seed for row in measured for seed in row.seeds}))
    return Table(
        name,
        spec.title,
        tuple(metrics),
        rows,
        tuple(_comparisons(records, spec, students, metrics)),
        Provenance(
            records.scale,
            used,
            _protocol_line(records, protocol, spec),
            METHOD + (MODES_METHOD if MEASURES.keys() & set(metrics) else ""),
            (*_not_run(rows, wanted, released), *absent),
            records.commit,
            released,
        ),
        tuple(dict.fromkeys(f"{v.row}: {v.conflict}" for v in paper if v.conflict)),
    )


# ----------------------------------------------------------------------------------------------------- rows
def _student(
    records: Records,
    paper: Sequence[PaperValue],
    experiment: Experiment,
    nfe: int,
    spec: TableSpec,
    wanted: Sequence[int],
    metrics: Sequence[str],
) -> TableRow:
    cell = Cell(experiment.name, spec.prompts, experiment.main_solver, nfe)
    printed = {v.metric: v.value for v in paper if (v.experiment, v.nfe) == (experiment.name, nfe)}
    seeds = records.seeds(cell.kind, cell.experiment, wanted)
    paper_numbers = {str(metric): value for metric, value in printed.items()}
    if not seeds:
        return TableRow(experiment.title, cell.nfe, cell, (), {}, paper_numbers, {})
    ours = _measured(records, cell, seeds, metrics)
    return TableRow(experiment.title, cell.nfe, cell, seeds, ours, paper_numbers, own_intervals(records, cell, seeds))


def _reference(records: Records, name: str, spec: TableSpec, metrics: Sequence[str]) -> TableRow:
    """The teacher or the codec's ceiling, in the one way it was sampled."""
    title = load_suite().real.title if name == REAL else load_experiment(name, records.scale.name).title
    kind: Kind = "long" if spec.prompts == "long" else "scores"
    seeds = records.seeds(kind, name, [0])
    if not seeds:
        return TableRow(title, None, None, (), {}, {}, {})
    frame = records.tidy(kind, name, seeds)
    frame = frame[frame["prompts"] == spec.prompts]
    ways = frame[["solver", "nfe"]].drop_duplicates()
    if len(ways) != 1:
        path = records.folder / f"{name}_seed0_{kind}.csv"
        raise SaltError(f"{path}: {len(ways)} ways to sample {spec.prompts} prompts; accepted: one")
    cell = Cell(name, spec.prompts, str(ways.iloc[0]["solver"]), int(ways.iloc[0]["nfe"]))
    ours = _measured(records, cell, seeds, metrics)
    return TableRow(title, cell.nfe or None, cell, seeds, ours, {}, own_intervals(records, cell, seeds))


def _measured(
    records: Records, cell: Cell, seeds: Sequence[int], metrics: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    absent = records.absent(cell, seeds) | _unmeasured(records, cell, seeds)
    return {
        metric: tuple(percent(metric) * value for value in records.values(kind_of(metric, cell), cell, seeds, metric))
        for metric in metrics
        if metric not in absent
    }


def _unmeasured(records: Records, cell: Cell, seeds: Sequence[int]) -> frozenset[str]:
    """The measures of distributions that one of the seeds lacks; of short captions all, which leave more open."""
    if cell.prompts == "short" or records.seeds("modes", cell.experiment, seeds) != tuple(seeds):
        return frozenset(MEASURES)
    return records.absent(cell, seeds, "modes")


def _published_only(paper: Sequence[PaperValue], cells: Sequence[Cell | None]) -> list[TableRow]:
    """The paper's rows that no row of ours stands for, in the paper's order."""
    ours = {(cell.experiment, cell.nfe) for cell in cells if cell is not None}
    values: dict[tuple[str, int | None], dict[str, float]] = {}
    for value in paper:
        if (value.experiment, value.nfe) not in ours:
            values.setdefault((value.row, value.nfe), {})[value.metric] = value.value
    return [TableRow(title, nfe, None, (), {}, printed, {}) for (title, nfe), printed in values.items()]


def _not_run(rows: Sequence[TableRow], wanted: Sequence[int], released: Sequence[str]) -> list[str]:
    missing = [row.name for row in rows if not row.ours]
    for row in rows:
        of_one_model = row.cell is not None and row.cell.experiment in (TEACHER, REAL, *released)
        if row.ours and not of_one_model and len(row.seeds) < len(wanted):
            missing.append(f"{row.name} seeds {', '.join(str(s) for s in wanted if s not in row.seeds)}")
    return missing


def _absent(records: Records, rows: Sequence[TableRow]) -> list[str]:
    """The dimensions that were not scored, for want of weights or of prompts, and what they leave undefined."""
    lacks = {row.name: sorted(records.absent(row.cell, row.seeds)) for row in rows if row.cell}
    return [
        f"{', '.join(names)} of {row} (absent: not scored, so no intervals)" for row, names in lacks.items() if names
    ]


def _protocol_line(records: Records, protocol: str, spec: TableSpec) -> str:
    evaluation = records.scale.evaluation
    scorer = scorer_of(records.scale, length_of_cells(records.scale, spec.prompts == "long"))
    sampled = f"{scorer.length.describe(spec.prompts)}, {evaluation.main_solver} solver"
    if evaluation.precision != "float32":
        sampled += f" in {evaluation.precision}"
    return ", ".join(part for part in (protocol, sampled, scorer.describe()) if part)


# --------------------------------------------------------------------------------------------- comparisons
def _comparisons(
    records: Records, spec: TableSpec, rows: Sequence[TableRow], metrics: Sequence[str]
) -> list[Comparison]:
    """Every student against the rows that it names, at the same nfe."""
    found = {(row.cell.experiment, row.nfe): row for row in rows if row.cell}
    pairs = [
        (method, found[name, asked.nfe])
        for asked, method in zip(spec.rows, rows, strict=True)
        for name in asked.against
        if (name, asked.nfe) in found
    ]
    return [c for method, baseline in pairs for c in compare(records, method, baseline, metrics)]


def compare(records: Records, method: TableRow, baseline: TableRow, metrics: Sequence[str]) -> list[Comparison]:
    """Paired differences over the training seeds that both rows have; none where they share no seed."""
    seeds = tuple(seed for seed in method.seeds if seed in baseline.seeds)
    if not seeds or method.cell is None or baseline.cell is None:
        return []
    pair = method.cell, baseline.cell
    intervals = differences(records, *pair, seeds) | mode_differences(records, *pair, seeds)
    return [
        Comparison(
            method,
            baseline,
            metric,
            intervals[metric],
            seeds,
            _paper_difference(method, baseline, metric),
            saturated(records, pair, seeds, metric),
        )
        for metric in metrics
        if metric in intervals
    ]


def own_intervals(records: Records, cell: Cell, seeds: tuple[int, ...]) -> dict[str, Interval]:
    """Intervals of a row's own means, as printed, where its data bound them."""
    found = differences(records, cell, None, seeds) | mode_differences(records, cell, None, seeds)
    return {metric: interval for metric, interval in found.items() if interval.bounded}


@cache
def differences(records: Records, method: Cell, baseline: Cell | None, seeds: tuple[int, ...]) -> dict[str, Interval]:
    """Intervals of the paired differences of all scores, as printed (0-100); none where a dimension is absent.

    `baseline=None`: of the method's own scores.
    """
    cells = [cell for cell in (method, baseline) if cell is not None]
    if any(records.absent(cell, seeds) for cell in cells):
        return {}
    scores = [records.prompt_scores(cell, seeds) for cell in cells]
    intervals = paired_interval(scores[0], scores[1] if baseline else None, all_metrics(records.board))
    return dict(zip(metrics_of(records.board), intervals, strict=True))


@cache
def mode_differences(
    records: Records, method: Cell, baseline: Cell | None, seeds: tuple[int, ...]
) -> dict[str, Interval]:
    """The same over training seeds alone, of what was measured of distributions."""
    cells = [cell for cell in (method, baseline) if cell is not None]
    absent = frozenset[str]().union(*(_unmeasured(records, cell, seeds) for cell in cells))
    found = {}
    for metric in (metric for metric in MEASURES if metric not in absent):
        if metric == DRIFT and method.kind != "long":
            continue
        values = [percent(metric) * np.array(records.values("modes", cell, seeds, metric)) for cell in cells]
        found[metric] = seed_interval(*values)
    return found


def _paper_difference(method: TableRow, baseline: TableRow, metric: str) -> float | None:
    if metric not in method.paper or metric not in baseline.paper:
        return None
    return method.paper[metric] - baseline.paper[metric]


# ------------------------------------------------------------------------------------------------ controls
def _controls(name: str, spec: TableSpec, records: Records) -> Table:
    """Videos corrupted on purpose: one row per control, in the order of the file."""
    path = records.folder / "controls.csv"
    if not path.exists():
        raise SaltError(
            f"{path}: no records of {name}; accepted: what `salt score-controls` writes where no VBench scores"
        )
    metrics = metrics_of(records.board)
    frame = read_measurements(path)
    frame = frame[(frame["prompts"] == spec.prompts) & frame["metric"].isin(metrics)]
    rows = []
    for experiment, part in frame.groupby("experiment", sort=False):
        by_metric = zip(part["metric"].astype(str), part["value"].astype(float), strict=True)
        values: dict[str, tuple[float, ...]] = {metric: (percent(metric) * value,) for metric, value in by_metric}
        rows.append(TableRow(str(part["method"].iloc[0]), None, None, (0,), values, {}, {}))
        if set(values) != set(metrics):
            raise SaltError(f"{path}: {experiment} has {len(values)} metrics; accepted: all of {', '.join(metrics)}")
    provenance = Provenance(records.scale, (), one_protocol([frame], str(path)), "none", (), records.commit)
    return Table(name, spec.title, metrics, tuple(rows), (), provenance, ())
