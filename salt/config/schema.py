"""The whole configuration, as data: a scale (where we are) and an experiment (which row of a table).

An experiment file says which rollout makes samples, which objectives judge them, and on which grid;
a scale file says how large everything is. `salt.config.load` merges both into one `Experiment`.
Symbols are the paper's: K = `grid.steps`, |T_train| = `grid.train_steps`, lambda_SC = `objectives.sc.weight`.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Section

Solver = Literal["euler", "cm"]
Split = Literal["train", "validation", "report"]
Probability = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


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


# -------------------------------------------------------------------------------------- what a scale is
class World(Section):
    """The procedural captioned video world (tiny scales)."""

    size: PositiveInt = 32
    """Side in pixels."""
    frames: PositiveInt = 9
    """1 + 4 k, as Wan."""
    speeds: tuple[Literal[1, 2], ...] = (1, 2)
    """Pixels a frame, drawn per clip."""
    pair_share: Probability = 0.4
    """Share of two-object scenes."""
    short_share: Probability = 0.25
    """Share of training captions that leave attributes out."""
    video_scale: PositiveInt = 4
    """Nearest-neighbour factor of stored videos; their sides must be multiples of 64."""
    fps: PositiveInt = 16
    clips: PositiveInt = 65536
    """Training clips in the latent bank."""

    @model_validator(mode="after")
    def _sides(self) -> "World":
        if (self.size * self.video_scale) % 64:
            raise ValueError(
                f"stored videos would have sides of {self.size} x {self.video_scale} = "
                f"{self.size * self.video_scale} pixels: size * video_scale must be a multiple of 64"
            )
        if (self.frames - 1) % 4:
            raise ValueError(f"frames={self.frames} must be 1 + 4 k: 1, 5, 9, 13, 17, ...")
        return self


class Codec(Section):
    """The causal codec: a linear code of every fourth frame, motion vectors, and a learned decoder."""

    stride: Literal[4, 8] = 4
    """Pixels of a latent's side."""
    channels: Annotated[int, Field(gt=2)] = 10
    """Of a latent: two for the motion vector, the others for principal components."""
    motion_scale: PositiveFloat = 1.5
    """Latent units of a motion of one pixel a frame."""
    whitening: Probability = 0.5
    """0: components keep their variance; 1: all have the same."""
    width: Annotated[int, Field(gt=0, multiple_of=8)] = 64
    """Channels of the decoder; normalised in 8 groups, so a multiple of 8."""
    blocks: PositiveInt = 3
    """Residual blocks of the decoder."""
    noise: NonNegativeFloat = 0.2
    """Noise added to latents while the decoder is trained."""
    steps: PositiveInt = 20000
    batch_size: PositiveInt = 8
    lr: PositiveFloat = 3e-3


class Text(Section):
    """The UMT5 text encoder."""

    d_model: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    d_ff: PositiveInt = 128
    tokens: PositiveInt = 16
    """Captions are padded or cut to this many tokens."""
    steps: PositiveInt = 600
    """Updates of its pretext task (reading the scene off the caption)."""


class Backbone(Section):
    """Arguments of diffusers' WanTransformer3DModel."""

    num_layers: PositiveInt
    """Transformer blocks."""
    num_attention_heads: PositiveInt
    """Heads; the width is num_attention_heads * attention_head_dim."""
    attention_head_dim: PositiveInt
    """Channels of one head; even, for the rotary embedding."""
    ffn_dim: PositiveInt
    """Width of the feed-forward layers."""
    patch_size: tuple[int, int, int] = (1, 2, 2)
    in_channels: PositiveInt = 16
    out_channels: PositiveInt = 16
    text_dim: PositiveInt = 4096
    freq_dim: PositiveInt = 256
    rope_max_seq_len: PositiveInt = 1024


class Evaluation(Section):
    """What is sampled and scored of every student."""

    prompts: PositiveInt = 256
    batch_size: PositiveInt = 64
    seeds: tuple[NonNegativeInt, ...] = (0,)
    """Sampling seeds: one video per prompt and seed."""
    nfe: tuple[PositiveInt, ...] = (2, 4, 8, 16)
    """Function evaluations of students, with extended prompts and every solver."""
    solvers: tuple[Solver, ...] = ("euler", "cm")
    short_nfe: tuple[PositiveInt, ...] = (4,)
    """Function evaluations of students, with short prompts and `main_solver` only."""
    main_solver: Solver = "cm"
    teacher_nfe: PositiveInt = 50
    """Euler steps of the guided teacher."""
    cfg_weight: NonNegativeFloat = 3.0
    """w of uncond + w (cond - uncond) of the guided teacher."""
    defect_samples: Annotated[int, Field(ge=2)] = 128
    """Prompts whose noise the diagnostics of `salt defect` start from; 2 or more, for a standard error."""


class Scale(Section):
    """Everything that is the same for all experiments at one scale."""

    name: Name
    """The stem of the scale's file."""
    meaningful: bool = True
    """False: the numbers mean nothing, and every table says so."""
    assets: str
    """Folder of the shipped codec, text encoder and teacher."""
    teacher: Literal["shipped", "train"] = "shipped"
    training_seeds: PositiveInt = 3
    """At most so many training seeds of each student, whatever a table asks for."""
    world: World = World()
    codec: Codec = Codec()
    text: Text = Text()
    backbone: Backbone
    """The Wan of this scale: num_layers, num_attention_heads, attention_head_dim, ffn_dim, ..."""
    evaluation: Evaluation = Evaluation()


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
