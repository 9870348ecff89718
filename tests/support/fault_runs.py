"""Runs of `salt` in processes of their own, which begin in no time: each is a fork of one that has imported all."""

import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from support.blocks import ROOT
from support.fault_stages import Words

PATIENCE = 120.0
"""Seconds after which a command hangs."""
OF_THE_DAY = ("seconds", "finished", "git", "commit", "inputs")
"""What differs between two runs of one command by right; hashes of all that was there to be read among it."""
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(  # what a command imports; the server of forks finds installed packages alone
    [
        f"salt.{folder}.{path.stem}"
        for folder in ("stages", "cli")
        for path in (ROOT / "salt" / folder).glob("[a-z]*.py")
    ]
    + ["salt.stages.shared.preview", "diffusers.models.transformers.transformer_wan", "matplotlib.pyplot"]
)


@dataclass(frozen=True)
class Disturbance:
    """What a process meets from its beginning.

    Attributes:
        nan_at: the loss is NaN in this iteration, of those that this process does.
        clock: seconds by which the clock is wrong.
        largest: bytes of the largest file that may be written.
    """

    nan_at: int | None = None
    clock: float = 0.0
    largest: int | None = None


def salt(words: Words, root: Path, log: Path, met: Disturbance) -> None:
    """What a process does."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(SALT_ROOT=str(root), GIT_DIR=str(root))  # no checkout: a commit in between is no difference
    sys.argv = ["salt", *map(str, words)]
    _meet(met)

    from salt.cli import main

    main()


def _meet(met: Disturbance) -> None:
    import resource

    from salt.training import loop

    if met.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (met.largest, met.largest))
    if met.clock:
        right = time.time
        time.time = lambda: right() + met.clock
    if met.nan_at is not None:
        iterate, done = loop.iterate, []

        def poisoned(job: loop.Job, state: Any) -> dict[str, float]:
            done.append(state.step)
            return iterate(replace(job, method=_Poisoned(job.method)) if len(done) == met.nan_at else job, state)

        loop.iterate = poisoned


class _Poisoned:
    """A method whose losses are NaN."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    def loss(self, *args: Any) -> Any:
        loss, extra = self._method.loss(*args)
        return loss * float("nan"), extra


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or a signal's negative number, and what it said."""

    code: int
    said: str

    @property
    def refused(self) -> bool:
        """Whether it said in one line what is wrong, and nothing of its inside."""
        lines = [line for line in self.said.splitlines() if line.startswith("salt: ")]
        return self.code == 2 and len(lines) == 1 and "Traceback" not in self.said


@dataclass
class Warm:
    """Starts processes, in a repository of its own."""

    root: Path
    logs: Path
    _count: int = 0
    _log_of: dict[int, Path] = field(default_factory=dict)

    def start(self, words: Words, met: Disturbance = Disturbance()) -> ForkServerProcess:
        self._count += 1
        log = self.logs / f"{self._count}.log"
        process = context.Process(target=salt, args=(words, self.root, log, met))
        process.start()
        assert process.pid is not None
        self._log_of[process.pid] = log
        return process

    def end(self, process: ForkServerProcess) -> Ended:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        log = self._log_of[process.pid or 0]
        return Ended(process.exitcode or 0, log.read_text(errors="replace") if log.exists() else "")

    def run(self, words: Words, met: Disturbance = Disturbance()) -> Ended:
        return self.end(self.start(words, met))


# ------------------------------------------------------------------------------------------- what came of it
def contents(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Content of all files of these names and below them, without what differs by right; of none, nothing."""
    found: dict[str, bytes] = {}
    for name in names:
        place = folder / name
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        found |= {path.relative_to(folder).as_posix(): _content(path) for path in files}
    return found


def _content(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    try:
        return json.dumps(_timeless(json.loads(path.read_bytes()))).encode()
    except ValueError:
        return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in OF_THE_DAY}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def litter(folder: Path) -> list[str]:
    """What unfinished work left, below a folder."""
    return sorted(path.name for path in folder.rglob(".*") if path.name.startswith("."))
