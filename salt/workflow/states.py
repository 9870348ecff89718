"""What decides each output: the values of a rule's `params.state`. Where one of them changes, the job is run again.

Snakemake records and compares these lists, and the folders of runs, latents and trajectories are named by their
digests: values, their order and their types are part of what is on the disk.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from salt.config.files import repository_root
from salt.config.hashing import content_hash, training_hash
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.digest import text_digest
from salt.evaluation.cells import TEACHER
from salt.evaluation.lengths import length_of_cells
from salt.files import sha256
from salt.workflow.entries import Entry, experiments_of
from salt.workflow.stages import Stages

State = list[object]


def digest(state: State) -> str:
    """Names the folder of a run or a store, which thus continues itself and nothing that other values began."""
    return text_digest(repr(state))[:8]


@dataclass(frozen=True)
class States:
    """The state of each rule of one scale, by the rule's name."""

    scale: Scale
    experiments: Mapping[str, Experiment]
    """All of the scale, the teacher's among them."""
    imported: Collection[str]
    """Students whose weights are published ones."""
    stages: Stages

    def teacher(self) -> State:
        """The shipped files, the folder that is linked, or what the teacher is trained with."""
        scale = self.scale
        shared = [self.stages.teacher, *map(content_hash, (scale.world, scale.codec, scale.text, scale.backbone))]
        if scale.teacher == "linked":
            return [*shared, scale.assets, scale.larger and content_hash(scale.larger)]
        if scale.teacher == "shipped":
            shipped = sorted((repository_root() / scale.assets).rglob("provenance.json"))
            return [*shared, *map(sha256, shipped)]
        return [*shared, training_hash(self.experiments[TEACHER])]

    def latents(self) -> State:
        """Clips of the world and the codec, or captions and the teacher that samples their videos."""
        scale = self.scale
        own: State = [self.stages.latents, *map(content_hash, (scale.world, scale.codec, scale.text))]
        if scale.first_frame is not None:
            own.append(content_hash(scale.first_frame))
        if scale.data is None:
            return own
        assert scale.vae is not None
        evaluation, grid = scale.evaluation, self.experiments[TEACHER].grid
        own += [*map(content_hash, (scale.vae, scale.data, grid)), *self.teacher()]
        return [*own, evaluation.teacher_nfe, evaluation.cfg_weight, evaluation.precision]

    def ode_pairs(self, name: str) -> State:
        """The trajectories that an experiment regresses; empty where it regresses none."""
        experiment = self.experiments[name]
        if experiment.pairs is None:
            return []
        own = [self.stages.ode_pairs, content_hash(experiment.pairs), content_hash(experiment.grid)]
        causal = self.weights(experiment.pairs.teacher) if self.is_student(experiment.pairs.teacher) else []
        return [*own, self.scale.evaluation.precision, *self.latents(), *self.teacher(), *causal]

    def train(self, name: str) -> State:
        """A student's experiment, its data, and all of that for what it starts from."""
        own = [self.stages.train, training_hash(self.experiments[name])]
        init = self.experiments[name].init
        start = self.weights(init) if self.is_student(init) else []
        return [*own, *self.latents(), *self.teacher(), *self.ode_pairs(name), *start]

    def import_released(self, name: str) -> State:
        """Which checkpoint, and the network that it is to fit."""
        released = self.experiments[name].released
        assert released is not None
        return [self.stages.import_released, content_hash(released), content_hash(self.scale.backbone)]

    def weights(self, name: str) -> State:
        """A student's weights, trained or imported."""
        return self.import_released(name) if name in self.imported else self.train(name)

    def is_student(self, name: str) -> bool:
        """Whether a name is that of an experiment whose weights this workflow makes, the teacher's aside."""
        return name != TEACHER and name in self.experiments

    def sampled(self, name: str) -> State:
        """What a model is, the teacher and real clips included: all that its videos and records hang on."""
        return self.weights(name) if self.is_student(name) else [*self.latents(), *self.teacher()]

    def sample(self, name: str, cells: Sequence[str] = ()) -> State:
        """A model's videos; `cells`: those that are wanted, empty: all."""
        return [*self._evaluation(self.stages.sample), *self.sampled(name), *cells]

    def sample_long(self, name: str) -> State:
        """Its long videos."""
        return [*self._evaluation(self.stages.sample, long=True), *self.sampled(name), *self._long_memory(name)]

    def score_vbench(self, name: str, cells: Sequence[str] = ()) -> State:
        """What VBench says of them; its jobs are the same for long videos and those of training length."""
        return [*self._evaluation(self.stages.score_vbench, long=True), *self.sample(name, cells)]

    def score(self, name: str, cells: Sequence[str] = ()) -> State:
        """Scores of its videos."""
        return [*self._evaluation(self.stages.score), *self._scorer(long=False), *self.sample(name, cells)]

    def score_long(self, name: str) -> State:
        """Scores of its long videos."""
        own = self._evaluation(self.stages.score, long=True)
        return [*own, *self._scorer(long=True), *self.sample_long(name)]

    def modes(self, name: str, cells: Sequence[str] = ()) -> State:
        """The modes of its samples, of long ones too."""
        own = self._evaluation(self.stages.modes, long=True)
        return [*own, *self.sampled(name), *self._long_memory(name), *cells]

    def modes_any_step(self, name: str) -> State:
        """The same of clips of any number of steps."""
        scale = self.scale.at_any_step()
        return [self.stages.modes, content_hash(scale.world), content_hash(scale.evaluation), *self.sampled(name)]

    def defect(self, name: str, alone: bool = False) -> State:
        """Its semigroup defect; `alone`: Eq. (16) and nothing else."""
        return [*self._evaluation(self.stages.defect), *self.sampled(name), *(["alone"] if alone else [])]

    def caches(self, name: str) -> State:
        """What a cache does to it."""
        return [*self._evaluation(self.stages.caches), *self.sampled(name)]

    def score_controls(self) -> State:
        """Scores of clips that were corrupted on purpose."""
        return [*self._evaluation(self.stages.score_controls), *self.teacher()]

    def _scorer(self, long: bool) -> State:
        """The stage that scores by the real VBench, where it does."""
        return [self.stages.score_vbench] if length_of_cells(self.scale, long).vbench else []

    def _long_memory(self, name: str) -> State:
        """What a student remembers of its long videos, where that is its own."""
        causal = self.experiments[name].causal if name in self.experiments else None
        return [content_hash(causal.long_memory)] if causal is not None and causal.long_memory is not None else []

    def _evaluation(self, stage: int, long: bool = False) -> State:
        """How a scale evaluates; another protocol of long videos leaves all others alone."""
        evaluation = self.scale.evaluation
        return [stage, content_hash(self.scale.world), content_hash(evaluation, None if long else {"long"})]

    def table(self, entry: Entry) -> State:
        """One table besides its records: its entry, how its rows are printed, the published numbers."""
        return self._printed(self.stages.table, entry)

    def figure(self, entry: Entry, models: Collection[str] = ()) -> State:
        """The same of one figure, and the models whose videos it holds: a checkout has no videos to compare."""
        return [*self._printed(self.stages.figure, entry), *map(self.sample, models)]

    def claims(self, entries: Collection[Entry]) -> list[State]:
        """The same of all that the claims are about, and the claims themselves."""
        return [[_experiments_file("claims")], *(self._printed(self.stages.claims, entry) for entry in entries)]

    def clips(self, models: Collection[str]) -> State:
        """The videos whose frames figures show."""
        return [self.stages.clips, *map(self.sample, models)]

    def training_curves(self, name: str) -> State:
        """What the training of a student took, and how its losses went."""
        return [self.stages.training_curves, *self.sampled(name)]

    def report(self, entries: Collection[Entry]) -> list[State]:
        """The same of all that the report holds."""
        return [self._printed(self.stages.report, entry) for entry in entries]

    def _printed(self, stage: int, entry: Entry) -> State:
        named = [self.experiments[name] for name in experiments_of(entry)]
        printed = [[one.title, one.label, one.main_solver, one.look and one.look.model_dump()] for one in named]
        return [stage, _experiments_file("paper_values"), entry.model_dump(), printed]


def _experiments_file(stem: str) -> str:
    """SHA-256 of a file in `experiments/` that is no experiment."""
    return sha256(repository_root() / "experiments" / f"{stem}.yaml")
