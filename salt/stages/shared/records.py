"""The cells of one model, and tables of measurements as files."""

import gzip
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from salt.config.files import accepted
from salt.config.released import RELEASED
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.evaluation.cells import REAL, ModelCell
from salt.evaluation.lengths import Length
from salt.files import whole_file
from salt.report.render import csv_cell
from salt.report.suite import load_suite
from salt.training.provenance import git_state


def model_cells(
    name: str, experiment: Experiment, seed: int, length: Length, wanted: Collection[str] = ()
) -> list[ModelCell]:
    """The cells of a student, of `teacher` or of `real`, for videos of one length.

    Args:
        name: a student, `teacher` or `real`.
        experiment: configuration of the student; that of the teacher for `teacher` and `real`.
        seed: the training seed.
        length: of the videos.
        wanted: names of the cells; empty: all.

    Raises:
        SaltError: a name that no cell of the model has.
    """
    title = load_suite().real.method if name == REAL else experiment.title
    cells = {c.name: c for c in length.cells(name, title, experiment, seed)}
    for one in wanted:
        if one not in cells:
            raise SaltError(f"--cell {one}: no cell of {name}; {accepted(one, cells)}")
    return [cell for cell in cells.values() if cell.name in (wanted or cells)]


def write_records(records: pd.DataFrame, path: Path, released: bool) -> None:
    """Write tidy records, those of released weights with the column that says so."""
    write_csv(records.assign(weights=RELEASED) if released else records, path)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table atomically; a `.gz` is compressed, and its bytes depend on the table alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = frame.select_dtypes(include=["object", "string"])
    text = frame.assign(**{str(name): texts[name].map(csv_cell) for name in texts}).to_csv(index=False).encode()
    with whole_file(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def commit() -> str | None:
    """The commit of the program; None outside a git checkout."""
    state = git_state()
    return None if state is None else str(state["commit"])
