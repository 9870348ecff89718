"""Where each output lies: below `scratch/{scale}`, `results/{scale}` and `paper_figures/{scale}`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from salt.workflow.entries import Entries, Entry
from salt.workflow.resources import Resources
from salt.workflow.settings import Settings
from salt.workflow.states import States, digest

RECORD_KINDS = ("long", "defect", "caches")
"""Records of students alone, but for long videos of real clips."""
WITH_REFERENCES = ("scores", "modes", "any_step")
"""Records of the teacher and of real clips as well."""
VIDEO_KINDS = {"videos": "", "long_videos": "_long"}
"""What a figure may hold frames of, and how their folders end."""

KEPT = {
    "score": {"scores": "{sampled}_seed{seed}_scores.csv", "prompts": "{sampled}_seed{seed}_prompts.csv.gz"},
    "score_long": {"scores": "{sampled}_seed{seed}_long.csv", "prompts": "{sampled}_seed{seed}_long_prompts.csv.gz"},
    "score_controls": {"scores": "controls.csv"},
    "modes": {"modes": "{sampled}_seed{seed}_modes.csv"},
    "modes_any_step": {"any_step": "{sampled}_seed{seed}_any_step.csv"},
    "defect": {
        "defect": "{experiment}_seed{seed}_defect.csv",
        "trajectory": "{experiment}_seed{seed}_trajectory.csv",
    },
    "caches": {"caches": "{experiment}_seed{seed}_caches.csv"},
    "training_curves": {"curves": "{experiment}_seed{seed}_curves.csv"},
    "clips": {"picture": "clips.webp", "index": "clips.json"},
    "figure": {"png": "{figure}.png", "pdf": "{figure}.pdf"},
}
"""Rule -> its files, by name."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one scale."""

    settings: Settings
    entries: Entries
    states: States
    resources: Resources

    @property
    def scratch(self) -> str:
        """What need not be kept."""
        return Path(self.settings.scratch, self.settings.scale).as_posix()

    @property
    def evaluation(self) -> str:
        """Where models are sampled and measured.

        A place apart where that is not done in full: a part of the videos, or the time of it, is not the whole.
        """
        part = "_".join(("only", *self.settings.only)) if self.settings.only else ""
        return Path(self.scratch, part).as_posix()

    @property
    def printed(self) -> str:
        """The name below results/ and paper_figures/: a row of released weights never stands for one trained here."""
        published = {name: experiment.released for name, experiment in self.states.experiments.items()}
        usual = {name for name, found in published.items() if found and found.always}
        scale, weights = self.settings.scale, self.settings.weights
        return scale if set(self.entries.imported) == usual else f"{scale}_{weights}"

    @property
    def results(self) -> str:
        """Tables, claims and the report."""
        return Path(self.settings.out, "results", self.printed).as_posix()

    @property
    def records(self) -> str:
        """What tables and figures are made from."""
        return f"{self.results}/records"

    @property
    def figures(self) -> str:
        """The figures."""
        return Path(self.settings.out, "paper_figures", self.printed).as_posix()

    @property
    def teacher(self) -> str:
        """Codec, text encoder and teacher."""
        return f"{self.scratch}/teacher"

    @cached_property
    def latents(self) -> str:
        """The bank of latents."""
        return f"{self.scratch}/latents/{digest(self.states.latents())}"

    @property
    def videos(self) -> str:
        """All videos, by stage number: `salt sample` keeps whole videos of the same weights."""
        return f"{self.evaluation}/videos/v{self.states.stages.sample}"

    def everything(self) -> list[str]:
        """What `snakemake` makes where no target is named: the report of all, or the tables and figures chosen."""
        if not self.settings.only:
            return [f"{self.results}/report.html"]
        tables = [f"{self.results}/tables/{name}.md" for name in self.entries.tables]
        return tables + [f"{self.figures}/{name}.png" for name in self.entries.figures]

    def run_of_teacher(self) -> str:
        """The run directory of a teacher that is trained."""
        return f"{self.scratch}/runs/teacher/{digest(self.states.teacher())}"

    def run_of(self, name: str, seed: str) -> str:
        """The run directory of a training."""
        return f"{self.scratch}/runs/{name}/seed{seed}/{digest(self.states.weights(name))}"

    def pairs(self, name: str, state: str) -> str:
        """The trajectories that an experiment regresses, of one state."""
        return f"{self.scratch}/pairs/{name}/{state}"

    def weights(self, name: str, seed: int | str) -> str:
        """What says that a student's weights are complete, trained here or imported."""
        folder = "released" if name in self.entries.imported else "weights"
        return f"{self.scratch}/{folder}/{name}/seed{seed}/provenance.json"

    def start_of(self, name: str) -> list[str]:
        """The weights that an experiment starts from, of training seed 0: one start for all seeds, as is published."""
        init = self.states.experiments[name].init
        return [self.weights(init, 0)] if self.states.is_student(init) else []

    def pairs_of(self, name: str) -> list[str]:
        """The trajectories that it regresses, where it regresses some: made once for all that regress the same."""
        if self.states.experiments[name].pairs is None:
            return []
        state = self.states.ode_pairs(name)
        first = next(other for other in sorted(self.states.experiments) if self.states.ode_pairs(other) == state)
        return [f"{self.pairs(first, digest(state))}/index.json"]

    def pairs_teacher(self, name: str) -> list[str]:
        """The weights of the causal teacher whose trajectories these are, where it is one."""
        pairs = self.states.experiments[name].pairs
        return [self.weights(pairs.teacher, 0)] if pairs is not None and self.states.is_student(pairs.teacher) else []

    def parts_of(self, rule: str, folder: str) -> list[str]:
        """What the jobs that share the work of a rule leave in its folder; nothing where one job does it all."""
        parts = self.resources.of(rule).parts
        return [f"{folder}/part_{part}_of_{parts}" for part in range(parts)] if parts > 1 else []

    def sampled_weights(self, name: str, seed: str) -> list[str]:
        """The weights of what is sampled; the references need the teacher's folder alone."""
        return [self.weights(name, seed)] if self.states.is_student(name) else []

    def outputs_of(self, rule: str) -> dict[str, str]:
        """Name -> pattern of the files of a rule whose results are kept, while what they are made of is not."""
        folder = {"figure": self.figures, "clips": self.results}.get(rule, self.records)
        return {name: f"{folder}/{pattern}" for name, pattern in KEPT[rule].items()}

    def records_of(self, entry: Entry) -> list[str]:
        """The record files that one table or figure reads."""
        students, references = self.entries.students(entry), self.entries.references(entry)
        files = []
        for kind in WITH_REFERENCES:
            if kind in entry.uses:
                files += [f"{self.records}/{name}_seed{seed}_{kind}.csv" for name, seed in students + references]
        for kind in RECORD_KINDS:
            if kind in entry.uses:
                measured = students + references if kind == "long" else students
                files += [f"{self.records}/{name}_seed{seed}_{kind}.csv" for name, seed in measured]
        if "controls" in entry.uses:
            files.append(f"{self.records}/controls.csv")
        return files

    def all_records(self) -> list[str]:
        """Those of all tables and figures."""
        return sorted({file for entry in self.entries.all for file in self.records_of(entry)})

    def videos_of(self, entry: Entry) -> list[str]:
        """The manifests of the videos that one figure holds frames of."""
        runs = self.entries.students(entry) + self.entries.references(entry)
        kinds = [VIDEO_KINDS[kind] for kind in VIDEO_KINDS if kind in entry.uses]
        return [f"{self.videos}/{name}/seed{seed}{ending}/manifest.json" for ending in kinds for name, seed in runs]

    def filmed(self, entry: Entry) -> list[str]:
        """The models whose videos one figure holds frames of."""
        runs = self.entries.students(entry) + self.entries.references(entry)
        return list(dict.fromkeys(name for name, _ in runs)) if VIDEO_KINDS.keys() & set(entry.uses) else []

    def shown(self) -> list[str]:
        """The models whose videos of training length figures show."""
        specs = [entry for entry in self.entries.figures.values() if "videos" in entry.uses]
        return list(dict.fromkeys(name for entry in specs for name in self.filmed(entry)))

    def shown_videos(self) -> list[str]:
        """The manifests of these, of the first training seed."""
        return [f"{self.videos}/{name}/seed0/manifest.json" for name in self.shown()]

    def training_curves(self) -> list[str]:
        """The records of all trainings that tables and figures need."""
        runs = {run for entry in self.entries.all for run in self.entries.students(entry)}
        pattern = self.outputs_of("training_curves")["curves"]
        trained = sorted((name, seed) for name, seed in runs if name not in self.entries.imported)
        return [pattern.format(experiment=name, seed=seed) for name, seed in trained]


def option(flag: str, files: Iterable[str]) -> list[str]:
    """`flag FOLDER` for the folder of each file, word by word."""
    return [word for file in files for word in (flag, str(Path(file).parent))]


def unrecorded(*words: str) -> Callable[[Any, Any], list[str]]:
    """Words of a command line, with wildcards, as a parameter that decides nothing; rules print it with `:q`.

    Snakemake records and compares the parameters of a job, but for those that it passes inputs or outputs to.
    """
    return lambda wildcards, output: [word.format(**wildcards) for word in words]
