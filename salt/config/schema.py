"""The whole configuration, as data: a scale (where we are) and an experiment (which row of a table).

An experiment file says which rollout makes samples, which objectives judge them, and on which grid;
a scale file says how large everything is. `salt.config.load` merges both into one `Experiment`.
Symbols are the paper's: K = `grid.steps`, |T_train| = `grid.train_steps`, lambda_SC = `objectives.sc.weight`.
"""

from math import gcd
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Name, Probability, Section, is_none
from salt.config.memory import Memory
from salt.config.objectives import PCM, Objectives
from salt.config.released import Released
from salt.config.scale import Backbone, Scale, Solver
from salt.config.train import Train


# ------------------------------------------------------------------------------------------ the method
class Grid(Section):
    """T^(K) and T_train (Eq. 9): `steps` levels for inference, `train_steps` for training, both shifted."""

    steps: PositiveInt
    """K, the number of student evaluations at inference."""
    train_steps: PositiveInt
    """|T_train|; a multiple of K, so that T^(K) is nested in T_train."""
    shift: PositiveFloat
    """s of t = s u / (1 + (s - 1) u)."""

    @model_validator(mode="after")
    def _nested(self) -> "Grid":
        if self.train_steps % self.steps:
            raise ValueError(
                f"T^({self.steps}) is not on the training grid: train_steps={self.train_steps} must be a multiple "
                f"of steps={self.steps}, e.g. {self.steps}, {2 * self.steps} or {4 * self.steps}"
            )
        return self


class Causal(Section):
    """A generator that makes a video chunk by chunk, each conditioned on the ones before."""

    chunk: PositiveInt
    """Latent frames made at once."""
    memory: Memory = Memory()
    """KV-cache policy in training, and in sampling up to the training length."""

    @model_validator(mode="after")
    def _window_holds_a_chunk(self) -> "Causal":
        window = self.memory.window
        if window is not None and window < self.chunk:
            raise ValueError(f"memory.window={window} must hold a chunk: at least chunk={self.chunk}")
        return self


class History(Section):
    """Clips that a student makes, without gradient, before the one that is judged (LongLive's long stage)."""

    clips: PositiveInt
    """At most; 0 to so many, one number for a whole update."""
    switch: Probability = 0.5
    """How often they are told another caption, which changes where the judged clip begins."""


class Rollout(Section):
    """How the student makes the samples that are judged."""

    kind: Literal["noised_data", "backward_simulation", "autoregressive"] = "noised_data"
    """`noised_data`: x_ts = (1 - t_s) x_0 + t_s eps from data (App. B), a causal student with a t_s for every chunk
    (CausVid); `backward_simulation`: the student's own states along T_train, drawn by the consistency sampler up to a
    random exit step (Fig. 1); `autoregressive`: the same chunk by chunk, each conditioned on the student's own chunks
    before it through their keys and values (Self Forcing)."""
    steps: dict[PositiveInt, Probability] | None = None
    """Mixed-step rollout (Sec. 3.3): K -> how often a rollout takes K steps; None: always |T_train|."""
    history: History | None = None
    """What comes before the judged clip, in its memory; None: nothing."""

    @model_validator(mode="after")
    def _law(self) -> "Rollout":
        if self.steps is not None and abs(sum(self.steps.values()) - 1) > 1e-9:
            raise ValueError(f"steps: the shares add up to {sum(self.steps.values()):g}; accepted: 1")
        for key in ("steps", "history"):
            if getattr(self, key) is not None and self.kind != "autoregressive":
                raise ValueError(f"{key} is of autoregressive rollouts, but kind={self.kind}")
        return self


