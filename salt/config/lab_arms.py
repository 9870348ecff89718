"""`experiments/lab/arms.yaml`: the arms of the lab, in sets. An arm is a row of the tables in an exact world.

A set is trained and measured by one job for each ensemble of seeds. What an arm overrides are dotted keys of the
experiment, as `--set` takes them.
"""

import json
from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from salt.config.base import Name, Section
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.lab import Exact
from salt.config.load import load_experiment, load_scale
from salt.config.scale import Scale
from salt.config.schema import Experiment, Look
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

World = Literal["mixture", "chain"]


class Arm(Section):
    """One trained ensemble."""

    row: Name
    """The experiment whose file it is."""
    title: str | None = None
    """Its name in tables; None: the row's."""
    label: str | None = None
    """A shorter name for figures; None: its title."""
    look: Look | None = None
    """How figures draw it; None: as the row."""
    set: dict[str, Any] = Field(default={})
    """Dotted key of the experiment -> its value here."""


class ArmSet(Section):
    """Arms that one job makes."""

    world: World
    about: str
    """What it asks."""
    critic: Name
    """The arm whose networks critics start from."""
    arms: dict[Name, Arm] = Field(min_length=1)
    """By name."""


class Arms(Section):
    """The whole file."""

    sets: dict[Name, ArmSet] = Field(min_length=1)
    """By name; what a set starts from is in it or in one before it."""

    @model_validator(mode="after")
    def _names(self) -> "Arms":
        seen: dict[str, str] = {}
        for name, one in self.sets.items():
            for arm in one.arms:
                if arm in seen:
                    raise ValueError(
                        f"sets.{name}.arms.{arm}: set {seen[arm]} has an arm of this name; accepted: a new one"
                    )
                seen[arm] = name
            if one.critic not in seen:
                raise ValueError(f"sets.{name}.critic = {one.critic}: no arm so far; {accepted(one.critic, seen)}")
        return self

    @property
    def all(self) -> dict[str, Arm]:
        """Every arm by its name."""
        return {name: arm for one in self.sets.values() for name, arm in one.arms.items()}

    def set_of(self, arm: str) -> str:
        """The set that an arm is in."""
        return next(name for name, one in self.sets.items() if arm in one.arms)

    def named(self, name: str) -> ArmSet:
        """One set; one that there is not is a `SaltError`."""
        if name not in self.sets:
            raise SaltError(f"set {name!r}: not in experiments/lab/arms.yaml; {accepted(name, self.sets)}")
        return self.sets[name]


@cache
def load_arms() -> Arms:
    """Read the file.

    Raises:
        SaltError: naming file, key, value and what is accepted.
    """
    path = repository_root() / "experiments" / "lab" / "arms.yaml"
    source = relative(path)
    arms = validate(Arms, Merged([Layer(read_mapping(path), source)]), source)
    for name, one in arms.sets.items():
        for arm, each in one.arms.items():
            if each.row not in experiment_names():
                raise SaltError(
                    f"{source}: sets.{name}.arms.{arm}.row = {each.row}: no such experiment; "
                    f"{accepted(each.row, experiment_names())}"
                )
    return arms


def scale_of(world: World, lab: str) -> Scale:
    """The scale of a world: the lab's own, or the one beside it.

    Raises:
        SaltError: a scale without an exact world, or without the one that is asked for.
    """
    scale = load_scale(lab)
    scale = scale if world == "mixture" or scale.beside is None else load_scale(scale.beside)
    if scale.exact is None or scale.exact.world.kind != world:
        raise SaltError(f"scale {lab}: it has no world of kind {world}; accepted: lab, lab_smoke")
    return scale


def ensemble(exact: Exact, first: int) -> tuple[int, ...]:
    """The seeds of the ensemble that begins with one.

    Raises:
        SaltError: no ensemble of a phase begins there.
    """
    phases = (exact.explore, exact.confirm)
    starts = [seed for phase in phases for seed in range(phase.first, phase.last + 1, exact.members)]
    if first not in starts:
        raise SaltError(f"--first {first}: no ensemble begins with this seed; accepted: {', '.join(map(str, starts))}")
    return tuple(range(first, first + exact.members))


def check_ensemble(name: str, lab: str, first: int) -> tuple[int, ...]:
    """The seeds of an ensemble for a set, by its first; a set or seed that there is not is a `SaltError`."""
    exact = scale_of(load_arms().named(name).world, lab).exact
    assert exact is not None
    return ensemble(exact, first)


def experiment_of(arm: Arm, world: World, lab: str) -> Experiment:
    """An arm's experiment: its row at the lab's scale of a world, with what it overrides and under its title."""
    overrides = {key: json.dumps(value) for key, value in arm.set.items()}
    experiment = load_experiment(arm.row, scale_of(world, lab).name, overrides)
    exact, train = experiment.scale.exact, experiment.train
    if exact is not None and exact.most_updates is not None:
        most = exact.most_updates
        every = min(train.preview_every, most // 2)
        train = train.model_copy(update={"iterations": min(train.iterations, most), "preview_every": every})
    return experiment.model_copy(update={"title": arm.title or experiment.title, "train": train})
