"""The lab's arms: `experiments/lab/arms.yaml`. An arm is a row at a scale of the lab, with keys of its own.

Arms come in sets: one job trains and measures those of a set for one ensemble of seeds. An arm's name is its own in the
whole file, so that claims and figures name arms alone.
"""

import json
from typing import Literal

from pydantic import Field, JsonValue

from salt.config.base import Name, Section
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.load import load_experiment
from salt.config.schema import Experiment, Look
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

World = Literal["mixture", "chain"]


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
    set: dict[str, JsonValue] = Field(default_factory=dict)
    """Dotted key of the experiment: value, as in `objectives.sc.weight: 0.3`."""

    def overrides(self) -> dict[str, str]:
        """`set` as `load_experiment` takes it: values in YAML."""
        return {key: json.dumps(value) for key, value in self.set.items()}

    def experiment(self, scale: str) -> Experiment:
        """What is trained."""
        return load_experiment(self.row, scale, self.overrides())


class ArmSet(Section):
    """Arms that one job trains and measures, for one ensemble of seeds."""

    world: World
    """mixture, or chain."""
    about: str
    """What the set is for, in a sentence."""
    critic: Name
    """The arm with whose weights critics begin."""
    arms: dict[Name, Arm] = Field(min_length=1)
    """By name."""


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

    def drawn(self, name: str) -> "Drawn":
        """How figures call and draw an arm."""
        self.set_of(name)
        arm = self.every()[name]
        title, label, look = _of_row(arm.row)
        return Drawn(title=arm.title or title, label=arm.label or arm.title or label, look=arm.look or look)


class Drawn(Section):
    """How an arm is called and drawn."""

    title: str
    """In tables."""
    label: str
    """In figures, where there is little room."""
    look: Look | None
    """None: one of those without a look of their own."""


def load_arms() -> Arms:
    """Read the file.

    Raises:
        SaltError: one line with file, key, value and what is accepted; also for an arm that is named twice, and for a
            row or a critic that there is not.
    """
    path, source = repository_root() / "experiments" / "lab" / "arms.yaml", _source()
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


def _source() -> str:
    return relative(repository_root() / "experiments" / "lab" / "arms.yaml")


def _of_row(row: str) -> tuple[str, str, Look | None]:
    """Title, label and look that a row's file states; the row need not be complete."""
    keys = read_mapping(repository_root() / "experiments" / f"{row}.yaml")
    title = str(keys.get("title", row)).replace(" (Ours)", "")
    look = keys.get("look")
    return title, str(keys.get("label", title)), None if look is None else Look.model_validate(look)
