"""The lab that is reported on: its scale, its two phases, and the plan, which must be older than the runs that decide.

The plan is `experiments/lab/claims.yaml`, or the one that a set of arms names. Its age is git's to say: the commit that
last changed it must be the commit of a confirming run, or one before that. What a run saw is told by the digest that it
left: the file must still have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salt.config.files import relative, repository_root
from salt.config.lab_arms import PLAN, load_arms, scale_of
from salt.config.lab_claims import claims_path
from salt.config.load import load_experiment, load_scale
from salt.errors import SaltError
from salt.files import sha256
from salt.git import ask_git
from salt.report.lab.measured import Run

SHORT = 10
"""Digits of a commit as printed."""


@dataclass(frozen=True)
class Lab:
    """A scale with exact worlds, as far as its report needs it."""

    name: str
    explore: tuple[int, ...]
    """Training seeds with which everything was chosen."""
    confirm: tuple[int, ...]
    """Fresh ones."""
    meaningful: bool = True
    """False: its numbers mean nothing."""
    about: str = ""
    """What it is."""
    limits: tuple[str, ...] = ()
    """What it cannot show."""


def load_lab(scale: str) -> Lab:
    """The lab of a scale.

    Raises:
        SaltError: no such scale, or one without exact worlds.
    """
    loaded = load_scale(scale)
    if loaded.exact is None:
        raise SaltError(f"--lab {scale}: this scale has no exact world; accepted: lab, or another scale with `exact`")
    seeds = {name: tuple(range(phase.first, phase.last + 1)) for name, phase in loaded.exact.phases.items()}
    confirm = seeds.get("confirm", ())
    return Lab(scale, seeds["explore"], confirm, loaded.meaningful, loaded.about, loaded.limits)


def arm_titles(lab: str) -> dict[str, str]:
    """Every arm by its name, and how it prints: its own title, or its row's.

    Raises:
        SaltError: a mistake in experiments/lab/arms.yaml or in a row.
    """
    return {
        name: arm.title or load_experiment(arm.row, scale_of(one.world, lab).name).title
        for one in load_arms().sets.values()
        for name, arm in one.arms.items()
    }


@dataclass(frozen=True)
class Plan:
    """What is known of a plan's age and of its runs."""

    name: str
    """Stem of its file."""

    sha256: str
    """Of the file as it is now."""
    commit: str | None
    """That last changed it, in full; None: not under git, or never committed."""
    date: str | None
    """Of that commit, YYYY-MM-DD."""
    uncommitted: bool
    """Whether the file has changes that are not committed."""
    older: dict[str, bool | None]
    """Confirming run: whether its commit comes after the plan's, or is the same; None: git cannot tell."""
    changed: tuple[str, ...]
    """Confirming runs that saw another text."""

    @property
    def why_not(self) -> str:
        """Why nothing can be decided by these runs; empty: the plan is what they saw."""
        if not self.changed:
            return ""
        return f"the plan is not what it was: {', '.join(self.changed)} ran with another text of it"

    @property
    def registered(self) -> bool:
        """Whether git shows the plan, as it is, to be older than every confirming run."""
        return bool(self.older) and all(self.older.values()) and not (self.uncommitted or self.changed)

    def lines(self, runs: Sequence[Run]) -> list[str]:
        """As sentences."""
        name = relative(claims_path(self.name))
        if self.commit is None:
            lines = [f"Plan: {name}, SHA-256 {self.sha256[:SHORT]}; no commit of it is known here, nor its age."]
        else:
            lines = [f"Plan: {name}, commit {self.commit[:SHORT]} of {self.date}."]
        if self.uncommitted:
            lines.append("The plan has changes that are not committed.")
        groups: dict[str, list[Run]] = {}
        for run in (one for one in runs if one.name in self.older):
            groups.setdefault(_commit_text(run, self.older[run.name]), []).append(run)
        told = [
            f"{', '.join(run.name for run in of_it)} ({commit}, {_when(of_it)})" for commit, of_it in groups.items()
        ]
        return [*lines, f"Confirming runs: {'; '.join(told) or 'none'}.", self.age]

    @property
    def age(self) -> str:
        """In a sentence: whether it was there before the confirming runs."""
        if not self.older:
            return "There is no confirming run yet."
        if self.changed:
            return f"{self.why_not[0].upper()}{self.why_not[1:]}."
        if self.registered:
            return "The plan is older than every confirming run, and has the text that they saw."
        late = [name for name, older in self.older.items() if older is False]
        if late:
            names = ", ".join(late)
            return f"The plan has the text that the confirming runs saw, but its commit is not older than {names}."
        return "The plan has the text that the confirming runs saw; whether its commit is older is not known."


def read_plan(every: Sequence[Run], name: str = PLAN) -> Plan:
    """A plan as it is now, against the confirming runs of the sets that name it."""
    path, runs = claims_path(name), [run for run in every if run.info.plan == name]
    digest, root = sha256(path), repository_root()
    changed = tuple(run.name for run in runs if run.info.plan_sha256 != digest)
    commit = date = None
    if ask_git(root, "rev-parse", "--is-shallow-repository") == "false":
        found = (ask_git(root, "log", "-1", "--format=%H %cs", "--", str(path)) or "").split()
        commit, date = found if len(found) == 2 else (None, None)
    uncommitted = bool(ask_git(root, "status", "--porcelain", "--", str(path)))
    older = {run.name: _comes_after(root, commit, run.info.commit) for run in runs}
    return Plan(name, digest, commit, date, uncommitted, older, changed)


def _comes_after(root: Path, plan: str | None, run: str | None) -> bool | None:
    """Whether `plan` is the commit `run` or one before it; None where one of them is not known here."""
    if plan is None or run is None:
        return None
    known = ask_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{run}^{{commit}}")
    return None if known is None else ask_git(root, "merge-base", "--is-ancestor", plan, known) is not None


def _commit_text(run: Run, older: bool | None) -> str:
    if run.info.commit is None:
        return "no commit"
    edited = " with uncommitted changes" if run.info.dirty else ""
    known = "" if older is not None else ", unknown here"
    return f"commit {run.info.commit[:SHORT]}{edited}{known}"


def _when(runs: Sequence[Run]) -> str:
    """When the first and the last of them were finished."""
    times = sorted(run.info.finished for run in runs)
    return f"finished {times[0]}" + (f" to {times[-1]}" if times[-1] != times[0] else "")
