"""A scale, as data: how large its world, networks and evaluation are. No code branches on which scale it is."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.backbone import NO_WAN, Backbone
from salt.config.base import Few, Name, Precision, Probability, Section, Set, Solver, is_none
from salt.config.data import Data
from salt.config.lab import Exact
from salt.config.memory import Memory
from salt.config.released import Below
from salt.config.vbench import VBench
from salt.config.world import World

LEAST_PROMPTS = 6
"""Of the world's captions: fewer are not scored on every dimension."""
MASK_CHANNELS = 4
"""Channels of the mask of given frames: one for each video frame of a latent frame, as in Wan 2.1 I2V."""


class Codec(Section):
    """The causal codec: a linear code of every fourth frame, motion vectors, and a learned decoder."""

    stride: Literal[4, 8] = 4
    """Side of a latent, in pixels."""
    channels: Annotated[int, Field(gt=4)] = 12
    """Channels of a latent: two of motion, two of surroundings, the others principal components."""
    motion_scale: PositiveFloat = 1.5
    """Latent units of a motion of one pixel a frame."""
    surroundings_scale: PositiveFloat = 6.0
    """Latent units of a covered cell next to another one, approximately."""
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


class VAE(Section):
    """Wan's autoencoder: one latent frame for the first frame and for every four after it, 8 x 8 pixels a latent."""

    height: Annotated[int, Field(gt=0, multiple_of=16)] = 480
    """Pixels; a multiple of 16, as a latent is 8 pixels wide and a token 2 latents."""
    width: Annotated[int, Field(gt=0, multiple_of=16)] = 832
    channels: PositiveInt = 16
    """Channels of a latent."""


class Text(Section):
    """The UMT5 text encoder."""

    d_model: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    d_ff: PositiveInt = 128
    tokens: PositiveInt = 16
    """Captions are padded or truncated to this many tokens."""
    steps: PositiveInt = 600
    """Updates of its pretext task (predicting the scene from the caption)."""
    precision: Precision = Field(default="float32", exclude_if=lambda value: value == "float32")
    """The precision it computes in; embeddings are float32."""
    negative: str = Field(default="", exclude_if=lambda value: not value)
    """What guidance steers away from: the caption of its unconditional branch."""


class FirstFrame(Section):
    """Image-to-video: networks are conditioned on a clip's first frame, as latents beside x_t (Wan 2.1 I2V)."""

    tokens: NonNegativeInt = 0
    """Tokens of CLIP's features of that frame, each of width `backbone.image_dim`; 0: latents alone (Wan 2.2)."""


class Larger(Section):
    """A larger teacher, with the same latents and the same text encoder."""

    assets: Below
    """Its folder below `SALT_WEIGHTS`, in diffusers' format or Wan's original layout."""
    backbone: Backbone


class Long(Section):
    """Videos of causal students that are longer than those of training (Table 3), scored as VBench-Long does."""

    length: Annotated[int, Field(ge=2)] = 6
    """Length as a multiple of the training length."""
    memory: Memory
    """KV-cache policy of students, in place of that of training; `causal.long_memory` of a student comes before it."""
    nfe: Set[PositiveInt] = (4,)
    """Function evaluations of every chunk, by `main_solver`."""
    prompts: Annotated[int, Field(ge=2)] = 128
    """Number of extended report prompts; 2 or more, so that there is one of each kind."""
    vbench: VBench | None = Field(default=None, exclude_if=is_none)
    """How VBench-Long scores them; None: the ground-truth scorer."""


