"""A table as CSV (full precision, one line a number), Markdown (readable) and LaTeX (booktabs).

The same table gives the same bytes: no dates, no paths.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from salt.files import write_text
from salt.report.metrics import title
from salt.report.statistics import LEVEL, Interval, minimum_detectable_difference
from salt.report.table_model import Comparison, Table, TableRow

CSV_COLUMNS = (
    *("table", "row", "experiment", "prompts", "solver", "nfe", "metric"),
    *("paper", "ours", "seed_sd", "seeds"),
    *("baseline", "difference", "low", "high", "excludes_0", "detectable", "paper_difference", "same_sign"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NOT_RUN = "–"
PLUS_MINUS = "\u00a0±\u00a0"
"""No line is broken there."""
INTERVALS = (
    f"± is half the width of a mean's {LEVEL:.0%} interval: of scores over other captions and other training seeds (of "
    "one seed over captions alone), of measures of distributions over training seeds (of one there is none)."
)
PAIRED = (
    "Rows answer the same captions from the same noise: compare them by their differences, below, not by whether their "
    "cells overlap."
)


def write_table(table: Table, out_dir: Path) -> list[Path]:
    """Write `{table.name}.csv`, `.md` and `.tex` into an existing folder."""
    texts = {"csv": to_csv(table), "md": to_markdown(table), "tex": to_latex(table)}
    paths = {kind: out_dir / f"{table.name}.{kind}" for kind in texts}
    for kind, text in texts.items():
        write_text(paths[kind], text)
    return list(paths.values())


# ------------------------------------------------------------------------------------------------------ CSV
def to_csv(table: Table) -> str:
    """One line per row and metric, and one per comparison and metric."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    lines = [
        _row_line(table.name, row, metric)
        for row in table.rows
        for metric in table.metrics
        if metric in row.ours or metric in row.paper
    ]
    lines += [_comparison_line(table.name, comparison) for comparison in table.comparisons]
    writer.writerows({key: csv_cell(value) for key, value in line.items()} for line in lines)
    return out.getvalue()


def csv_cell(value: object) -> object:
    """A cell of a CSV, with an apostrophe before text that a spreadsheet would run as a formula; numbers are none."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _row_line(table: str, row: TableRow, metric: str) -> dict[str, object]:
    line = _keys(table, row, metric) | {"paper": row.paper.get(metric, "")}
    if metric in row.ours:
        values = row.ours[metric]
        line |= {"ours": repr(float(np.mean(values))), "seeds": " ".join(map(str, row.seeds))}
        line["seed_sd"] = repr(float(np.std(values, ddof=1))) if len(values) > 1 else ""
        if metric in row.intervals:
            line |= {"low": repr(row.intervals[metric].low), "high": repr(row.intervals[metric].high)}
    return line


def _comparison_line(table: str, comparison: Comparison) -> dict[str, object]:
    interval = comparison.interval
    return _keys(table, comparison.method, comparison.metric) | {
        "seeds": " ".join(map(str, comparison.seeds)),
        "baseline": comparison.baseline.name,
        "difference": repr(interval.estimate),
        "low": repr(interval.low),
        "high": repr(interval.high),
        "excludes_0": comparison.excludes_zero,
        "detectable": repr(minimum_detectable_difference(interval)),
        "paper_difference": "" if comparison.paper is None else f"{comparison.paper:.10g}",
        "same_sign": "" if comparison.same_sign is None else _yes(comparison.same_sign),
    }


def _keys(table: str, row: TableRow, metric: str) -> dict[str, object]:
    keys: dict[str, object] = {"table": table, "row": row.title, "metric": metric, "nfe": row.nfe or ""}
    if row.cell is not None:
        cell = row.cell
        keys |= {"experiment": cell.experiment, "prompts": cell.prompts, "solver": cell.solver}
    return keys


# ------------------------------------------------------------------------------------------------ as strings
def main_frame(table: Table) -> pd.DataFrame:
    """Rows as printed; columns `(metric, here | paper)`, the paper's only where it prints the metric."""
    printed = {metric for row in table.rows for metric in row.paper}
    columns: dict[tuple[str, str], list[str]] = {}
    columns["NFE", ""] = [str(row.nfe or NOT_RUN) for row in table.rows]
    columns["Seeds", ""] = [str(len(row.seeds) or NOT_RUN) for row in table.rows]
    for metric in table.metrics:
        columns[title(metric), "here"] = [cell_text(row, metric) for row in table.rows]
        if metric in printed:
            paper = [f"{row.paper[metric]:.2f}" if metric in row.paper else NOT_RUN for row in table.rows]
            columns[title(metric), "paper"] = paper
    return pd.DataFrame(columns, index=pd.Index([row.title for row in table.rows], name="Method"))


def cell_text(row: TableRow, metric: str) -> str:
    """`92.12 ± 1.23`: the mean over training seeds, and half of its interval where there is one."""
    if metric not in row.ours:
        return NOT_RUN
    mean = f"{np.mean(row.ours[metric]):.2f}"
    interval = row.intervals.get(metric)
    return mean if interval is None else f"{mean}{PLUS_MINUS}{interval.half:.2f}"


def comparison_frame(table: Table) -> pd.DataFrame:
    """Differences as printed, one line per comparison and metric."""
    lines = [
        {
            "Comparison": f"{c.method.title} minus {c.baseline.title}, {c.method.nfe} NFE",
            "Metric": title(c.metric),
            "Here": f"{c.interval.estimate:+.2f}",
            "95 % interval": interval_text(c.interval),
            "Excludes 0": c.excludes_zero,
            "Paper": NOT_RUN if c.paper is None else f"{c.paper:+.2f}",
            "Same sign": NOT_RUN if c.same_sign is None else _yes(c.same_sign),
            "Detectable": f"{minimum_detectable_difference(c.interval):.2f}" if c.interval.bounded else NOT_RUN,
        }
        for c in table.comparisons
    ]
    return pd.DataFrame(lines)


