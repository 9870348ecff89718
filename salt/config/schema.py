"""The whole configuration, as data: a scale (where we are) and an experiment (which row of a table).

An experiment file says which rollout makes samples, which objectives judge them, and on which grid;
a scale file says how large everything is. `salt.config.load` merges both into one `Experiment`.
Symbols are the paper's: K = `grid.steps`, |T_train| = `grid.train_steps`, lambda_SC = `objectives.sc.weight`.
"""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Beta, Name, Probability, Section
from salt.config.scale import Scale


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


class NoiseLaw(Section):
    """How the noise level t of the DMD and critic losses is drawn: uniform, shifted, clamped."""

    shift: PositiveFloat = 5.0
    """s of t = s u / (1 + (s - 1) u), u uniform on (0, 1)."""
    t_min: Probability = 0.02
    t_max: Probability = 0.98

    @model_validator(mode="after")
    def _ordered(self) -> "NoiseLaw":
        if self.t_min >= self.t_max:
            raise ValueError(f"t_min={self.t_min} must lie below t_max={self.t_max}")
        return self


class Memory(Section):
    """Which frames of the past a causal model attends to (its KV-cache policy), counted in latent frames.

    The chunk being generated always sees itself; `window` and `sink` are what it sees besides. No window is Self
    Forcing's full cache; window 9 with sink 3 is LongLive (local attention 12 = 9 + the chunk's own 3); `sink_ema` is
    Reward Forcing; relative positions are Infinity-RoPE; `on_switch: recache` is LongLive's change of prompt.
    """

    window: PositiveInt | None = None
    """The last frames before the chunk; None: all of them."""
    sink: NonNegativeInt = 0
    """First frames of the video, kept for ever."""
    sink_ema: Beta | None = None
    """Weight of the old sink when a frame that leaves the window is mixed into it; None: the sink stays as it is."""
    positions: Literal["absolute", "relative"] = "absolute"
    """`absolute`: a frame's place in the video; `relative`: its place among the frames attended to, so that no length
    is too long for the rotary embedding."""
    on_switch: Literal["keep", "recache"] = "keep"
    """When the prompt changes: keep keys and values as they are, or compute those remembered anew with the new one."""

    @model_validator(mode="after")
    def _sink_within(self) -> "Memory":
        if self.window is None and (self.sink or self.sink_ema is not None):
            raise ValueError("sink and sink_ema need a window: with none, all frames are kept anyway")
        if self.window is not None and self.sink > self.window:
            raise ValueError(f"sink={self.sink} must not be larger than window={self.window}")
        if self.sink_ema is not None and not self.sink:
            raise ValueError("sink_ema mixes into the sink: sink must be at least 1")
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


class Rollout(Section):
    """How the student makes the samples that are judged."""

    kind: Literal["noised_data", "backward_simulation"] = "noised_data"
    """`noised_data`: x_ts = (1 - t_s) x_0 + t_s eps from data (App. B); `backward_simulation`: the student's own
    states along T_train, drawn by the consistency sampler up to a random exit step (Fig. 1)."""


class DMD(Section):
    """Distribution matching (Eq. 4) against a guided teacher and a critic."""

    weight: NonNegativeFloat = 1.0
    cfg_weight: NonNegativeFloat = 5.0
    """w of uncond + w (cond - uncond) on the teacher."""
    normaliser: Literal["per_sample", "global", "none"] = "per_sample"
    """Divide the direction by mean |x - x_0^real|: of each sample (released code), of the batch, or not at all."""
    noise: NoiseLaw = NoiseLaw()


class SC(Section):
    """The semigroup defect (Eq. 8) of the student's Euler operator on the triples of Eq. (9)."""

    weight: NonNegativeFloat = 1.0
    """lambda_SC of Eq. (10)."""
    stop_gradient: Literal["none", "composed"] = "none"
    """`none` is Eq. (8) as written; `composed` detaches x^(2) as the released code does."""
    time_weight: Literal["none", "one_minus_ts"] = "none"
    """`one_minus_ts` is the released code's factor (1 - t_s)."""
    te_law: Literal["uniform", "top2"] = "uniform"
    """t_e: uniform over T^(K) below t_s (Eq. 9), or over its two largest members (released code)."""


