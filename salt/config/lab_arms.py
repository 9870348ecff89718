"""The lab's arms: `experiments/lab/arms.yaml`. An arm is a row of the tables in an exact world, with keys of its own.

Arms come in sets: one job trains and measures those of a set for one ensemble of seeds. An arm's name is its own in the
whole file, so that claims and figures name arms alone.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from salt.config.base import Name, Section
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.lab import Exact
from salt.config.load import load_experiment, load_scale
from salt.config.scale import Scale
from salt.config.schema import Experiment, Look
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

World = Literal["mixture", "chain"]
WORLDS: tuple[World, ...] = ("mixture", "chain")
PLAN = "claims"
"""Stem of the plan with the paper's claims; a set of arms may name another one."""


class Arm(Section):
    """A row of the experiments at a scale of the lab, with overrides."""

    row: Name
    """Stem of the experiment's file."""
    title: str | None = None
    """In tables; None: the row's."""
    label: str | None = None
    """A shorter title, in figures; None: `title`, or the row's own label or title."""
    look: Look | None = None
    """How figures draw it; None: the row's, or one of those without a look of their own."""
    set: dict[str, Any] = Field(default={})
    """Dotted key of the experiment: value, as in `objectives.sc.weight: 0.3`."""
    cloud: bool = False
    """Whether samples of it are kept for figures."""

    def experiment(self, scale: str) -> Experiment:
        """What is trained."""
        experiment = load_experiment(self.row, scale, {key: json.dumps(value) for key, value in self.set.items()})
        exact, train = experiment.scale.exact, experiment.train
        if exact is not None and exact.most_updates is not None:
            most = exact.most_updates
            every = min(train.preview_every, most // 2)
            train = train.model_copy(update={"iterations": min(train.iterations, most), "preview_every": every})
        return experiment.model_copy(update={"title": self.title or experiment.title, "train": train})


class ArmSet(Section):
    """Arms that one job trains and measures, for one ensemble of seeds."""

    world: World
    """mixture, or chain."""
    about: str
    """What the set is for, in a sentence."""
    critic: Name
    """The arm with whose weights critics begin."""
    plan: Name = PLAN
    """Stem of the file in experiments/lab whose claims its confirming runs decide."""
    arms: dict[Name, Arm] = Field(min_length=1)
    """By name."""


class Drawn(Section):
    """How an arm is called and drawn."""

    title: str
    """In tables."""
    label: str
    """In figures, where there is little room."""
    look: Look | None
    """None: one of those without a look of their own."""


class Arms(Section):
    """The whole file."""

    sets: dict[Name, ArmSet] = Field(min_length=1)
    """By name."""

    def every(self) -> dict[str, Arm]:
        """All arms by name, in the order of the file."""
        return {name: arm for one in self.sets.values() for name, arm in one.arms.items()}

    def set_of(self, arm: str) -> str:
        """The set that an arm is of.

        Raises:
            SaltError: no set has it.
        """
        for name, one in self.sets.items():
            if arm in one.arms:
                return name
        raise SaltError(f"{_source()}: arm {arm!r}: in no set; {accepted(arm, self.every())}")

    def named(self, name: str) -> ArmSet:
        """One set; one that there is not is a `SaltError`."""
        if name not in self.sets:
            raise SaltError(f"set {name!r}: not in {_source()}; {accepted(name, self.sets)}")
        return self.sets[name]

    def drawn(self, name: str) -> Drawn:
        """How figures call and draw an arm."""
        self.set_of(name)
        arm = self.every()[name]
        title, label, look = _of_row(arm.row)
        return Drawn(title=arm.title or title, label=arm.label or arm.title or label, look=arm.look or look)


def load_arms() -> Arms:
    """Read the file.

    Raises:
        SaltError: one line with file, key, value and what is accepted; also for an arm that is named twice, and for a
            row or a critic that there is not.
    """
    path = repository_root() / "experiments" / "lab" / "arms.yaml"
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _read(path: Path, written: int) -> Arms:
    """The file as it was written at a time."""
    source = relative(path)
    arms = validate(Arms, Merged([Layer(read_mapping(path), source)]), source)
    rows, every, seen = experiment_names(), arms.every(), dict[str, str]()
    for set_name, one in arms.sets.items():
        here = f"{source}: sets.{set_name}"
        if one.critic not in every:
            raise SaltError(f"{here}.critic = {one.critic}: no such arm; {accepted(one.critic, every)}")
        for name, arm in one.arms.items():
            if name in seen:
                raise SaltError(f"{here}.arms.{name}: set {seen[name]} has an arm of this name; accepted: another name")
            if arm.row not in rows:
                raise SaltError(f"{here}.arms.{name}.row = {arm.row}: no such experiment; {accepted(arm.row, rows)}")
            seen[name] = set_name
    return arms


# ------------------------------------------------------------------------------------- scales and ensembles
def scale_of(world: World, lab: str) -> Scale:
    """The scale of a world: the lab's own, or the one beside it.

    Raises:
        SaltError: a scale without an exact world, or without the one that is asked for.
    """
    scale = load_scale(lab)
    scale = scale if world == "mixture" or scale.beside is None else load_scale(scale.beside)
    if scale.exact is None or scale.exact.world.kind != world:
        raise SaltError(f"--lab {lab}: this scale has no world of kind {world}; accepted: lab, lab_smoke")
    return scale


def exact_of(world: World, lab: str) -> Exact:
    """The section `exact` of that scale."""
    exact = scale_of(world, lab).exact
    assert exact is not None  # scale_of refuses others
    return exact


def ensemble(name: str, lab: str, first: int) -> tuple[int, ...]:
    """The seeds of the ensemble that begins with one, for a set of arms.

    Raises:
        SaltError: no such set, or no ensemble of a phase begins there.
    """
    exact = exact_of(load_arms().named(name).world, lab)
    starts = [seed for phase in exact.phases.values() for seed in range(phase.first, phase.last + 1, exact.members)]
    if first not in starts:
        raise SaltError(f"--first {first}: no ensemble begins with this seed; accepted: {', '.join(map(str, starts))}")
    return tuple(range(first, first + exact.members))


def _source() -> str:
    return relative(repository_root() / "experiments" / "lab" / "arms.yaml")


def _of_row(row: str) -> tuple[str, str, Look | None]:
    """Title, label and look that a row's file states; the row need not be complete."""
    keys = read_mapping(repository_root() / "experiments" / f"{row}.yaml")
    title = str(keys.get("title", row)).replace(" (Ours)", "")
    look = keys.get("look")
    return title, str(keys.get("label", title)), None if look is None else Look.model_validate(look)