class Evaluation(Section):
    """What is sampled from every student, and how it is scored."""

    prompts: PositiveInt = 256
    batch_size: PositiveInt = 64
    seeds: Set[NonNegativeInt] = (0,)
    """Sampling seeds: one video per prompt and seed."""
    nfe: Set[PositiveInt] = (2, 4, 8, 16)
    """Function evaluations of students, with extended prompts and every solver."""
    solvers: Set[Solver] = ("euler", "cm")
    short_nfe: Few[PositiveInt] = (4,)
    """Function evaluations of students, with short prompts and `main_solver` only."""
    main_solver: Solver = "cm"
    teacher_nfe: PositiveInt = 50
    """Euler steps of the guided teacher."""
    cfg_weight: PositiveFloat = 3.0
    """w of uncond + w (cond - uncond) of the guided teacher."""
    defect_samples: Annotated[int, Field(ge=2)] = 128
    """Prompts, and noises, that the diagnostics of `salt defect` use; 2 or more, for a standard error."""
    mode_samples: PositiveInt = Field(default=2, exclude_if=lambda value: value == 2)
    """Videos of each prompt that `salt modes` compares with what the world allows."""
    precision: Precision = Field(default="float32", exclude_if=lambda value: value == "float32")
    """The precision of networks in sampling and in diagnostics; weights, states, noise and solver are float32."""
    long: Long | None = None
    """Videos of causal students beyond the training length; None: this scale has none."""
    vbench: VBench | None = Field(default=None, exclude_if=is_none)
    """The real VBench's protocol, run in its own environment; None: the ground-truth scorer of the world."""

    @model_validator(mode="after")
    def _suites(self) -> "Evaluation":
        if (self.vbench is None) != (self.long is None or self.long.vbench is None) and self.long is not None:
            raise ValueError("vbench and long.vbench go together: one scorer for a scale")
        if self.vbench is None and self.prompts < LEAST_PROMPTS:
            raise ValueError(f"prompts={self.prompts}: accepted: {LEAST_PROMPTS} or more, which enter all dimensions")
        if self.vbench is not None and self.vbench.suite == "long":
            raise ValueError("vbench.suite=long is for long.vbench; accepted: vbench or i2v")
        return self


