"""The whole configuration, as data: a scale (how large everything is) and an experiment (a row of a table).

An experiment file says which rollout makes samples, which objectives judge them, and on which grid.
`salt.config.load` merges both files into one `Experiment`.
Symbols are the paper's: K = `grid.steps`, |T_train| = `grid.train_steps`, lambda_SC = `objectives.sc.weight`.
"""

from math import gcd
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from salt.config.backbone import Backbone
from salt.config.base import Name, Section, Solver, is_none
from salt.config.grid import Grid
from salt.config.lab import TOKEN_WIDTH, Exact
from salt.config.memory import Memory
from salt.config.objectives import PCM, Objectives
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
        if self.causal is not None and self.scale.image_to_video:
            raise ValueError(
                f"networks of scale {self.scale.name} are conditioned on a first frame, which causal ones do not take; "
                "accepted: an experiment of whole clips"
            )
        if (self.objectives.dmd is None) != (self.train.critic is None):
            raise ValueError("objectives.dmd and train.critic belong together: give both or neither")
        if (self.objectives.ode is None) != (self.pairs is None):
            raise ValueError("objectives.ode and pairs belong together: give both or neither")
        exact = ("exact",) if self.scale.names_modes or self.scale.exact is not None else ()
        if self.pairs is not None and self.pairs.teacher not in ("teacher", self.init, *exact):
            raise ValueError(
                f"pairs.teacher={self.pairs.teacher}, but init={self.init}: accepted: `teacher`, or the causal teacher "
                "that init names, since a student starts from the teacher it imitates"
            )
        if self.rollout.kind == "autoregressive" and (self.causal is None or self.objectives.dmd is None):
            raise ValueError(
                "rollout.kind=autoregressive needs a causal generator and objectives.dmd: give causal.chunk"
            )
        if self.rollout.kind == "backward_simulation" and self.causal is not None:
            raise ValueError("rollout.kind=backward_simulation makes whole clips: autoregressive is the causal one")
        if self.objectives.dmd is not None and self.objectives.dmd.teacher == "larger" and self.scale.larger is None:
            raise ValueError(
                f"objectives.dmd.teacher=larger, but scale {self.scale.name} has no `larger`: own is accepted"
            )
        flow_matching = self.objectives.flow_matching
        if flow_matching is not None and flow_matching.target == "exact" and not self.scale.names_modes:
            raise ValueError(
                f"objectives.flow_matching.target=exact, but the world of scale {self.scale.name} cannot name its "
                "modes: sample is accepted"
            )
        if flow_matching is not None and flow_matching.target == "exact" and self.causal is not None:
            raise ValueError("objectives.flow_matching.target=exact is of whole clips; accepted, with causal: sample")
        if flow_matching is not None and self.grid.levels is not None:
            raise ValueError(
                "grid.levels are a student's; objectives.flow_matching draws its times from all of [0, 1]; accepted: "
                "null"
            )
        distilled = (self.objectives.dmd, self.objectives.pcm)
        if any(objective is not None and objective.teacher == "exact" for objective in distilled):
            self._exact_teacher()
        if self.scale.exact is not None:
            self._small_networks(self.scale.exact)
        if self.train.critic is not None and self.train.critic.knows_exit:
            self._one_exit_of_a_clip()
        if self.objectives.pcm is not None:
            self._whole_phases(self.objectives.pcm)
        if self.objectives.ode is not None and self.causal is None and self.scale.exact is None:
            raise ValueError("objectives.ode starts causal students: give causal.chunk")
        if self.objectives.align is not None and self.rollout.kind != "autoregressive":
            raise ValueError(f"objectives.align compares autoregressive rollouts, but rollout.kind={self.rollout.kind}")
        if self.rollout.clean:
            self._clean_chunks()
        if self.causal is not None:
            frames = self.scale.latent_shape[1]
            self._whole_chunks(frames, self.causal.chunk)
            self._within_rotary_table(frames, self.causal.memory)
        return self

    def _clean_chunks(self) -> None:
        if self.causal is None or self.scale.exact is not None:
            raise ValueError("rollout.clean is for the chunks of a causal Wan; accepted: false")
        if self.objectives.sc is not None:
            raise ValueError("rollout.clean: a clean chunk has no triple for objectives.sc; accepted: one of the two")
        if self.of_clean_chunks:
            assert self.pairs is not None
            raise ValueError(
                f"rollout.clean: with pairs.teacher={self.pairs.teacher} all chunks see clean ones; accepted: false"
            )

    def _exact_teacher(self) -> None:
        if self.scale.exact is None and not self.scale.names_modes:
            raise ValueError(
                f"objectives: teacher=exact, but the world of scale {self.scale.name} cannot name its modes (it has "
                "no `exact`, and none whose objects turn round): own is accepted"
            )

    def _small_networks(self, exact: Exact) -> None:
        """What members of an ensemble, which are rows of one batch, cannot have."""
        train, dmd, align = self.train, self.objectives.dmd, self.objectives.align
        critic = None if train.critic is None else train.critic.optimiser
        if train.accumulate > 1 or train.shard or train.context_parallel > 1:
            raise ValueError(
                f"the networks of scale {self.scale.name} are trained many at once, on one batch in one process: "
                "accepted: train.accumulate=1, shard=false, context_parallel=1"
            )
        if any(one is not None and one.muon_lr is not None for one in (train.optimiser, critic)):
            raise ValueError("optimiser.muon_lr: small networks have no blocks of matrices; accepted: null")
        if self.pairs is not None and self.pairs.teacher != "exact":
            raise ValueError(f"pairs.teacher={self.pairs.teacher}: accepted in an exact world: exact")
        if dmd is not None and dmd.normaliser == "global":
            raise ValueError(
                "objectives.dmd.normaliser=global would mix the members of an ensemble: per_sample or none"
            )
        if align is not None and align.features == "teacher":
            raise ValueError("objectives.align.features=teacher: an exact teacher has no features; accepted: critic")
        if align is not None and exact.network.width % (tokens := TOKEN_WIDTH * self.scale.latent_shape[1]):
            raise ValueError(
                f"objectives.align: scale.exact.network.width={exact.network.width} is shared among the chunks, in "
                f"tokens of {TOKEN_WIDTH}: accepted: a multiple of {tokens}"
            )
        if self.causal is not None and (self.causal.chunk, self.causal.memory) != (1, Memory(window=1)):
            raise ValueError(
                f"causal.chunk={self.causal.chunk}, causal.memory.window={self.causal.memory.window}: small causal "
                "networks see the one chunk before and nothing else; accepted: chunk 1, window 1, no sink"
            )
        if self.rollout.cache_gradient != "none":
            raise ValueError(
                f"rollout.cache_gradient={self.rollout.cache_gradient}: small causal networks remember a chunk, no "
                "keys and values; accepted: none"
            )
        if self.rollout.history is not None:
            raise ValueError("rollout.history: an exact world has no clips before the judged one; accepted: null")

    def _one_exit_of_a_clip(self) -> None:
        """What a critic can be told: one time for each clip, as a token beside its caption."""
        if self.causal is not None and self.rollout.kind == "noised_data":
            raise ValueError(
                "train.critic.knows_exit: noised data of a causal student have an exit for each chunk; accepted: false"
            )
        if self.scale.image_to_video:
            raise ValueError(
                f"train.critic.knows_exit: networks of scale {self.scale.name} take captions of one length; accepted: "
                "false"
            )

    def _whole_phases(self, pcm: PCM) -> None:
        if self.causal is not None:
            raise ValueError("objectives.pcm is for whole clips: leave causal out")
        if pcm.solver_steps % self.grid.steps:
            raise ValueError(
                f"objectives.pcm.solver_steps={pcm.solver_steps} cannot be split into phases: a multiple of grid.steps="
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
    def _everything_begins(self) -> "Experiment":
        """What would begin after the last update would be absent without a word."""
        train, objectives = self.train, self.objectives
        begins = {
            "train.ema.start": train.ema.start,
            "objectives.align.start": objectives.align.start if objectives.align else 0,
            "objectives.scm.warmup": objectives.scm.warmup if objectives.scm else 0,
        }
        for key, start in begins.items():
            if start >= train.iterations:
                raise ValueError(
                    f"{key}={start}, but train.iterations={train.iterations}: what it puts off would never be; "
                    "accepted: less"
                )
        if not any(section.weight for section in objectives.given().values()):
            raise ValueError("objectives: every weight is 0, and nothing would be learnt; accepted: one above 0")
        return self

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
            raise ValueError("objectives.scm is for whole clips, but `causal` is given: remove one of them")
        if scm is not None and scm.derivative == "forward_mode" and (train.shard or train.context_parallel > 1):
            raise ValueError(
                "objectives.scm.derivative=forward_mode needs whole networks (train.shard=false, "
                "train.context_parallel=1); accepted otherwise: difference"
            )
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

    @property
    def shareable(self) -> int:
        """The most processes among which the tokens of a clip and the heads of all networks can be split evenly."""
        tokens = self.scale.latent_shape[1] * self.scale.frame_tokens
        heads = [backbone.num_attention_heads for backbone in (self.scale.backbone, self.teacher_backbone)]
        return 1 if self.causal is not None else gcd(tokens, *heads)

    @model_validator(mode="after")
    def _steps_are_nested(self) -> "Experiment":
        """Every K is on the training grid (T2 < T4 < T8); else a rollout's states would not lie where triples do."""
        align, sc = self.objectives.align, self.objectives.sc
        mixed = tuple(self.rollout.steps or (self.grid.train_steps,))
        named = {"rollout.steps": mixed, "objectives.sc.rollouts": (sc and sc.rollouts) or ()}
        acts_on = {"objectives.sc.rollouts": named["objectives.sc.rollouts"]}
        if align is not None:
            named["objectives.align.references"] = tuple(align.references.values())
            acts_on["objectives.align.references"] = tuple(align.references)
        if self.pairs is not None and self.grid.levels is None and self.pairs.solver_steps % self.grid.train_steps:
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
