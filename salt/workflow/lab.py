"""What the rules of the lab look up: its sets of arms, its ensembles of seeds, and where its files lie.

A scale's file names the scale of its lab (`lab: lab_smoke`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from salt.config.files import repository_root
from salt.config.hashing import content_hash, training_hash
from salt.config.lab import Exact
from salt.config.lab_arms import WORLDS, Arms, exact_of, load_arms, scale_of
from salt.config.lab_figures import FIGURES, LabFigures, load_lab_figures
from salt.config.schema import Experiment
from salt.files import sha256
from salt.workflow.settings import Settings
from salt.workflow.stages import Stages
from salt.workflow.states import State


@dataclass(frozen=True)
class Lab:
    """The lab of one scale."""

    settings: Settings
    name: str
    """The scale of the mixture; that of the chain lies beside it."""
    arms: Arms
    drawn: LabFigures
    stages: Stages
    tables: tuple[str, ...] = ("lab_controls", "lab_claims", "lab_beyond")

    @classmethod
    def load(cls, name: str, settings: Settings, stages: Stages) -> "Lab":
        """Read the files in experiments/lab.

        Args:
            name: scale of the lab.
            settings: what `--config` gave.
            stages: numbers of rules.

        Raises:
            SaltError: a mistake in any of them, in one line.
        """
        arms = load_arms()
        return cls(settings, name, arms, load_lab_figures(arms), stages)

    # ------------------------------------------------------------------------------------------------ places
    @property
    def scratch(self) -> str:
        """Weights and logs."""
        return Path(self.settings.scratch, self.name).as_posix()

    @property
    def results(self) -> str:
        """Tables and the report."""
        return Path(self.settings.out, "results", self.name).as_posix()

    @property
    def records(self) -> str:
        """What tables and figures are made from."""
        return f"{self.results}/records"

    @property
    def figures(self) -> str:
        """The figures."""
        return Path(self.settings.out, "paper_figures", self.name).as_posix()

    # --------------------------------------------------------------------------------------------- ensembles
    @cached_property
    def exact(self) -> Exact:
        """The section of the mixture's scale; phases and members are the same in both worlds."""
        return exact_of("mixture", self.name)

    @property
    def drawn_phase(self) -> str:
        """That which figures are drawn from: the confirming seeds, where there are any."""
        return list(self.exact.phases)[-1]

    def ensembles(self, *phases: str) -> list[str]:
        """Each ensemble of seeds of some phases, as it stands in names of files: `0-15`."""
        chosen = [self.exact.phases[phase] for phase in phases]
        members = self.exact.members
        firsts = [seed for phase in chosen for seed in range(phase.first, phase.last + 1, members)]
        return [f"{first}-{first + members - 1}" for first in firsts]

    @property
    def every_ensemble(self) -> list[str]:
        """Of all phases."""
        return self.ensembles(*self.exact.phases)

    # ---------------------------------------------------------------------------------------------- records
    def records_of(self, sets: Sequence[str], ensembles: Sequence[str]) -> list[str]:
        """The record files of some sets."""
        return [f"{self.records}/{name}_{ensemble}.csv.gz" for name in sets for ensemble in ensembles]

    def starts_of(self, name: str, ensemble: str) -> list[str]:
        """The records of the sets that hold what the arms of a set start from, other than its own."""
        one = self.arms.sets[name]
        starts = [one.critic, *(each.init for each in self._experiments(name).values() if each.init != "random")]
        sets = [found for start in starts if (found := self.arms.set_of(start)) != name]
        return self.records_of(list(dict.fromkeys(sets)), [ensemble])

    def records_of_figure(self, name: str) -> list[str]:
        """What a figure is drawn from: all ensembles of its phase, or as many as it asks for."""
        spec = self.drawn.spec(name)
        sets = list(dict.fromkeys(self.arms.set_of(arm) for _, arm in spec.named()))
        return self.records_of(sets, self.ensembles(self.drawn_phase)[: spec.ensembles])

    @property
    def claimed(self) -> str:
        """SHA-256 of the claims and their verdicts as they are; empty: there are none yet."""
        path = Path(self.results, "tables", "lab_claims.csv")
        return sha256(path) if path.exists() else ""

    @property
    def figure_names(self) -> tuple[str, ...]:
        """All figures of the lab."""
        return tuple(FIGURES)

    @property
    def all_records(self) -> list[str]:
        """Of every set and ensemble."""
        return self.records_of(list(self.arms.sets), self.every_ensemble)

    # ----------------------------------------------------------------------------------------------- states
    def state_of_arms(self, name: str) -> State:
        """What decides the records of a set: its experiments, and how they are measured."""
        trained: State = [[arm, training_hash(each)] for arm, each in self._experiments(name).items()]
        return [self.stages.lab_arms, content_hash(exact_of(self.arms.sets[name].world, self.name).measured), *trained]

    def state_of_truth(self) -> State:
        """What decides the analytic controls."""
        return [self.stages.lab_truth, *(content_hash(exact_of(world, self.name)) for world in WORLDS)]

    def _experiments(self, name: str) -> dict[str, Experiment]:
        """The arms of a set, read once for all its jobs."""
        if name not in self._read:
            one = self.arms.sets[name]
            scale = scale_of(one.world, self.name).name
            self._read[name] = {arm: each.experiment(scale) for arm, each in one.arms.items()}
        return self._read[name]

    @cached_property
    def _read(self) -> dict[str, dict[str, Experiment]]:
        return {}

    def state_of_results(self, rule: Literal["lab_table", "lab_figure", "lab_report"]) -> State:
        """What decides a table, a figure or the report besides records: what is claimed and drawn."""
        folder = repository_root() / "experiments" / "lab"
        return [getattr(self.stages, rule), *(sha256(path) for path in sorted(folder.glob("*.yaml")))]
