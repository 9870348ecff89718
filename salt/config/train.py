"""How a network is trained: optimisers, averaging, and the one loop."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Beta, Precision, Probability, Section, is_none


class Optimiser(Section):
    """AdamW with fp32 master weights, linear warm-up, and a linear decay over the last share of the run."""

    lr: PositiveFloat
    """Learning rate after warm-up."""
    muon_lr: PositiveFloat | None = None
    """Learning rate of Muon, which then updates the matrices inside the transformer blocks in place of AdamW; None:
    AdamW for everything. Muon (Jordan et al., 2024) steps along the orthogonalised momentum;
    salt/training/muon.py says in which precision."""
    betas: tuple[Beta, Beta] = (0.0, 0.999)
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 10.0
    """Largest global gradient norm."""
    warmup: NonNegativeInt = 0
    """Updates of linear warm-up."""
    decay: Probability = 0.0
    """Share of the run, at its end, over which lr falls linearly to 0."""


class Critic(Section):
    """The fake score: its optimiser, and its number of updates per generator update."""

    optimiser: Optimiser
    """AdamW of the critic: lr, betas, weight_decay, clip, warmup, decay."""
    ratio: PositiveInt = 5
    """Critic updates per generator update."""
    knows_exit: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether it sees, beside the caption, the t_s at which the student left its sample; published critics do not."""
    knows_steps: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether it sees, beside the caption, 1 / K of the rollout that made the sample; not with `knows_exit`."""

    @model_validator(mode="after")
    def _one_token(self) -> "Critic":
        if self.knows_exit and self.knows_steps:
            raise ValueError(
                "knows_exit and knows_steps: a critic is told one thing beside the caption; accepted: one of them"
            )
        return self


class Discriminator(Section):
    """The network of `objectives.adversarial`: its optimiser, and its number of updates per generator update."""

    optimiser: Optimiser
    """AdamW of the discriminator: lr, betas, weight_decay, clip, warmup, decay."""
    ratio: PositiveInt | None = None
    """Its own updates per generator update; None: it is updated with the critic, on the same samples, as published, and
    once per generator update where there is none."""


class EMA(Section):
    """Exponential moving average of the generator, from generator update `start` on."""

    decay: Beta = 0.99
    """1 is refused: the average would stay what the student started from."""
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
    discriminator: Discriminator | None = Field(default=None, exclude_if=is_none)
    ema: EMA = EMA()
    checkpoint_every: PositiveInt = 100
    keep_checkpoints: PositiveInt = 2
    precision: Precision = Field(default="float32", exclude_if=lambda value: value == "float32")
    """The precision networks compute in; weights, averages, gradients and losses are float32."""
    recompute: bool = False
    """Activation checkpointing: a block keeps its inputs only, and is run again in backward."""
    shard: bool = False
    """Networks are split over the processes (FSDP2); False: every process holds them whole."""
    context_parallel: PositiveInt = 1
    """Processes that share each sample, with its tokens split among them (Ulysses); 1: each has samples of its own. It
    must divide a clip's tokens and the networks' heads; 1 for causal networks."""
    preview_every: NonNegativeInt = 0
    """Iterations between contact sheets of samples; 0: there are none."""
    tensorboard: bool = False
    tracker: Literal["trackio", "wandb"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """A package that metrics are sent to as well, as its own environment says (WANDB_MODE, TRACKIO_DIR); None: to none.
    It is installed by whoever wants it."""
    threads: Annotated[int, Field(ge=1, le=512)] = 1
    """CPU threads of one process."""

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> "Train":
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size={self.batch_size} must be a multiple of accumulate={self.accumulate}")
        return self

    @model_validator(mode="after")
    def _one_process_previews(self) -> "Train":
        if self.shard and self.preview_every:
            raise ValueError(f"preview_every={self.preview_every}: with shard=true 0 is accepted")
        return self
