"""The tables: our mean over training seeds beside the paper's number, and differences with their intervals.

A table is read off `experiments/tables.yaml`, its records, and `experiments/paper_values.yaml`; nothing in it is typed.
Absolute numbers are not comparable with the paper's below the paper scale (another world, another scorer); signs of
differences are. All numbers are times 100.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from salt.config.load import load_experiment, load_scale
from salt.config.paper import PaperValue, paper_values
from salt.errors import SaltError
from salt.evaluation.video import ENCODER
from salt.report.content import Comparison, Table, TableRow
from salt.report.metrics import all_metrics, metrics_of, percent
from salt.report.records import Provenance, Records, Setting, one_protocol, read_measurements, released_in
from salt.report.render import write_table
from salt.report.statistics import LEVEL, RESAMPLES, Interval, paired_interval
from salt.report.suite import TableSpec, table_spec

REFERENCE_TITLES = {"teacher": "Teacher", "real": "Real clips through the codec"}
METHOD = (
    f"{LEVEL:.0%} of differences on the same captions and sampling seeds, {RESAMPLES} caption resamples; with two or "
    "more training seeds paired by seed and joined with their spread (Student's t), with one they cover captions only"
)


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
        _student(
            records,
            paper,
            Setting(row.experiment, spec.prompts, row.solver or records.scale.evaluation.main_solver, row.nfe),
            wanted,
            metrics,
        )
        for row in spec.rows
    ]
    references = [_reference(records, reference, spec, metrics) for reference in spec.references]
    rows = (*students, *references, *_published_only(paper, [row.setting for row in students]))
    measured = [row for row in rows if row.ours]
    if not measured:
        raise SaltError(
            f"{records.folder}: no records of {name}; accepted: {', '.join(r.experiment for r in spec.rows)}"
        )
    frames = [records.tidy(row.setting.kind, row.setting.experiment, row.seeds) for row in measured if row.setting]
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
            METHOD,
            (*_not_run(rows, wanted, released), *absent),
            released,
        ),
        tuple(dict.fromkeys(f"{v.row}: {v.conflict}" for v in paper if v.conflict)),
    )


# ----------------------------------------------------------------------------------------------------- rows
def _student(
    records: Records, paper: Sequence[PaperValue], setting: Setting, wanted: Sequence[int], metrics: Sequence[str]
) -> TableRow:
    experiment = load_experiment(setting.experiment, records.scale.name)
    printed = {v.metric: v.value for v in paper if (v.experiment, v.nfe) == (setting.experiment, setting.nfe)}
    seeds = records.seeds(setting.kind, setting.experiment, wanted)
    ours = _measured(records, setting, seeds, metrics) if seeds else {}
    return TableRow(experiment.title, setting.nfe, setting, seeds, ours, {str(k): v for k, v in printed.items()})


def _reference(records: Records, name: str, spec: TableSpec, metrics: Sequence[str]) -> TableRow:
    """The teacher or the codec's ceiling, in the one way it was sampled."""
    seeds = records.seeds("scores", name, [0])
    if not seeds:
        return TableRow(REFERENCE_TITLES[name], None, None, (), {}, {})
    frame = records.tidy("scores", name, seeds)
    frame = frame[frame["prompts"] == spec.prompts]
    ways = frame[["solver", "nfe"]].drop_duplicates()
    if len(ways) != 1:
        path = records.folder / f"{name}_seed0_scores.csv"
        raise SaltError(f"{path}: {len(ways)} ways to sample {spec.prompts} prompts; accepted: one")
    setting = Setting(name, spec.prompts, str(ways.iloc[0]["solver"]), int(ways.iloc[0]["nfe"]))
    return TableRow(
        REFERENCE_TITLES[name], setting.nfe or None, setting, seeds, _measured(records, setting, seeds, metrics), {}
    )


