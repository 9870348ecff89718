"""Section `objectives`: what judges a student's samples, or drives the training of networks that make none."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.adversarial import Adversarial
from salt.config.base import Beta, Probability, Section, Share, is_none
from salt.config.noise import NoiseLaw


class DMD(Section):
    """Distribution matching (Eq. 4) against a guided teacher and a critic."""

    weight: NonNegativeFloat = 1.0
    cfg_weight: PositiveFloat = 5.0
    """w of uncond + w (cond - uncond) on the teacher."""
    normaliser: Literal["per_sample", "global", "none"] = "per_sample"
    """Divide the direction by mean |x - x_0^real| of each sample (released code), of the batch, or not at all."""
    noise: NoiseLaw = NoiseLaw()
    teacher: Literal["own", "larger", "exact"] = Field(default="own", exclude_if=lambda value: value == "own")
    """`own`: the scale's teacher, of the student's size; `larger`: the scale's `larger` one, while the critic keeps the
    student's size (Self-Forcing and its descendants: 14B for a student of 1.3B); `exact`: the posterior mean of a world
    that can name its modes."""


class SC(Section):
    """The semigroup defect (Eq. 8) of the student's Euler operator on the triples of Eq. (9)."""

    weight: NonNegativeFloat = 1.0
    """lambda_SC of Eq. (10)."""
    rollouts: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    """The K of the rollouts on which it acts, {8} in Eq. (13); None: all."""
    stop_gradient: Literal["none", "composed"] = "none"
    """`none` is Eq. (8) as written; `composed` detaches x^(2) as the released code does."""
    time_weight: Literal["none", "one_minus_ts"] = "none"
    """`one_minus_ts` is the released code's factor (1 - t_s)."""
    te_law: Literal["uniform", "top2"] = "uniform"
    """t_e: uniform over T^(K) below t_s (Eq. 9), or over its two largest members (released code)."""


class Align(Section):
    """Cache-conditioned reference alignment (Eq. 11, 12) of a rollout with a rollout of more steps from the same noise.

    A rollout that exits at its first step is its own reference and is left out, as in the released code.
    """

    weight: NonNegativeFloat = 0.1
    """lambda_align of Eq. (13)."""
    margin: NonNegativeFloat = 0.1
    """delta of Eq. (12)."""
    references: dict[Annotated[int, Field(ge=2)], PositiveInt] = Field(default={2: 4, 4: 8}, min_length=1)
    """K of a rollout -> K of its reference; other rollouts have none."""
    probability: Share = 1.0
    """Probability that a rollout with a reference is aligned with it."""
    start: NonNegativeInt = 0
    """Generator updates before the first alignment."""
    features: Literal["teacher", "critic"] = "teacher"
    """The network whose features are compared; `teacher`: where that is a closed form, the scale's own network."""
    block: NonNegativeInt | None = None
    """The transformer block they come from; None: the middle one."""
    noise: NoiseLaw = NoiseLaw(u_max=0.2)
    """The law of t_f, to which both samples are noised with the same eps."""

    @model_validator(mode="after")
    def _denser(self) -> "Align":
        for steps, reference in self.references.items():
            if reference <= steps or reference % steps:
                raise ValueError(
                    f"references: {steps}: {reference}; accepted: a larger multiple, so that both grids have t_s"
                )
        return self


class FlowMatching(Section):
    """Regression of v = eps - x_0, with which teachers are trained."""

    weight: NonNegativeFloat = 1.0
    shift: PositiveFloat = 1.0
    caption_drop: Beta = 0.1
    """Share of captions replaced by the empty one, for classifier-free guidance."""
    weighting: Literal["none", "bell"] = Field(default="none", exclude_if=lambda value: value == "none")
    """Of the loss over t: `bell` weighs the middle most and the ends not at all, as Self-Forcing's scheduler does."""
    target: Literal["sample", "exact"] = Field(default="sample", exclude_if=lambda value: value == "sample")
    """`sample`: eps - x_0; `exact`: its mean given x_t and the caption, of a world that can name its modes. The best
    network is the same, what it learns from has less noise. Under the empty caption always that of the sample."""


class ODE(Section):
    """Regression of a teacher's trajectories: the student jumps from a state on one to its end (CausVid)."""

    weight: NonNegativeFloat = 1.0


class PCM(Section):
    """Phased consistency (arXiv 2405.18407) along a guided teacher's path, in K phases: the steps of T^(K)."""

    weight: NonNegativeFloat = 1.0
    solver_steps: PositiveInt = 48
    """Euler steps of the teacher from 1 to 0; a multiple of K."""
    cfg_weight: PositiveFloat = 5.0
    """w of uncond + w (cond - uncond) on the teacher."""
    teacher: Literal["own", "exact"] = Field(default="own", exclude_if=lambda value: value == "own")
    """`own`: the scale's teacher; `exact`: the posterior mean of a world that can name its modes."""
    huber: PositiveFloat = 1e-3
    """c of the distance sqrt(d^2 + c^2) - c."""


