"""The procedural captioned video world, as data."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Probability, Section, is_none

Split = Literal["train", "validation", "report"]
Turn = Literal["none", "keep", "choose"]
SHARES_MISS = 1e-6
"""By which shares may miss 1."""


class Style(Section):
    """The style of a clip: numbers that its caption does not tell, each normal about 0; pixels are affine in them.

    Lengths are of the 0 to 255 of a colour.
    """

    light: PositiveFloat
    """Standard deviation of what is added to every pixel."""
    background: PositiveFloat
    """Standard deviation of the background's tint: what is added to its red and taken from its blue."""
    objects: PositiveFloat
    """Standard deviation of the objects' tint; all objects of a clip have the same."""
    contrast: float = Field(default=0.75, gt=0, le=1)
    """Of the palette about mid-grey, which leaves room for style: four standard deviations must not be cut off."""


class World(Section):
    """The procedural captioned video world (tiny scales)."""

    size: PositiveInt = 32
    """Side in pixels."""
    frames: PositiveInt = 9
    """1 + 4 k, as for Wan."""
    speeds: Annotated[tuple[Literal[1, 2], ...], Field(min_length=1)] = (1, 2)
    """Pixels a frame, sampled per clip."""
    turn: Turn = Field(default="none", exclude_if=lambda value: value == "none")
    """What objects do at the border. none: clips are such that they do not reach it; keep: they turn round and go back
    as fast as they came; choose: they turn round and draw their speed anew."""
    speed_shares: tuple[PositiveFloat, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Where objects turn round, the probability of each of `speeds`: of a clip (keep), or at each turn (choose)."""
    style: Style | None = Field(default=None, exclude_if=is_none)
    """How clips differ continuously; None: they do not."""
    pair_share: Probability = 0.4
    """Share of two-object scenes."""
    pair_gaps: Annotated[tuple[Literal[8, 16], ...], Field(min_length=1)] = (8, 16)
    """Distances in pixels of two objects along the axis of their relation, sampled per clip."""
    pair_slips: Annotated[tuple[Literal[-8, 0, 8], ...], Field(min_length=1)] = (-8, 0, 8)
    """Offsets in pixels of two objects across that axis, sampled per clip."""
    short_share: Probability = 0.25
    """Share of training captions that leave attributes out."""
    video_scale: PositiveInt = 4
    """Factor by which stored videos are enlarged (nearest neighbour). Their sides must be multiples of 64, as a decoder
    of VBench needs."""
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

    @model_validator(mode="after")
    def _turns(self) -> "World":
        turning = self.turn != "none"
        if turning != bool(self.speed_shares) or (turning and len(self.speed_shares) != len(self.speeds)):
            raise ValueError(
                f"turn={self.turn}, speeds={list(self.speeds)}, speed_shares={list(self.speed_shares)}: accepted: a "
                "share for each speed where objects turn round, none where they do not"
            )
        if turning and abs(sum(self.speed_shares) - 1) > SHARES_MISS:
            raise ValueError(f"speed_shares={list(self.speed_shares)}: accepted: positive numbers that add up to 1")
        if turning and (len({*self.speeds}) < len(self.speeds) or {*self.pair_slips} != {0} or len(self.pair_gaps) > 1):
            raise ValueError(
                f"turn={self.turn}: speeds={list(self.speeds)}, pair_gaps={list(self.pair_gaps)}, "
                f"pair_slips={list(self.pair_slips)}: accepted: different speeds, one gap, slips [0]"
            )
        return self