def _measured(
    records: Records, setting: Setting, seeds: Sequence[int], metrics: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    absent = records.absent(setting, seeds)
    return {
        metric: tuple(percent(metric) * value for value in records.values(setting.kind, setting, seeds, metric))
        for metric in metrics
        if metric not in absent
    }


def _published_only(paper: Sequence[PaperValue], settings: Sequence[Setting | None]) -> list[TableRow]:
    """The paper's rows that no row of ours stands for, in the paper's order."""
    ours = {(s.experiment, s.nfe) for s in settings if s is not None}
    values: dict[tuple[str, int | None], dict[str, float]] = {}
    for value in paper:
        if (value.experiment, value.nfe) not in ours:
            values.setdefault((value.row, value.nfe), {})[value.metric] = value.value
    return [TableRow(title, nfe, None, (), {}, printed) for (title, nfe), printed in values.items()]


def _not_run(rows: Sequence[TableRow], wanted: Sequence[int], released: Sequence[str]) -> list[str]:
    missing = [row.name for row in rows if not row.ours]
    for row in rows:
        of_one_model = row.setting is not None and row.setting.experiment in (*REFERENCE_TITLES, *released)
        if row.ours and not of_one_model and len(row.seeds) < len(wanted):
            missing.append(f"{row.name} seeds {', '.join(str(s) for s in wanted if s not in row.seeds)}")
    return missing


def _absent(records: Records, rows: Sequence[TableRow]) -> list[str]:
    """The dimensions that were not scored, for want of weights or of prompts, and what they leave undefined."""
    lacks = {row.name: sorted(records.absent(row.setting, row.seeds)) for row in rows if row.setting}
    return [
        f"{', '.join(names)} of {row} (absent: not scored, so no intervals)" for row, names in lacks.items() if names
    ]


def _protocol_line(records: Records, protocol: str, spec: TableSpec) -> str:
    evaluation, long = records.scale.evaluation, records.scale.evaluation.long
    prompts = f"{evaluation.prompts} {spec.prompts} prompts"
    if spec.prompts == "long" and long is not None:
        prompts = f"{long.prompts} extended prompts, videos of {long.length} times the training length"
    vbench = long.vbench if spec.prompts == "long" and long is not None else evaluation.vbench
    sampled = f"{prompts}, {evaluation.main_solver} solver"
    if evaluation.precision != "float32":
        sampled += f" in {evaluation.precision}"
    if vbench is None:
        return f"{protocol}, {sampled}"
    scorer = vbench.describe(len(evaluation.seeds), records.scale.world.fps, f"H.264 crf {ENCODER['crf']}")
    return f"{protocol}, {sampled}, {scorer}"


# --------------------------------------------------------------------------------------------- comparisons
def _comparisons(
    records: Records, spec: TableSpec, rows: Sequence[TableRow], metrics: Sequence[str]
) -> list[Comparison]:
    """Every student against the rows that it names, at the same nfe."""
    found = {(row.setting.experiment, row.nfe): row for row in rows if row.setting}
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
    if not seeds or method.setting is None or baseline.setting is None:
        return []
    intervals = differences(records, method.setting, baseline.setting, seeds)
    return [
        Comparison(method, baseline, metric, intervals[metric], seeds, _paper_difference(method, baseline, metric))
        for metric in metrics
        if metric in intervals
    ]


@cache
def differences(records: Records, method: Setting, baseline: Setting, seeds: tuple[int, ...]) -> dict[str, Interval]:
    """Intervals of the paired differences of all metrics, as printed (0-100); none where a dimension is absent."""
    if records.absent(method, seeds) | records.absent(baseline, seeds):
        return {}
    pair = records.prompt_scores(method, seeds), records.prompt_scores(baseline, seeds)
    intervals = paired_interval(*pair, all_metrics(records.board))
    return dict(zip(metrics_of(records.board), intervals, strict=True))


def _paper_difference(method: TableRow, baseline: TableRow, metric: str) -> float | None:
    if metric not in method.paper or metric not in baseline.paper:
        return None
    return method.paper[metric] - baseline.paper[metric]


# ------------------------------------------------------------------------------------------------ controls
def _controls(name: str, spec: TableSpec, records: Records) -> Table:
    """Videos spoilt on purpose: one row per control, in the order of the file."""
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
        rows.append(TableRow(str(part["method"].iloc[0]), None, None, (0,), values, {}))
        if set(values) != set(metrics):
            raise SaltError(f"{path}: {experiment} has {len(values)} metrics; accepted: all of {', '.join(metrics)}")
    provenance = Provenance(records.scale, (), one_protocol([frame], str(path)), "none", ())
    return Table(name, spec.title, metrics, tuple(rows), (), provenance, ())
