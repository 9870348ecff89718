"""The whole configuration, as data: a scale (how large everything is) and an experiment (a row of a table).

An experiment file says which rollout makes samples, which objectives judge them, and on which grid.
`salt.config.load` merges both files into one `Experiment`.
Symbols are the paper's: K = `grid.steps`, |T_train| = `grid.train_steps`, lambda_SC = `objectives.sc.weight`.
"""

from math import gcd
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from salt.config.backbone import Backbone
from salt.config.base import Name, Section, Share, Solver, is_none
from salt.config.consistency import RULES
from salt.config.grid import Grid
from salt.config.memory import Memory
from salt.config.objectives import Objectives
from salt.config.released import Released
from salt.config.rollout import Rollout
from salt.config.scale import Scale
from salt.config.train import Train


# ------------------------------------------------------------------------------------------ the method
class Causal(Section):
    """A generator that makes a video chunk by chunk, each conditioned on the ones before."""

    chunk: PositiveInt
    """Latent frames made at once."""
    memory: Memory = Memory()
    """KV-cache policy in training, and in sampling up to the training length."""
    long_memory: Memory | None = Field(default=None, exclude_if=is_none)
    """KV-cache policy beyond the training length; None: the scale's `evaluation.long.memory`."""


class FlowMap(Section):
    """A network of two times: the one it is at, and the earlier one it goes to."""

    gate: Share = 0.25
    """Share of the later time's embedding in the mix (AnyFlow's published networks)."""


class Pairs(Section):
    """The trajectories on which `objectives.ode` regresses."""

    teacher: Name = "teacher"
    """`teacher`, or the experiment of a causal one, whose chunks are conditioned on the clean chunks before them;
    `exact`, of worlds that have it: the closed form, in the lab's worlds of the one that the student needs."""
    count: PositiveInt = 768
    shard_size: PositiveInt = 256
    solver_steps: PositiveInt = 48
    """Euler steps of the teacher, on the shifted grid; states at the times of T_train are kept, at which the solver
    stops besides where `grid.levels` lie off its grid."""
    cfg_weight: PositiveFloat = 5.0
    """w of uncond + w (cond - uncond)."""


class Look(Section):
    """How an experiment is drawn in every figure."""

    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    """#rrggbb."""
    marker: Literal["o", "s", "^", "v", "D", "P", "X", "x"]
    """As matplotlib names it."""
    line: Literal["-", "--", "-.", ":"]
    """As matplotlib names it."""


class Experiment(Section):
    """One trained model: a row of a table."""

    name: Name
    """The stem of the experiment's file."""
    title: str
    """Its name in tables."""
    about: str = ""
    """Where the paper describes it, and what it is for."""
    label: str | None = Field(default=None, exclude=True)
    """A shorter title, for the list of claims; None: `title`. Of its own file, not inherited."""
    look: Look | None = Field(default=None, exclude=True)
    """How figures draw it; None: as one of those without a look of their own. Of its own file, not inherited."""
    init: Name = "teacher"
    """The generator's initial weights: `teacher`, `random`, or those of an experiment."""
    causal: Causal | None = None
    """How a causal generator makes its chunks; None: it generates all frames at once."""
    flow_map: FlowMap | None = Field(default=None, exclude_if=is_none)
    """Whether its network takes the time it goes to as well; None: the time it is at, alone."""
    grid: Grid
    """T^(K) and T_train: steps, train_steps, and shift or levels."""
    rollout: Rollout = Rollout()
    objectives: Objectives
    """What judges the samples: dmd, alone or with sc, align, scm; or pcm, flow_matching (a teacher), ode (a start)."""
    pairs: Pairs | None = None
    """The trajectories on which `objectives.ode` regresses."""
    solver: Solver | None = Field(default=None, exclude_if=is_none)
    """How tables and previews sample it; None: by the scale's `evaluation.main_solver`."""
    train: Train
    """The training loop: iterations, batch_size, optimiser, critic, ema, ..."""
    released: Released | None = Field(default=None, exclude_if=is_none)
    """Published weights that may replace its training; below `scales.NAME` only. None: there are none."""
    scale: Scale
    """Everything that is the same for all experiments at one scale."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        for rule in RULES:
            rule(self)
        return self

    @property
    def of_clean_chunks(self) -> bool:
        """Whether the trajectories that it regresses began from clean chunks: those of a causal teacher."""
        if self.pairs is None or self.causal is None or self.pairs.teacher == "teacher":
            return False
        return self.pairs.teacher != "exact" or self.scale.exact is not None

    @property
    def main_solver(self) -> Solver:
        """How tables and previews sample it."""
        return self.solver or self.scale.evaluation.main_solver

    @property
    def teacher_backbone(self) -> Backbone:
        """The shape of the teacher that is distilled."""
        larger, dmd = self.scale.larger, self.objectives.dmd
        return larger.backbone if larger and dmd and dmd.teacher == "larger" else self.scale.backbone

    def looked_through(self, features: Literal["teacher", "critic"]) -> Backbone:
        """The shape of the network whose features an objective looks at."""
        return self.scale.backbone if features == "critic" else self.teacher_backbone

    @property
    def shareable(self) -> int:
        """The most processes among which the tokens of a clip and the heads of all networks can be split evenly."""
        tokens = self.scale.latent_shape[1] * self.scale.frame_tokens
        heads = [backbone.num_attention_heads for backbone in (self.scale.backbone, self.teacher_backbone)]
        return 1 if self.causal is not None else gcd(tokens, *heads)
