"""The metrics of a run: `metrics.jsonl`, TensorBoard and a tracker if configured, and progress on the terminal.

`metrics.jsonl` has one JSON object per line and iteration; `seconds` is the only entry that depends on the machine.
"""

import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from salt.config.train import Train
from salt.errors import SaltError
from salt.files import naming, write_text
from salt.readers import parse_json, read_text

log = logging.getLogger(__name__)

LINE_EVERY = 30.0
"""Seconds between progress lines if there is no terminal."""


METRICS = "lines that this training wrote; without the broken ones it goes on, and without the file too"
"""What a message says of the file."""


class MetricLog:
    """Writes the metrics of one run; made by `open_metrics`."""

    def __init__(self, path: Path, total: int, step: int, board: Any, tracker: Any) -> None:
        self._path, self._file = path, path.open("a", encoding="utf-8")
        self._board, self._tracker = board, tracker
        self._bar = tqdm(total=total, initial=step, unit="step", dynamic_ncols=True) if sys.stderr.isatty() else None
        self._total, self._first = total, step
        self._begun = self._spoken = time.monotonic()

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of iteration `step` (1 is the first) and show the progress."""
        with naming(self._path):
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)
        if self._tracker is not None:
            self._tracker.log(dict(metrics), step=step)
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        if now - self._spoken >= LINE_EVERY or step == self._total:
            self._spoken = now
            left = (now - self._begun) / (step - self._first) * (self._total - step)
            losses = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name.endswith("/loss"))
            log.info("step %d/%d, %s, %.0f s left", step, self._total, losses, left)

    def sync(self) -> None:
        """Wait until everything written is on disk, so that no checkpoint is ahead of its metrics."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the files and the progress bar."""
        self._file.close()
        if self._bar is not None:
            self._bar.close()
        if self._board is not None:
            self._board.close()
        if self._tracker is not None:
            self._tracker.finish()


class Silence:
    """The metrics of all processes but the first, which writes the means over all."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write nothing."""

    def sync(self) -> None:
        """Nothing to wait for."""


@contextmanager
def open_metrics(run: Path, config: Train, step: int, first: bool) -> Iterator[MetricLog | Silence]:
    """The metrics of a run that continues after iteration `step`; lines of later iterations are dropped.

    Args:
        run: run directory.
        config: the section `train`.
        step: iterations done.
        first: whether this process is the one that writes.

    Raises:
        SaltError: TensorBoard or a tracker is configured but not installed.
    """
    if not first:
        yield Silence()
        return
    board = _tensorboard(run, step) if config.tensorboard else None
    tracker = None if config.tracker is None else _tracker(config.tracker, run)
    path = run / "metrics.jsonl"
    if path.exists():
        lines = read_text(path, METRICS).splitlines(keepends=True)
        whole = [(number, line) for number, line in enumerate(lines, 1) if line.endswith("\n")]
        write_text(path, "".join(line for number, line in whole if _step(path, number, line) <= step))
    metrics = MetricLog(path, config.iterations, step, board, tracker)
    try:
        yield metrics
    finally:
        metrics.close()


def _step(path: Path, number: int, line: str) -> int:
    found = parse_json(line, f"{path}: line {number}", METRICS).get("step")
    if not isinstance(found, int):
        raise SaltError(f"{path}: line {number}: step = {found!r:.60}; accepted: {METRICS}")
    return found


def _tensorboard(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SaltError(
            "train.tensorboard=true needs the package tensorboard, which is not installed: "
            "install it (pip install tensorboard) or set train.tensorboard=false"
        ) from error
    return SummaryWriter(run / "tensorboard", purge_step=step + 1)


def _tracker(package: str, run: Path) -> Any:
    """The package's run of this run directory; a run that continues is continued there."""
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise SaltError(
            f"train.tracker={package} needs the package {package}, which is not installed: install it "
            f"(pip install {package}) or set train.tracker=null"
        ) from error
    name = "-".join(run.absolute().parts[-3:])
    same = {"id": name} if package == "wandb" else {}
    return module.init(project="salt", name=name, resume="allow", **same)