def interval_text(interval: Interval, digits: int = 2) -> str:
    """`[-0.12, +0.34]`, or `unbounded`."""
    if not interval.bounded:
        return "unbounded"
    return f"[{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"


def _yes(true: bool) -> str:
    return "yes" if true else "no"


# -------------------------------------------------------------------------------------------------- Markdown
def to_markdown(table: Table) -> str:
    """Caption, rows with the paper's number in italics, differences, provenance."""
    frame = main_frame(table)
    heads = ["*paper*" if column[1] == "paper" else column[0] for column in frame.columns]
    body = frame.to_numpy().tolist()
    if _is_wide(frame):
        turned = [[head, *cells] for head, cells in zip(heads, zip(*body, strict=True), strict=True)]
        lines = markdown_lines(["Metric", *frame.index], turned)
    else:
        lines = markdown_lines(["Method", *heads], [[m, *cells] for m, cells in zip(frame.index, body, strict=True)])
    parts = [f"# {heading(table.name)}{table.title}"]
    if not table.provenance.scale.meaningful:
        parts.append(f"**{table.provenance.scale.name}: numbers mean nothing.**")
    parts += ["\n".join(lines), *_how_to_read(table)]
    if table.comparisons:
        parts += ["## Differences", differences_note(), "\n".join(_frame_lines(comparison_frame(table)))]
    parts += ["## Where the numbers come from", "\n".join(f"- {line}" for line in table.provenance.lines())]
    if table.notes:
        parts += ["## Where the paper contradicts itself", "\n".join(f"- {note}" for note in table.notes)]
    return "\n\n".join(parts) + "\n"


def _is_wide(frame: pd.DataFrame) -> bool:
    """Whether it has more columns than rows, and is printed with the metrics downwards."""
    return len(frame.columns) > len(frame)


def _how_to_read(table: Table) -> list[str]:
    """What the intervals in the cells are, where there are some; what tells rows apart."""
    said = [INTERVALS] if any(row.intervals for row in table.rows) else []
    return [" ".join([*said, PAIRED])] if said and table.comparisons else said


def heading(name: str) -> str:
    """`Table 4. ` for `table4`, `Figure A1 (appendix). ` for `figA1`; nothing for what is not the paper's."""
    found = re.fullmatch(r"(table|fig)(A?)(\d+)", name)
    if found is None:
        return ""
    kind = {"table": "Table", "fig": "Figure"}[found[1]]
    return f"{kind} {found[2]}{found[3]}{' (appendix)' if found[2] else ''}. "


def differences_note() -> str:
    """How to read a table of differences."""
    return (
        "`Excludes 0`: saturated means that the interval includes 0 and both rows are as good as real clips, so that "
        "neither can be better. `Detectable` is the true difference that these captions and seeds would find (interval "
        "without 0) four times in five. Absolute numbers are comparable with the paper's at the paper scale only; "
        "signs are, everywhere."
    )


def markdown_lines(header: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int] = (0,)) -> list[str]:
    """A Markdown table; the columns `texts` are set to the left, the others, numbers, to the right."""
    rule = ["---" if place in texts else "---:" for place in range(len(header))]
    plain = [[cell.replace("|", r"\|").replace("\n", " ") for cell in cells] for cells in (header, *rows)]
    return ["| " + " | ".join(cells) + " |" for cells in (plain[0], rule, *plain[1:])]


def _frame_lines(frame: pd.DataFrame) -> list[str]:
    return markdown_lines(list(frame.columns), frame.to_numpy().tolist(), texts=(0, 1, 4, 6))


# ----------------------------------------------------------------------------------------------------- LaTeX
def to_latex(table: Table) -> str:
    """Two booktabs tables: the rows, and the differences; the caption holds the provenance."""
    frame = main_frame(table)
    frame = frame.T if _is_wide(frame) else frame
    caption = " ".join([f"{table.title}.", *_how_to_read(table), *table.provenance.lines()])
    parts = [latex_table(frame, caption, f"tab:{table.name}")]
    if table.comparisons:
        differences = comparison_frame(table).set_index(["Comparison", "Metric"])
        parts.append(
            latex_table(differences, f"{table.title}: differences. {differences_note()}", f"tab:{table.name}-diff")
        )
    return "\n".join(parts)


def latex_table(frame: pd.DataFrame, caption: str, label: str, columns: str | None = None) -> str:
    """A booktabs table; `columns`: how its columns are set, its index among them; None: numbers to the right."""
    style = frame.style.format(escape="latex").format_index(escape="latex").format_index(escape="latex", axis=1)
    text: str = style.to_latex(
        hrules=True,
        caption=_escaped(caption),
        label=label,
        multicol_align="c",
        position_float="centering",
        column_format=columns or "l" * frame.index.nlevels + "r" * len(frame.columns),
    )
    return re.sub(PLUS_MINUS + r"([\d.]+)", r"\\,{\\tiny$\\pm$\1}", text).replace("±", r"$\pm$")


def _escaped(text: str) -> str:
    for character in "\\&%$#_{}":
        text = text.replace(character, f"\\{character}" if character != "\\" else r"\textbackslash ")
    return text.replace("`", "").replace("~", r"\textasciitilde ")
