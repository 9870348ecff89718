"""All that the rules of one scale read, loaded and checked before the first job."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from salt.config.files import accepted, scale_names
from salt.config.load import load_experiment, load_scale
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import REAL, TEACHER
from salt.evaluation.lengths import Length, length_of_cells
from salt.report.suite import experiments_at, load_suite
from salt.workflow.entries import REFERENCES, Entries, check_entries, chosen_of
from salt.workflow.lab import Lab
from salt.workflow.layout import Layout
from salt.workflow.printed import Printed, printed_by
from salt.workflow.resources import Resources
from salt.workflow.settings import Settings
from salt.workflow.stages import load_stages
from salt.workflow.states import State, States

RANDOM = "random"


@dataclass(frozen=True)
class Workflow:
    """One scale under one `--config`."""

    settings: Settings
    scale: Scale
    experiments: Mapping[str, Experiment]
    """The teacher's and the students'."""
    imported: Collection[str]
    """Students whose weights are published ones."""
    entries: Entries
    states: States
    resources: Resources

    @classmethod
    def load(cls, config: Mapping[str, Any], folder: Path) -> "Workflow":
        """Read the settings, the experiments, and the files beside the rules.

        Args:
            config: what `--config` gave.
            folder: that of the Snakefile.

        Raises:
            SaltError: a mistake in any of them, in one line.
        """
        settings = Settings.read(config)
        scale = load_scale(settings.scale)
        if scale.exact is not None:
            raise SaltError(
                f"--config scale={scale.name}: a scale of the lab, which is run beside those of videos; accepted: "
                "snakemake lab"
            )
        experiments = {name: load_experiment(name, scale.name) for name in experiments_at(scale)}
        students = [name for name in experiments if name != TEACHER]
        check_starts(experiments, students)
        suite = load_suite().at(scale)
        check_entries(suite, students)
        imported = imported_of(settings, experiments, students)
        resources = Resources.load(folder, scale.name)
        states = States(scale, experiments, imported, load_stages(folder))
        if settings.only:
            suite = chosen_of(suite, settings.only)
        entries = Entries(suite, scale, imported, settings.seeds)
        return cls(settings, scale, experiments, imported, entries, states, resources)

    def check_captions(self) -> None:
        """Refuse an evaluation on more captions than the world has, before anything is trained for it."""
        evaluation = self.scale.evaluation
        if self.scale.exact is None and self.scale.data is None:
            report_prompts(self.scale.world, max(evaluation.prompts, evaluation.long.prompts if evaluation.long else 0))

    @property
    def students(self) -> list[str]:
        """All that is distilled."""
        return [name for name in self.experiments if name != TEACHER]

    @property
    def published(self) -> list[str]:
        """The rows of tables whose weights are published ones."""
        rows = {row.experiment for table in self.entries.tables.values() for row in table.rows}
        return [name for name in self.imported if name in rows]

    @property
    def sampled(self) -> list[str]:
        """All that videos are made of."""
        return [*self.students, *REFERENCES]

    @property
    def long(self) -> list[str]:
        """All that long videos may be made of."""
        return [*self.students, REAL]

    @cached_property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.settings, self.entries, self.states, self.resources)

    @cached_property
    def lab(self) -> Lab | None:
        """The lab whose targets this scale has."""
        name = self.scale.lab
        return None if name is None else Lab.load(name, self.settings, self.states.stages)

    @cached_property
    def printed(self) -> Printed:
        """What of each model is sampled and measured."""
        return printed_by(self.entries, self.experiments, claims=not self.settings.only)

    def state_of_figure(self, name: str) -> State:
        """What decides a figure besides its records."""
        entry = self.entries.figures[name]
        return self.states.figure(entry, self.layout.filmed(entry))

    @property
    def beside(self) -> str | None:
        """The scale whose tables and figures are made with this one's."""
        return None if self.settings.only else self.scale.beside

    @property
    def guides(self) -> bool:
        """Whether it writes the page on the results of all scales: one that runs beside another leaves that to it."""
        alone = all(load_scale(name).beside != self.scale.name for name in scale_names())
        return self.scale.meaningful and alone and not self.settings.only

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What the real VBench scores of videos of training length, a job each; nothing where it does not score."""
        return _dimensions(length_of_cells(self.scale, long=False))

    @property
    def long_dimensions(self) -> tuple[str, ...]:
        """The same of long videos."""
        return _dimensions(length_of_cells(self.scale, long=True))

    def beside_targets(self) -> list[str]:
        """The tables and figures of the scale beside this one."""
        if self.beside is None:
            return []
        suite = load_suite().at(load_scale(self.beside))
        return [*suite.tables, *suite.figures]


def _dimensions(length: Length) -> tuple[str, ...]:
    return length.vbench.dimensions() if length.vbench else ()


def imported_of(settings: Settings, experiments: Mapping[str, Experiment], students: Collection[str]) -> list[str]:
    """The students whose published weights are taken.

    Raises:
        SaltError: they are asked for, and none has any at this scale.
    """
    published = {name: experiments[name].released for name in students if experiments[name].released is not None}
    if settings.weights == "released":
        if not published:
            place = f"scales.{settings.scale}.released"
            raise SaltError(f"--config weights=released: no experiment has {place}; accepted: weights=trained")
        return list(published)
    return [name for name, found in published.items() if found and found.always and settings.weights is None]


def check_starts(experiments: Mapping[str, Experiment], students: Collection[str]) -> None:
    """Refuse a start that is no student, and a chain of starts that is a circle."""
    for name in students:
        chain = [name]
        while (init := experiments[chain[-1]].init) not in (TEACHER, RANDOM):
            if init not in students:
                near = accepted(init, [TEACHER, RANDOM, *students])
                raise SaltError(f"experiments/{chain[-1]}.yaml: init = {init}; {near}")
            if init in chain:
                raise SaltError(f"experiments/{name}.yaml: init: {' -> '.join([*chain, init])} is a circle")
            chain.append(init)