class FlowMapMatching(Section):
    """The law of flow maps on noised data, u(x_t, t, s) = v - (t - s) du/dt (AnyFlow, arXiv 2605.13724)."""

    weight: NonNegativeFloat = 1.0
    shift: PositiveFloat = 5.0
    """Of the two uniform times, of which the later is s."""
    velocity_share: Probability = 0.5
    """Of samples with s = t: flow matching."""
    end_share: Probability = 0.25
    """Of samples with s = 0."""
    step: PositiveFloat = 0.005
    """Of t, in the difference that stands for du/dt."""
    cfg_weight: PositiveFloat = 3.0
    """w of uncond + w (cond - uncond), with which the network answers when it is asked once."""
    balance: Literal["per_sample", "batch"] = "per_sample"
    """How losses of s < t are brought to the size of those of s = t: each by itself, as published, or all by one
    factor, for samples of few elements."""

    @model_validator(mode="after")
    def _shares(self) -> "FlowMapMatching":
        if self.velocity_share + self.end_share > 1:
            raise ValueError(
                f"velocity_share={self.velocity_share:g} and end_share={self.end_share:g}: accepted: at most 1 together"
            )
        return self


class SCM(Section):
    """Continuous-time consistency (sCM, arXiv 2410.11081) with a guided teacher, beside dmd: rCM (arXiv 2510.08431)."""

    weight: NonNegativeFloat = 100.0
    cfg_weight: PositiveFloat = 5.0
    """w of uncond + w (cond - uncond) on the teacher."""
    warmup: NonNegativeInt = 1000
    """Generator updates until the direction is that of consistency; before, there is neither dmd nor a critic."""
    whole_derivative: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether the derivative is whole during the warm-up, as in rCM's code at 5b41aa9; false: a share of it, as in its
    paper and its code before."""
    log_mean: float = 0.7
    """Mean of log(t / (1 - t)), normally distributed, where t is the noise level at which the student is compared with
    itself."""
    log_std: PositiveFloat = 1.6
    """Standard deviation of log(t / (1 - t))."""
    derivative: Literal["forward_mode", "difference"] = "forward_mode"
    """Derivative of the student along the teacher's path: exact, or the difference to a state `step` radians before.
    The exact one needs plain attention (all pairs of tokens in memory), and networks that every process holds whole."""
    step: PositiveFloat = 1e-4
    """Step of `derivative: difference`; larger where networks compute in bfloat16."""


DRIVING = ("dmd", "flow_matching", "ode", "pcm", "flow_map")
"""Of these exactly one is given; all other objectives stand beside dmd, and adversarial beside pcm as well."""


class Objectives(Section):
    """What judges the samples; an objective that is absent is off. Exactly one of the first five drives the training;
    the others are added to dmd, `adversarial` to pcm as well.
    """

    dmd: DMD | None = None
    flow_matching: FlowMatching | None = None
    ode: ODE | None = None
    pcm: PCM | None = Field(default=None, exclude_if=is_none)
    flow_map: FlowMapMatching | None = Field(default=None, exclude_if=is_none)
    sc: SC | None = None
    align: Align | None = None
    scm: SCM | None = Field(default=None, exclude_if=is_none)
    adversarial: Adversarial | None = Field(default=None, exclude_if=is_none)

    def given(self) -> dict[str, Any]:
        """Name -> section of every objective that is not absent."""
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: section for name, section in sections.items() if section is not None}

    def acting(self) -> dict[str, Any]:
        """Name -> section of the objective that drives, and of those beside it whose weight is not 0."""
        return {name: section for name, section in self.given().items() if name in DRIVING or section.weight}

    @model_validator(mode="after")
    def _one_drives(self) -> "Objectives":
        driving = [name for name in self.given() if name in DRIVING]
        if len(driving) != 1:
            raise ValueError(
                f"driving objectives given: {', '.join(driving) or 'none'}; accepted: exactly one of "
                f"{', '.join(DRIVING)}"
            )
        allowed = {"dmd": set(type(self).model_fields), "pcm": {"pcm", "adversarial"}}.get(driving[0], set(driving))
        if beside := [name for name in self.given() if name not in allowed]:
            accepted = ", ".join(sorted(allowed - {driving[0]})) or "none"
            raise ValueError(f"{', '.join(beside)}: not added to {driving[0]}; accepted beside it: {accepted}")
        return self
