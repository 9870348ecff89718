"""A run directory: one configuration and seed, one training at a time, on whichever host.

It holds `config.json` (what decides the weights), `checkpoints/`, `metrics.jsonl`, the `log` of every attempt, and the
lease of who works in it.

A lock of the operating system does not do on a cluster: file systems keep it for a node that died, or never show it to
the other nodes. A lease is a file that its holder touches; who waits for it takes it when its holder is dead on this
host, or has not been seen to touch it for LEASE seconds of the waiting process's own clock.
"""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import SoftFileLease, Timeout

from salt.config.hashing import NOT_TRAINING, differences
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import write_text
from salt.training.parallel import ALONE, Workers

LEASE = 300.0  # seconds; longer than a process is ever too busy to touch it, and equal in all that may meet
LOOK = 10.0  # seconds between two looks that all processes take together: well below the patience of torch.distributed

log = logging.getLogger(__name__)


@contextmanager
def lease_run(run: Path, workers: Workers = ALONE, wait: bool = False) -> Iterator[Callable[[], None]]:
    """Be the only training in a run directory.

    The successor of a killed workflow submits again what still runs. The second job must not train too, nor fail: told
    to wait, it does, and then finds the weights made, or continues from where the first one was stopped.

    Args:
        run: made if it is not there.
        workers: the first of them holds the lease for all.
        wait: for the end of another one that works there.

    Yields:
        What to call before anything is written: it raises SaltError if the lease went to another process meanwhile,
        because this one was stopped, or cut off from the disk, for longer than LEASE.

    Raises:
        SaltError: another one works there and `wait` is off, or the directory cannot be made.
    """
    holder, lease = run / "lease.holder", SoftFileLease(run / "lease", lease_duration=LEASE, poll_interval=0.2)

    def check() -> None:
        if lease.compromise:
            raise SaltError(f"{run}: {_read(holder)} has taken this run over; this process stops")

    try:
        if workers.first:
            run.mkdir(parents=True, exist_ok=True)
        seconds = 0.0
        while not workers.any(workers.first and _take(lease, seconds)):
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
        raise SaltError(f"{run}: no run directory can be had here: {error.strerror or error}") from error
    try:
        with _logged(run / "log") if workers.first else nullcontext():
            yield check
    finally:
        if not lease.compromise:
            holder.unlink(missing_ok=True)
        lease.release()


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait until no other process works under a name, and keep others waiting; a dead one is taken over after LEASE."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(place, lease_duration=LEASE, poll_interval=0.2)
    while not _take(lease, LOOK):
        log.info("%s: waiting for another process", place)
    try:
        yield
    finally:
        lease.release()


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Add what is told here to a file: a workflow keeps a job's own log of the last attempt only."""
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


def _take(lease: SoftFileLease, seconds: float) -> bool:
    try:
        lease.acquire(timeout=seconds)
    except Timeout:
        return False
    return True


def _who() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {socket.gethostname()}" + (f" (SLURM job {job})" if job else "")


def _read(holder: Path) -> str:
    return holder.read_text(encoding="utf-8") if holder.exists() else "another process"


def claim_run(run: Path, experiment: Experiment, seed: int) -> None:
    """Mark a new run directory with its configuration, or check that this is the one it was begun with.

    Raises:
        SaltError: it was begun with another one; the message names the keys that differ.
    """
    path = run / "config.json"
    wanted = {"seed": seed} | experiment.model_dump(mode="json", exclude=NOT_TRAINING)
    if not path.exists():
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SaltError(f"{path}: not JSON: {error}; delete {run} to begin anew") from error
    if found := differences(begun, wanted):
        raise SaltError(
            f"{run}: this run was begun with another configuration: {'; '.join(found)}; "
            "use another run directory, or delete this one to begin anew"
        )
