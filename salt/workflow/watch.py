"""What a job that runs has done so far, and why one has failed: read from its run directory and its log."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from salt.errors import SaltError
from salt.readers import loads, read_json
from salt.readers import tail as read_tail

LOST = "its log says nothing"
TAIL = 64 * 1024
"""Bytes at the end of a file that are looked at."""
RECENT = 20
"""Iterations whose mean time gives the rate: the first ones of a run are slower."""
RUN_DIR = re.compile(r"--run-dir (\S+)")
COUNTED = re.compile(r"(\d+)/(\d+)(?= \[|, )")
"""As a progress bar writes it, `12/64 [00:10<00:40`, or a training's log, `step 12/64, `."""


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    done: int
    total: int
    rate: float | None = None
    """Steps a second; None: not known yet."""

    @property
    def left(self) -> float | None:
        """Seconds that it still takes at this rate."""
        return None if not self.rate else (self.total - self.done) / self.rate

    def __str__(self) -> str:
        """`12/64, 1.6 a second, 0 min 33 s left`."""
        parts = [f"{self.done}/{self.total}"]
        if self.rate:
            slow = self.rate < 0.5
            parts.append(f"{1 / self.rate:.1f} s each" if slow else f"{self.rate:.1f} a second")
        if self.left and self.done < self.total:
            parts.append(f"{duration(self.left)} left")
        return ", ".join(parts)


@dataclass
class Watched:
    """One job that runs."""

    number: int
    """As Snakemake counts its jobs."""
    label: str
    """What it makes."""
    log: Path | None
    command: str
    begun: float = field(default_factory=lambda: time.time())
    _seen: tuple[float, int] | None = None

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.time() - self.begun

    def progress(self) -> Progress | None:
        """How far it is; None: it does not say."""
        named = RUN_DIR.search(self.command)
        found = of_training(Path(named[1])) if named else None
        return found or self._of_log()

    def _of_log(self) -> Progress | None:
        """The last count in its log; the rate is that since the first one that was looked at."""
        counts = [match for line in tail(self.log) if (match := last_count(line))] if self.log else []
        if not counts:
            return None
        (done, total), now = counts[-1], time.time()
        if self._seen is None or done < self._seen[1]:
            self._seen = now, done
        begun, first = self._seen
        return Progress(done, total, (done - first) / (now - begun) if done > first else None)


def of_training(run: Path) -> Progress | None:
    """How far a training is, by the metrics in its run directory; None: it has not written any."""
    lines = list(tail(run / "metrics.jsonl"))
    try:
        total = int(read_json(run / "config.json")["train"]["iterations"])
        rows = [loads(line) for line in lines[-RECENT:]]
        done, seconds = int(rows[-1]["step"]), sum(float(row["seconds"]) for row in rows)
    except (SaltError, ValueError, KeyError, TypeError, IndexError):  # not begun, or in the middle of a line
        return None
    return Progress(done, total, len(rows) / seconds if seconds else None)


def last_count(line: str) -> tuple[int, int] | None:
    """The last `done/total` of a line."""
    found = COUNTED.findall(line)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def tail(path: Path) -> Iterator[str]:
    """The whole lines at the end of a file; a bar's states count as lines."""
    try:
        data = read_tail(path, TAIL)
    except (OSError, SaltError):
        return
    lines = re.split(r"[\r\n]", data.decode(errors="replace"))
    yield from (line for line in lines[1 if len(data) == TAIL else 0 :] if line.strip())


def reason(log: Path | None) -> str:
    """Why a job failed, in one line: what `salt` said last, else the last line of its log."""
    lines = [line.strip() for line in tail(log)] if log is not None else []
    said = [line.removeprefix("salt: ") for line in lines if line.startswith("salt: ")]
    return (said or lines or [LOST])[-1]


def duration(seconds: float) -> str:
    """`2 h 5 min`, `3 min 20 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
