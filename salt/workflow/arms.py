"""What decides the weights of an arm of the lab, and the folder that is named by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from salt.config.hashing import training_hash
from salt.config.lab_arms import Arms, ArmSet, scale_of
from salt.config.schema import Experiment
from salt.digest import text_digest

VERSION = 1
"""Raise it when a change of code changes what is trained."""


@dataclass(frozen=True)
class ArmStates:
    """The arms of one lab."""

    arms: Arms
    lab: str
    """Scale of the lab."""

    @cached_property
    def _experiments(self) -> dict[str, Experiment]:
        return {}

    def set_of(self, arm: str) -> ArmSet:
        """The set that an arm is in.

        Raises:
            SaltError: there is no such arm.
        """
        return self.arms.sets[self.arms.set_of(arm)]

    def experiment(self, arm: str) -> Experiment:
        """What an arm is."""
        if arm not in self._experiments:
            scale = scale_of(self.set_of(arm).world, self.lab)
            self._experiments[arm] = self.arms.every()[arm].experiment(scale.name)
        return self._experiments[arm]

    def starts(self, arm: str) -> dict[str, str]:
        """Role -> the arm whose networks it starts from.

        Raises:
            SaltError: one of them is no arm.
        """
        experiment = self.experiment(arm)
        starts = {} if experiment.init == "random" else {"init": experiment.init}
        if experiment.objectives.dmd is not None:
            starts["critic"] = self.set_of(arm).critic
        for start in starts.values():
            self.arms.set_of(start)
        return starts

    def folder(self, arm: str, seeds: Sequence[int], scratch: Path) -> Path:
        """The run directory of an ensemble, named by the arm's experiment and by those of what it starts from."""
        return scratch / arm / f"{seeds[0]}-{seeds[-1]}" / self.digest(arm)

    def digest(self, arm: str) -> str:
        """Names the run directories of an arm as it is today."""
        return text_digest(repr(self._state(arm)))[:8]

    def _state(self, arm: str) -> list[object]:
        starts = [[role, self._state(start)] for role, start in self.starts(arm).items()]
        return [VERSION, training_hash(self.experiment(arm)), starts]
