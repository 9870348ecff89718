"""The quiet console of the workflow: a line for each job that ended, what the others are doing, what was made.

Snakemake's own messages say every command, resource and reason. Here a run of 16 jobs takes about 20 lines, and a job
that failed leads with its reason. `SALT_CONSOLE=full snakemake ...` shows Snakemake's messages instead; every log lies
where the line of a failed job says, those of Snakemake itself below .snakemake/log.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from salt.workflow.watch import Progress, Watched, duration, reason

SHOWN = ("table", "figure", "claims", "report", "lab_table", "lab_figure", "lab_report")
"""Rules whose files people look at."""
EVERY = 60.0
"""Seconds of silence after which the jobs that run are told where nothing is drawn live."""
TOLD = 6
"""Of many jobs that run, so many are told."""
SAID = ("Nothing to be done", "Trying to restart")
NOT_SAID = ("At least one job did not complete", "Exiting because a job execution failed", "Complete log(s)")
"""What the last line says in other words."""
AGAIN = "the same command goes on from here"


@dataclass
class Console:
    """What has happened, and the lines that tell it."""

    total: int = 0
    done: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    """Of jobs that have not been tried again: number -> label."""
    running: dict[int, Watched] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)
    stopped: bool = False
    """Whether the user ended it."""
    begun: float = field(default_factory=lambda: time.time())
    spoken: float = field(default_factory=lambda: time.time())

    def planned(self, jobs: Mapping[str, int]) -> Iterator[str]:
        """How many jobs of which rule there are; `jobs` has their sum under `total`."""
        self.total = jobs["total"]
        rules = ", ".join(f"{count} {rule}" for rule, count in jobs.items() if rule != "total")
        yield f"{self.total} jobs: {rules}"
        yield "every message: SALT_CONSOLE=full snakemake ...; Ctrl-C at any time, the same command goes on"

    def began(self, number: int, rule: str, label: str, log: Path | None, command: str, made: Collection[str]) -> None:
        """A job was started or submitted; one without a command is a target and tells nothing."""
        self.failed.pop(number, None)
        if command:
            self.running[number] = Watched(number, without_scale(label or rule), log, command)
            if rule.removeprefix("beside_") in SHOWN:
                self.made += [Path(file) for file in made]

    def ended(self, number: int) -> Iterator[str]:
        """A job is done."""
        self.done += 1
        job = self.running.pop(number, None)
        if job is not None:
            progress = job.progress()
            rate = f", {rate_of(progress)}" if progress is not None and progress.done == progress.total else ""
            yield f"{self._place()} {job.label} ({duration(job.seconds)}{rate})"

    def broke(self, number: int, rule: str, logs: Sequence[str]) -> Iterator[str]:
        """A job failed; it may be tried again."""
        job = self.running.pop(number, None)
        label = job.label if job else rule
        if self.stopped:
            return
        self.failed[number] = label
        log = next((Path(file) for file in logs), None)
        yield f"FAILED {label}: {reason(log)}"
        if log is not None:
            yield f"       its log: {log}"

    def said(self, message: str, serious: bool) -> Iterator[str]:
        """Any other message of Snakemake; without one, what it says of its own working is left out."""
        if "on user request" in message:
            self.stopped = True
            yield "stopping: trainings save what they have"
        elif message.startswith(("Nothing to be done", "Trying to restart")) or (
            serious and not message.startswith(NOT_SAID)
        ):
            yield message

    def quiet_for(self) -> Iterator[str]:
        """What the jobs that run are doing, if nothing was told for long."""
        if time.time() - self.spoken >= EVERY and self.running:
            told = [f"{job.label}: {self.state(job)}" for job in list(self.running.values())[:TOLD]]
            more = len(self.running) - len(told)
            yield f"{self._place()} running: {'; '.join(told)}" + (f"; {more} more" if more else "")

    def state(self, job: Watched) -> str:
        """How far a job is, or how long it has been there."""
        return str(job.progress() or duration(job.seconds))

    def closing(self) -> Iterator[str]:
        """What came of it all, once."""
        if not self.total:
            return
        took = f"{self.done} of {self.total} jobs done in {duration(time.time() - self.begun)}"
        self.total = 0
        if self.stopped:
            yield f"stopped: {took}; {AGAIN}"
        elif self.failed:
            yield f"{len(self.failed)} failed ({'; '.join(self.failed.values())}); {took}; {AGAIN}"
        elif self.done:
            yield took
            yield from made_lines([path for path in self.made if path.is_file()])

    def _place(self) -> str:
        return f"{self.done:>{len(str(self.total))}}/{self.total}"


def rate_of(progress: Progress) -> str:
    """`200 steps, 1.1 a second`."""
    each = str(Progress(progress.done, progress.total, progress.rate)).partition(", ")[2]
    return f"{progress.total} steps" + (f", {each}" if each else "")


def without_scale(label: str) -> str:
    """A rule's message without what is the same of all jobs."""
    return re.sub(r",? (?:of )?scale \w+", "", " ".join(label.split()))


def made_lines(files: Sequence[Path]) -> Iterator[str]:
    """Files by folder and name, `results/tiny/tables: table4.csv .md .tex`."""
    for folder, inside in groupby(sorted(set(files)), key=lambda path: path.parent):
        names = [f"{stem}{' '.join(path.suffix for path in same)}" for stem, same in groupby(inside, lambda p: p.stem)]
        yield f"  {folder}: {', '.join(names)}"