class Scale(Section):
    """Everything that is the same for all experiments at one scale."""

    name: Name
    """The stem of the scale's file."""
    about: str = Field(default="", exclude=True)
    """What it is, in a sentence or two; the report opens with it. It is in no dump, so no hash knows it."""
    limits: tuple[str, ...] = Field(default=(), exclude=True)
    """What its results cannot show, a sentence each; they stand beside it, and are in no dump either."""
    extends: Name | None = Field(default=None, exclude_if=is_none)
    """The scale whose file this one's overrides."""
    beside: Name | None = Field(default=None, exclude_if=is_none)
    """A scale whose tables and figures are made with this one's: image-to-video beside text-to-video (Table 1)."""
    meaningful: bool = True
    """False: the numbers mean nothing, and every table says so."""
    lab: Name | None = Field(default=None, exclude_if=is_none)
    """The scale of the lab whose targets this one has; None: it has none, or the scale has that it stands beside."""
    assets: str = ""
    """Folder of codec, text encoder and teacher: in the repository if they are shipped, below `SALT_WEIGHTS` if they
    are linked."""
    teacher: Literal["shipped", "train", "linked"] = "shipped"
    """`linked`: released networks, as a pipeline in diffusers' format or in Wan's original layout."""
    training_seeds: PositiveInt = 3
    """Most training seeds of each student, whatever a table asks for."""
    world: World = World()
    data: Data | None = Field(default=None, exclude_if=is_none)
    """What students are trained on; None: clips of the world."""
    codec: Codec = Codec()
    vae: VAE | None = Field(default=None, exclude_if=is_none)
    """Wan's autoencoder in place of `codec`; None: the tiny codec."""
    text: Text = Text()
    backbone: Backbone = Field(default=NO_WAN, exclude_if=lambda value: value == NO_WAN)
    """The Wan of this scale: num_layers, num_attention_heads, attention_head_dim, ffn_dim, ..."""
    exact: Exact | None = Field(default=None, exclude_if=is_none)
    """A world of known modes and small networks in place of world, codec, text and backbone; None: there is none."""
    first_frame: FirstFrame | None = Field(default=None, exclude_if=is_none)
    """Networks are conditioned on a clip's first frame besides its caption; None: they are not (text-to-video)."""
    larger: Larger | None = Field(default=None, exclude_if=is_none)
    """The teacher of experiments with `objectives.dmd.teacher: larger`; None: there is none."""
    evaluation: Evaluation = Evaluation()
    any_step: Few[PositiveInt] = Field(default=(), exclude_if=lambda value: not value)
    """Function evaluations at which `salt modes --any-step` samples; empty: that is not asked here."""

    @model_validator(mode="after")
    def _one_kind_of_network(self) -> "Scale":
        if (self.exact is None) == (self.backbone == NO_WAN):
            raise ValueError("backbone and exact: accepted: backbone (a Wan) or exact (small networks), one of them")
        if self.exact is None and not self.assets:
            raise ValueError("assets: missing; accepted: the folder of codec, text encoder and teacher")
        return self

    @model_validator(mode="after")
    def _data_has_a_vae(self) -> "Scale":
        if (self.data is None) != (self.vae is None):
            raise ValueError("data and vae belong together, as the world and the tiny codec do: give both or neither")
        if (self.vae is None) == (self.teacher == "linked"):
            raise ValueError(f"teacher={self.teacher}: linked is accepted with vae, and only then")
        if self.larger is not None and self.teacher != "linked":
            raise ValueError(
                f"larger is linked beside the scale's teacher, but teacher={self.teacher}: linked is accepted"
            )
        return self

    @model_validator(mode="after")
    def _networks_take_what_is_given(self) -> "Scale":
        channels, backbone = self.latent_shape[0], self.backbone
        if self.exact is not None:
            return self
        wanted = 2 * channels + MASK_CHANNELS if self.image_to_video else backbone.out_channels
        if backbone.in_channels != wanted:
            more = f", {MASK_CHANNELS} of the mask, those of the first frame" if self.image_to_video else ""
            raise ValueError(
                f"backbone.in_channels={backbone.in_channels}: accepted: {wanted}, the channels of x_t{more}"
            )
        takes, given = backbone.image_dim is not None, self.image_tokens > 0
        if takes != given or takes != (backbone.added_kv_proj_dim is not None):
            raise ValueError(
                "first_frame.tokens, backbone.image_dim and backbone.added_kv_proj_dim belong together, for networks "
                "that are conditioned on features of an image: give all or none"
            )
        if given and self.teacher != "linked":
            raise ValueError(
                f"first_frame.tokens={self.image_tokens} needs a released image encoder, but teacher={self.teacher}: "
                "accepted: 0"
            )
        return self

    @model_validator(mode="after")
    def _networks_fit(self) -> "Scale":
        if self.exact is not None:
            return self
        if self.text.d_model % self.text.num_heads:
            raise ValueError(
                f"text.d_model={self.text.d_model}: accepted: a multiple of num_heads={self.text.num_heads}"
            )
        self.backbone.check("backbone", self.latent_shape, self.text.d_model)
        if self.larger is not None:
            self.larger.backbone.check("larger.backbone", self.latent_shape, self.text.d_model)
        return self

    @property
    def image_to_video(self) -> bool:
        """Whether networks are conditioned on a clip's first frame."""
        return self.first_frame is not None

    @property
    def names_modes(self) -> bool:
        """Whether the world of its Wan can name the modes of clips: what is asked is no first frame but a caption."""
        return self.exact is None and self.data is None and self.world.turn != "none" and not self.image_to_video

    def at_any_step(self) -> "Scale":
        """The same with clips of the training length at `any_step`, and nothing else, to be sampled."""
        evaluation = self.evaluation.model_copy(update={"nfe": self.any_step, "short_nfe": (), "long": None})
        return self.model_copy(update={"evaluation": evaluation})

    @property
    def has_long_videos(self) -> bool:
        """Whether videos of causal students beyond the training length are evaluated."""
        return self.evaluation.long is not None

    @property
    def image_tokens(self) -> int:
        """Tokens of a first frame's features; 0: networks take none."""
        return 0 if self.first_frame is None else self.first_frame.tokens

    @property
    def video_size(self) -> tuple[int, int]:
        """Height and width of a clip for the codec, in pixels."""
        return (self.world.size, self.world.size) if self.vae is None else (self.vae.height, self.vae.width)

    @property
    def clips(self) -> int:
        """Number of clips in the latent bank."""
        return self.world.clips if self.data is None else self.data.clips

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C, T, h, w)` of a clip."""
        if self.exact is not None:
            return self.exact.world.latent_shape
        frames = 1 + (self.world.frames - 1) // 4
        if self.vae is not None:
            return self.vae.channels, frames, self.vae.height // 8, self.vae.width // 8
        side = self.world.size // self.codec.stride
        return self.codec.channels, frames, side, side

    @property
    def frame_tokens(self) -> int:
        """S, the tokens of one latent frame."""
        _, _, height, width = self.latent_shape
        _, rows, columns = self.backbone.patch_size
        return height // rows * (width // columns)

    @property
    def video_scale(self) -> int:
        """The factor by which stored videos are enlarged; 1 for those of a VAE."""
        return 1 if self.vae is not None else self.world.video_scale
