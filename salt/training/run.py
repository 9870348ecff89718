"""A run directory: one configuration and seed, one training at a time, on whichever host.

It holds `config.json` (what determines the weights), `checkpoints/`, `metrics.jsonl`, the `log` of every attempt, and
the lease of the process that works in it.

A lock of the operating system does not suffice on a cluster: some file systems keep it after its node has died, others
do not show it to other nodes. A lease is a file that its holder touches regularly. A waiting process takes it over if
the holder is dead on this host, or has not touched it for LEASE seconds by the waiting process's own clock.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from salt.config.hashing import NOT_TRAINING, differences
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import write_text
from salt.readers import Unreadable, read_json, read_text
from salt.training.parallel import ALONE, Workers

LEASE = 300.0  # seconds; longer than a process is ever too busy to touch it, and the same in all processes
LOOK = 10.0  # seconds between two attempts to take it, made by all processes: well below torch.distributed's timeout

log = logging.getLogger(__name__)


@contextmanager
def lease_run(run: Path, workers: Workers = ALONE, wait: bool = False) -> Iterator[Callable[[], None]]:
    """Be the only training in a run directory.

    A workflow that is started again after it was killed also submits jobs that are still running. Such a second job
    must neither train nor fail: with `wait` it waits, and then finds the weights complete, or continues from where the
    first job was stopped.

    Args:
        run: created if it does not exist.
        workers: the first of them holds the lease for all.
        wait: wait for another training there to end.

    Yields:
        A function to call before anything is written: it raises SaltError if another process has taken the lease,
        because this one was suspended, or cut off from the disk, for longer than LEASE.

    Raises:
        SaltError: another process trains there and `wait` is off, or the directory cannot be created.
    """
    holder, lease = run / "lease.holder", Lease(run / "lease")

    def check() -> None:
        if lease.lost:
            raise SaltError(f"{run}: {_read(holder)} has taken this run over; this process stops")

    try:
        if workers.first:
            run.mkdir(parents=True, exist_ok=True)
        seconds = 0.0
        while not workers.any(workers.first and lease.take(seconds)):
            if not wait:
                raise SaltError(
                    f"{run}: {_read(holder)} is training in this run directory; stop it, or say --wait, which also "
                    f"takes over from a dead host after {LEASE:g} seconds"
                )
            if workers.first and not seconds:
                log.info("%s: waiting for %s, which trains here", run, _read(holder))
            seconds = LOOK
        if workers.first:
            write_text(holder, _who())
    except OSError as error:
        raise SaltError(f"{run}: cannot be used as a run directory: {error.strerror or error}") from error
    try:
        with _logged(run / "log") if workers.first else nullcontext():
            yield check
    finally:
        if not lease.lost:
            holder.unlink(missing_ok=True)
        lease.release()


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a lease, after waiting for any other process that does; a dead holder is taken over from after LEASE."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lease = Lease(place)
    while not lease.take(LOOK):
        log.info("%s: waiting for another process", place)
    try:
        yield
    finally:
        lease.release()


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Append log messages to a file as well, since a workflow keeps a job's log of the last attempt only."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        log.info("%s begins", _who())
        yield
    except BaseException as error:
        handler.handle(logging.makeLogRecord({"msg": f"{type(error).__name__}: {error}"}))
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


class Lease:
    """A lease file of LEASE seconds.

    The library takes over from holders that are dead, or silent for that long. It leaves files that it cannot judge, as
    an empty one, which a process leaves that is killed between making and filling it: those are judged by age here.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._held = SoftFileLease(place, lease_duration=LEASE, poll_interval=0.2)
        self._seen: tuple[float, int] | None = None
        self._since = 0.0

    @property
    def lost(self) -> bool:
        """Whether another process has taken it over."""
        return self._held.compromise is not None

    def take(self, seconds: float) -> bool:
        """Try for some seconds; whether it is held now."""
        try:
            self._held.acquire(timeout=seconds)
        except Timeout:
            self._drop_if_silent()
        except LeaseSettingsMismatch:
            time.sleep(seconds)
            self._drop_if_silent()
        else:
            return True
        return False

    def release(self) -> None:
        """Let it go."""
        self._held.release()

    def _drop_if_silent(self) -> None:
        """Remove a file that nobody has touched for LEASE seconds."""
        try:
            state = self._place.stat()
        except OSError:
            self._seen = None
            return
        if self._seen != (state.st_mtime, state.st_ino):
            self._seen, self._since = (state.st_mtime, state.st_ino), time.monotonic()
        elif time.monotonic() - self._since > LEASE:
            self._place.unlink(missing_ok=True)


def _who() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {socket.gethostname()}" + (f" (SLURM job {job})" if job else "")


def _read(holder: Path) -> str:
    try:
        return read_text(holder, "the name of a process")
    except Unreadable:
        return "another process"


def claim_run(run: Path, experiment: Experiment, seed: int) -> None:
    """Write the configuration into a new run directory, or check that it is the one the run was begun with.

    Raises:
        SaltError: the run was begun with another configuration; the message names the keys that differ.
    """
    path = run / "config.json"
    wanted = {"seed": seed} | experiment.model_dump(mode="json", exclude=NOT_TRAINING)
    if not path.exists():
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    begun = read_json(path, f"as `salt train` wrote it; delete {run} to begin anew")
    if found := differences(begun, wanted):
        raise SaltError(
            f"{run}: this run was begun with another configuration: {'; '.join(found)}; "
            "use another run directory, or delete this one to begin anew"
        )
