"""What in a scale's scratch folder nothing will read again, and could be deleted.

A run directory, an arm of the lab, a bank of latents and a set of trajectories carry the digest of what they are made
from in their name; videos carry the number of their stage. Those of another digest belong to files as they once were.
The checkpoints of a training go with it once its weights are whole. What a running training holds, or may read, stays.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from salt.config.hashing import training_hash
from salt.errors import SaltError
from salt.readers import read_json
from salt.workflow.arms import ArmStates
from salt.workflow.lab import Lab
from salt.workflow.load import Workflow

TEACHER, RUNS, CHECKPOINTS = "teacher", "runs", "checkpoints"


@dataclass(frozen=True)
class Garbage:
    """A folder that could go."""

    path: Path
    bytes: int
    why: str


def garbage_of(workflow: Workflow) -> list[Garbage]:
    """All folders of a scale that could go, the largest first; links are never followed."""
    scratch = Path(workflow.layout.scratch)
    held = [run for run in _runs(scratch) if _is_held(run)]
    found = [*_old_runs(workflow, held), *_old_videos(workflow)]
    if workflow.lab is not None:
        found += _old_arms(workflow.lab)
    if not held:  # a training that runs may read latents and trajectories of files as they were when it began
        found += _old_stores(workflow)
    sized = [Garbage(path, size_of(path), why) for path, why in found if not path.is_symlink()]
    return sorted(sized, key=lambda garbage: -garbage.bytes)


def _runs(scratch: Path) -> list[Path]:
    """Run directories, `teacher/HASH` and `EXPERIMENT/seedN/HASH`."""
    return sorted([*scratch.glob(f"{RUNS}/{TEACHER}/*"), *scratch.glob(f"{RUNS}/*/seed*/*")])


def _is_held(run: Path) -> bool:
    """Whether a training works in a run directory: its lease was renewed lately."""
    from salt.training.run import LEASE  # brings torch

    lease = run / "lease"
    return lease.is_file() and time.time() - lease.stat().st_mtime < LEASE


def _old_runs(workflow: Workflow, held: list[Path]) -> Iterator[tuple[Path, str]]:
    layout = workflow.layout
    for run in _runs(Path(layout.scratch)):
        if run in held or not run.is_dir():
            continue
        name, seed = run.relative_to(Path(layout.scratch, RUNS)).parts[0], run.parent.name.removeprefix("seed")
        if name not in workflow.experiments:
            yield run, f"there is no experiment {name}"
        elif run != Path(layout.run_of_teacher() if name == TEACHER else layout.run_of(name, seed)):
            yield run, "begun with other settings than those of today"
        elif name != TEACHER and (run / CHECKPOINTS).is_dir() and _is_trained(workflow, name, seed):
            yield run / CHECKPOINTS, "its weights are whole"


def _is_trained(workflow: Workflow, name: str, seed: str) -> bool:
    try:
        known = read_json(Path(workflow.layout.weights(name, seed)), "as `salt train` wrote it")
    except SaltError:
        return False
    return bool(known.get("training_hash") == training_hash(workflow.experiments[name]))


def _old_arms(lab: Lab) -> Iterator[tuple[Path, str]]:
    states, arms = ArmStates(lab.arms, lab.name), Path(lab.scratch, "arms")
    for run in sorted(arms.glob("*/*-*/*")):
        name = run.relative_to(arms).parts[0]
        if not run.is_dir() or _is_held(run):
            continue
        if name not in lab.arms.every():
            yield run, f"there is no arm {name}"
        elif run.name != states.digest(name):
            yield run, "begun with other settings than those of today"


def _old_stores(workflow: Workflow) -> Iterator[tuple[Path, str]]:
    layout, why = workflow.layout, "made from other settings than those of today"
    now = {Path(layout.latents)} | {Path(file).parent for name in workflow.students for file in layout.pairs_of(name)}
    scratch = Path(layout.scratch)
    for folder in sorted([*scratch.glob("latents/*"), *scratch.glob("pairs/*/*")]):
        if folder.is_dir() and folder not in now:
            yield folder, why


def _old_videos(workflow: Workflow) -> Iterator[tuple[Path, str]]:
    now, scratch = Path(workflow.layout.videos).name, Path(workflow.layout.scratch)
    for folder in sorted([*scratch.glob("videos/v[0-9]*"), *scratch.glob("only_*/videos/v[0-9]*")]):
        if folder.name != now and folder.is_dir():
            yield folder, f"of another stage number than {now}"


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, links aside."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def delete(garbage: Garbage) -> None:
    """Delete a folder, unless a training has begun to work in it meanwhile."""
    if not (_is_held(garbage.path) or _is_held(garbage.path.parent)):
        shutil.rmtree(garbage.path)
