"""The faults: each is made in a stage's folder, and then the same command must complete what an unbroken run makes."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from support.fault_runs import Disturbance
from support.fault_stages import Stage
from support.fault_world import Case, Outcome, World

DAY = 86_400.0
Fault = Callable[[Case], Outcome]


# ---------------------------------------------------------------------------------------------------- signals
def killed(times: int = 5, number: signal.Signals = signal.SIGKILL, codes: Sequence[int] = (-9,)) -> Fault:
    """A signal at random moments, again and again, each time in what the ones before have left."""

    def fault(case: Case) -> Outcome:
        outcome = Outcome()
        for _ in range(6 * times):
            if outcome.injected == times:
                break
            process = case.world.warm.start(case.stage.words(case.world.folder, case.folder))
            time.sleep(case.moment())
            _send(process, number)
            ended = case.world.warm.end(process)
            if ended.code in codes:
                outcome.injected += 1
            elif ended.code == 0:  # it had ended before: begin anew
                shutil.rmtree(case.folder)
                case.folder.mkdir()
            else:
                outcome.wrong(f"exit {ended.code}: {ended.said}")
        return case.completed(outcome)

    return fault


def _send(process: ForkServerProcess, number: signal.Signals) -> None:
    """A signal, unless the process has ended."""
    with suppress(ProcessLookupError):
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)


def suspended(case: Case) -> Outcome:
    """SIGSTOP, and SIGCONT after a while."""
    process = case.world.warm.start(case.stage.words(case.world.folder, case.folder))
    time.sleep(case.moment())
    outcome = Outcome(injected=1)
    _send(process, signal.SIGSTOP)
    time.sleep(0.3)
    _send(process, signal.SIGCONT)
    ended = case.world.warm.end(process)
    if ended.code != 0:
        outcome.wrong(f"exit {ended.code}: {ended.said}")
    return case.compared(outcome)


def two_at_once(case: Case) -> Outcome:
    """The same command twice at one time: one of them makes it, the other too, or it says who is at it."""
    words = case.stage.words(case.world.folder, case.folder)
    first = case.world.warm.start(words)
    time.sleep(case.moment() / 2)
    ended = [case.world.warm.end(process) for process in (case.world.warm.start(words), first)]
    outcome = Outcome(injected=1)
    for each in ended:
        if each.code != 0 and not each.refused:
            outcome.wrong(f"exit {each.code}: {each.said}")
    if all(each.code for each in ended):
        outcome.wrong("neither of two ended well")
    return case.completed(outcome)


# --------------------------------------------------------------------------------------------------- the disk
@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own in a case's folder; whether it may be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def full_disk(case: Case) -> Outcome:
    """A disk that is full after a random part of what the stage writes; where none may be mounted, a limit of files."""
    wanted = sum(map(len, case.world.wanted(case.stage).values()))
    room = int(case.rng.random() * wanted)
    with small_disk(case.folder) as mounted:
        if mounted:
            ballast = case.folder / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(case.folder).free - room // 4096 * 4096)
            ended = case.start()
            ballast.unlink()
        else:
            ended = case.start(Disturbance(largest=max(1, room)))
        outcome = Outcome(injected=int(ended.code != 0))
        if ended.code != 0 and not ended.refused:
            outcome.wrong(f"exit {ended.code}: {ended.said}")
        return case.completed(outcome)


def read_only(case: Case) -> Outcome:
    """A folder in which nothing may be written."""
    with small_disk(case.folder) as mounted:
        if not mounted and os.geteuid() == 0:
            return Outcome()  # whom no mode of a folder keeps out
        _let_write(case.folder, mounted, False)
        ended = case.start()
        _let_write(case.folder, mounted, True)
        outcome = Outcome(injected=1)
        if not ended.refused:
            outcome.wrong(f"exit {ended.code}: {ended.said}")
        return case.completed(outcome)


def _let_write(folder: Path, mounted: bool, may: bool) -> None:
    if mounted:
        subprocess.run(["mount", "-o", f"remount,{'rw' if may else 'ro'}", folder], check=True)
    else:
        folder.chmod(0o755 if may else 0o555)


# -------------------------------------------------------------------------------------------------- the clock
def clock_set_back(case: Case) -> Outcome:
    """A process is killed, and the next one finds files of next year, by a clock that is a day behind."""
    killed(1)(case)
    for path in case.folder.rglob("*"):
        os.utime(path, (time.time() + 365 * DAY,) * 2, follow_symlinks=False)
    outcome = Outcome(injected=1)
    ended = case.start(Disturbance(clock=-DAY))
    if ended.code != 0:
        outcome.wrong(f"exit {ended.code}: {ended.said}")
    return case.compared(outcome)


# ---------------------------------------------------------------------------------------------------- damage
def _truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


DAMAGES = {"truncated": _truncate, "one bit": _flip}


def damaged(how: str, of: str) -> Fault:
    """One file is damaged: of what the stage wrote (`output`), of its run directory (`run`), or of what it reads.

    It must be made again, or refused in one line; what is damaged is then removed, or what is read put back. Of what is
    read without a record of its hash a changed number may be taken for what it says.
    """

    def fault(case: Case) -> Outcome:
        stage, run = case.stage, tuple(filter(None, [case.stage.run]))
        names = {"output": stage.outputs, "run": run, "input": stage.reads}[of]
        place = case.world.folder if of == "input" else case.folder
        if of != "input":
            case.world.copy((*stage.outputs, *run), case.folder)
        found = case.a_file(place, names)
        if found is None:
            return Outcome()
        if of == "run":
            for name in stage.outputs:
                _remove(case.folder / name)
        before = found.read_bytes()
        try:
            DAMAGES[how](found, case.rng)
            ended = case.start()
        finally:
            if of == "input":
                found.write_bytes(before)
        outcome = Outcome(injected=1)
        if ended.code == 0 and (of != "input" or stage.recorded):
            outcome = case.compared(outcome)
            outcome.why = outcome.why and f"{found.name}: {outcome.why}"
            return outcome
        if ended.code and not ended.refused:
            outcome.wrong(f"{found.name}: exit {ended.code}: {ended.said}")
        if of == "run":
            _remove(case.folder / (stage.run or ""))
        elif of == "output":
            found.unlink(missing_ok=True)
        return case.completed(outcome)

    return fault


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def nan_in_a_step(case: Case) -> Outcome:
    """A loss is NaN in one iteration: nothing is updated with it, and the same command goes on."""
    if not case.stage.trains:
        return Outcome()
    ended = case.start(Disturbance(nan_at=case.rng.randint(1, 2)))
    outcome = Outcome(injected=1)
    if not ended.refused:
        outcome.wrong(f"exit {ended.code}: {ended.said}")
    return case.completed(outcome)


FAULTS: dict[str, Fault] = {
    "SIGKILL": killed(),
    "SIGTERM": killed(1, signal.SIGTERM, (-15, 75)),
    "SIGSTOP": suspended,
    "two processes": two_at_once,
    "disk full": full_disk,
    "read-only folder": read_only,
    "clock set back": clock_set_back,
    "NaN in a step": nan_in_a_step,
    **{f"{of}: {how}": damaged(how, of) for of in ("output", "run", "input") for how in DAMAGES},
}
"""In words -> what makes it; the order of the table."""
SHORT_FAULTS = FAULTS | {"SIGKILL": killed(2)}


def case_of(
    world: World,
    stage: Stage,
    fault: str,
    number: int,
    folder: Path,
    seed: int,
    faults: Mapping[str, Fault] = FAULTS,
) -> Outcome:
    """Make a case, which seed, stage, fault and number decide, and clear it away."""
    folder.mkdir()
    rng = random.Random(f"{seed} {stage.name} {fault} {number}")
    try:
        return faults[fault](Case(world, stage, folder, rng))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