class FlowMatching(Section):
    """Regression of v = eps - x_0: what teachers are trained with."""

    weight: NonNegativeFloat = 1.0
    shift: PositiveFloat = 1.0
    caption_drop: Probability = 0.1
    """Share of captions replaced by the empty one, for classifier-free guidance."""


class Objectives(Section):
    """What judges the samples; an objective that is absent is off."""

    dmd: DMD | None = None
    sc: SC | None = None
    flow_matching: FlowMatching | None = None

    @model_validator(mode="after")
    def _some(self) -> "Objectives":
        if self.flow_matching is not None and (self.dmd or self.sc):
            raise ValueError("flow_matching trains a teacher and does not mix with dmd or sc: remove one of them")
        if self.flow_matching is None and self.dmd is None:
            raise ValueError("no driving objective: give objectives.dmd or objectives.flow_matching")
        return self


# ---------------------------------------------------------------------------------------- optimisation
class Optimiser(Section):
    """AdamW with fp32 master weights, linear warm-up, and a linear decay over the last share of the run."""

    lr: PositiveFloat
    """Learning rate after warm-up."""
    muon_lr: PositiveFloat | None = None
    """Learning rate of Muon for the matrices inside the transformer blocks, which AdamW then leaves to it; None: AdamW
    for everything. Muon (Jordan et al., 2024) steps along the orthogonalised momentum."""
    betas: tuple[Beta, Beta] = (0.0, 0.999)
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 10.0
    """Largest global gradient norm."""
    warmup: NonNegativeInt = 0
    """Updates of linear warm-up."""
    decay: Probability = 0.0
    """Share of the run, at its end, over which lr falls linearly to 0."""


class Critic(Section):
    """The fake score: its optimiser and how many updates it has per generator update."""

    optimiser: Optimiser
    """AdamW of the critic: lr, betas, weight_decay, clip, warmup, decay."""
    ratio: PositiveInt = 5
    """Critic updates per generator update."""


class EMA(Section):
    """Exponential moving average of the generator, from generator update `start` on."""

    decay: Probability = 0.99
    start: NonNegativeInt = 0


class Train(Section):
    """The one loop. `iterations` counts generator updates; each is followed by `critic.ratio` critic updates."""

    iterations: PositiveInt
    """Generator updates."""
    batch_size: PositiveInt
    """Samples per update over all processes and accumulation steps."""
    accumulate: PositiveInt = 1
    """Micro-batches per update and process."""
    optimiser: Optimiser
    """AdamW of the generator: lr, betas, weight_decay, clip, warmup, decay."""
    critic: Critic | None = None
    ema: EMA = EMA()
    checkpoint_every: PositiveInt = 100
    keep_checkpoints: PositiveInt = 2
    preview_every: NonNegativeInt = 0
    """A contact sheet of samples every so many iterations; 0: none."""
    tensorboard: bool = False
    threads: PositiveInt = 1
    """CPU threads of one process."""

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> "Train":
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size={self.batch_size} must be a multiple of accumulate={self.accumulate}")
        return self


class Experiment(Section):
    """One trained model: a row of a table."""

    name: Name
    """The stem of the experiment's file."""
    title: str
    """As the tables print it."""
    about: str = ""
    """Where the paper describes it, and what it is for."""
    init: Literal["random", "teacher"] = "teacher"
    """What the generator starts from."""
    grid: Grid
    """T^(K) and T_train: steps, train_steps, shift."""
    rollout: Rollout = Rollout()
    objectives: Objectives
    """What judges the samples: dmd, sc, or flow_matching for a teacher."""
    train: Train
    """The training loop: iterations, batch_size, optimiser, critic, ema, ..."""
    scale: Scale
    """Everything that is the same for all experiments at one scale."""

    @model_validator(mode="after")
    def _critic_iff_dmd(self) -> "Experiment":
        if (self.objectives.dmd is None) != (self.train.critic is None):
            raise ValueError("objectives.dmd and train.critic belong together: give both or neither")
        return self