class Pairs(Section):
    """Which trajectories `objectives.ode` regresses."""

    teacher: Name = "teacher"
    """`teacher`, or the experiment of a causal one, whose trajectories see the clean chunks before them."""
    count: PositiveInt = 768
    shard_size: PositiveInt = 256
    solver_steps: PositiveInt = 48
    """Euler steps; those of `grid.train_steps` are kept."""
    cfg_weight: NonNegativeFloat = 5.0
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
    """As the tables print it."""
    about: str = ""
    """Where the paper describes it, and what it is for."""
    label: str | None = Field(default=None, exclude=True)
    """A shorter title, for the list of claims; None: `title`. Of its own file, not inherited."""
    look: Look | None = Field(default=None, exclude=True)
    """How figures draw it; None: as one of those without a look of their own. Of its own file, not inherited."""
    init: Name = "teacher"
    """What the generator starts from: `teacher`, `random`, or the weights of an experiment."""
    causal: Causal | None = None
    """How a causal generator makes its chunks; None: it makes all frames at once."""
    grid: Grid
    """T^(K) and T_train: steps, train_steps, shift."""
    rollout: Rollout = Rollout()
    objectives: Objectives
    """What judges the samples: dmd, alone or with sc, align, scm; or pcm, flow_matching (a teacher), ode (a start)."""
    pairs: Pairs | None = None
    """The trajectories that `objectives.ode` regresses."""
    solver: Solver | None = Field(default=None, exclude_if=is_none)
    """How tables and previews sample it; None: by the scale's `evaluation.main_solver`."""
    train: Train
    """The training loop: iterations, batch_size, optimiser, critic, ema, ..."""
    released: Released | None = Field(default=None, exclude_if=is_none)
    """Published weights that may stand in the place of its training; below `scales.NAME` only. None: there are none."""
    scale: Scale
    """Everything that is the same for all experiments at one scale."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        if self.causal is not None and self.scale.image_to_video:
            raise ValueError(
                f"scale {self.scale.name} shows networks a first frame, which causal ones do not take; accepted: an "
                "experiment of whole clips"
            )
        if (self.objectives.dmd is None) != (self.train.critic is None):
            raise ValueError("objectives.dmd and train.critic belong together: give both or neither")
        if (self.objectives.ode is None) != (self.pairs is None):
            raise ValueError("objectives.ode and pairs belong together: give both or neither")
        if self.pairs is not None and self.pairs.teacher not in ("teacher", self.init):
            raise ValueError(
                f"pairs.teacher={self.pairs.teacher}, but init={self.init}: accepted: `teacher`, or the causal teacher "
                "that init names, since a student starts from whom it imitates"
            )
        if self.rollout.kind == "autoregressive" and (self.causal is None or self.objectives.dmd is None):
            raise ValueError(
                "rollout.kind=autoregressive needs a causal generator and objectives.dmd: give causal.chunk"
            )
        if self.rollout.kind == "backward_simulation" and self.causal is not None:
            raise ValueError("rollout.kind=backward_simulation is of whole clips: autoregressive is the causal one")
        if self.objectives.dmd is not None and self.objectives.dmd.teacher == "larger" and self.scale.larger is None:
            raise ValueError(
                f"objectives.dmd.teacher=larger, but scale {self.scale.name} has no `larger`: own is accepted"
            )
        if self.objectives.pcm is not None:
            self._whole_phases(self.objectives.pcm)
        if self.objectives.ode is not None and self.causal is None:
            raise ValueError("objectives.ode starts causal students: give causal.chunk")
        if self.objectives.align is not None and self.rollout.kind != "autoregressive":
            raise ValueError(f"objectives.align compares autoregressive rollouts, but rollout.kind={self.rollout.kind}")
        if self.causal is not None:
            frames = 1 + (self.scale.world.frames - 1) // 4
            self._whole_chunks(frames, self.causal.chunk)
            self._within_rotary_table(frames, self.causal.memory)
        return self

    def _whole_phases(self, pcm: PCM) -> None:
        if self.causal is not None:
            raise ValueError("objectives.pcm is of whole clips: leave causal out")
        if pcm.solver_steps % self.grid.steps:
            raise ValueError(
                f"objectives.pcm.solver_steps={pcm.solver_steps} are no whole phases: a multiple of grid.steps="
                f"{self.grid.steps} is accepted"
            )

    def _within_rotary_table(self, frames: int, memory: Memory) -> None:
        history, table = self.rollout.history, self.scale.backbone.rope_max_seq_len
        longest = frames * (1 + (history.clips if history else 0))
        if memory.positions == "absolute" and longest > table:
            raise ValueError(
                f"rollouts of {longest} latent frames, but scale.backbone.rope_max_seq_len={table}; accepted: fewer "
                "rollout.history.clips, or causal.memory.positions: relative"
            )

    def _whole_chunks(self, frames: int, chunk: int) -> None:
        if frames % chunk:
            raise ValueError(
                f"causal.chunk={chunk} does not divide the {frames} latent frames of a clip; accepted: a divisor"
            )

    @model_validator(mode="after")
    def _tokens_are_shared_evenly(self) -> "Experiment":
        processes, most = self.train.context_parallel, self.shareable
        if most % processes:
            why = "causal networks are not shared" if self.causal else "tokens and heads are split evenly"
            raise ValueError(f"train.context_parallel={processes}: accepted: a divisor of {most} ({why})")
        return self

    @model_validator(mode="after")
    def _consistency_has_whole_networks(self) -> "Experiment":
        scm, train = self.objectives.scm, self.train
        if scm is not None and self.causal is not None:
            raise ValueError("objectives.scm is of whole clips, but `causal` is given: remove one of them")
        if scm is not None and scm.derivative == "forward_mode" and (train.shard or train.context_parallel > 1):
            raise ValueError(
                "objectives.scm.derivative=forward_mode needs whole networks (train.shard=false, "
                "train.context_parallel=1); accepted otherwise: difference"
            )
        return self

    @property
    def main_solver(self) -> Solver:
        """How tables and previews sample it."""
        return self.solver or self.scale.evaluation.main_solver

    @property
    def teacher_backbone(self) -> Backbone:
        """The shape of the teacher that is distilled."""
        larger, dmd = self.scale.larger, self.objectives.dmd
        return larger.backbone if larger and dmd and dmd.teacher == "larger" else self.scale.backbone

    @property
    def shareable(self) -> int:
        """Among how many processes the tokens of a clip and the heads of all networks could be split evenly."""
        tokens = self.scale.latent_shape[1] * self.scale.frame_tokens
        heads = [backbone.num_attention_heads for backbone in (self.scale.backbone, self.teacher_backbone)]
        return 1 if self.causal is not None else gcd(tokens, *heads)

    @model_validator(mode="after")
    def _steps_are_nested(self) -> "Experiment":
        """Every K is on the training grid (T2 < T4 < T8), or a rollout's states are not where the triples are."""
        align, sc = self.objectives.align, self.objectives.sc
        mixed = tuple(self.rollout.steps or (self.grid.train_steps,))
        named = {"rollout.steps": mixed, "objectives.sc.rollouts": (sc and sc.rollouts) or ()}
        acts_on = {"objectives.sc.rollouts": named["objectives.sc.rollouts"]}
        if align is not None:
            named["objectives.align.references"] = tuple(align.references.values())
            acts_on["objectives.align.references"] = tuple(align.references)
        if self.pairs is not None and self.pairs.solver_steps % self.grid.train_steps:
            raise ValueError(
                f"pairs.solver_steps={self.pairs.solver_steps} does not pass the levels of T_train: a multiple of "
                f"grid.train_steps={self.grid.train_steps} is accepted"
            )
        for key, values in named.items():
            for steps in values:
                if self.grid.train_steps % steps:
                    raise ValueError(
                        f"{key}: K={steps} is not on the training grid: a divisor of grid.train_steps="
                        f"{self.grid.train_steps} is accepted"
                    )
        for key, values in acts_on.items():
            if values and not set(values) & set(mixed):
                raise ValueError(f"{key}: {sorted(values)}, but rollouts have K in {sorted(mixed)}: it would never act")
        return self
