"""What a causal model remembers of a video, as data: a section of experiments, and of a scale's long videos."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from salt.config.base import Beta, Section


class Memory(Section):
    """Which frames of the past a causal model attends to (its KV-cache policy), counted in latent frames.

    The chunk being generated always attends to itself, and besides to `window` and `sink`. No window is Self Forcing's
    full cache; window 6 with sink 3 is LongLive (its local attention of 12 counts the chunk's own 3 too); `sink_ema` is
    Reward Forcing; relative positions are Infinity-RoPE, in training with window 2 and sink 1 (its local attention of
    6); `on_switch: recache` is how LongLive changes the prompt.
    """

    window: PositiveInt | None = None
    """The last frames before the chunk, of which there may be fewer than in a chunk; None: all of them."""
    sink: NonNegativeInt = 0
    """First frames of the video, kept for ever."""
    sink_ema: Beta | None = None
    """Weight of the old sink when a frame that leaves the window is mixed into it; None: the sink stays as it is."""
    positions: Literal["absolute", "relative"] = "absolute"
    """`absolute`: a frame's place in the video; `relative`: its place among the frames attended to, so that no length
    is too long for the rotary embedding."""
    on_switch: Literal["keep", "recache"] = "keep"
    """When the prompt changes: keep keys and values as they are, or recompute them under the new prompt."""

    @model_validator(mode="after")
    def _sink_within(self) -> "Memory":
        if self.window is None and (self.sink or self.sink_ema is not None):
            raise ValueError("sink and sink_ema need a window: with none, all frames are kept anyway")
        if self.window is not None and self.sink > self.window:
            raise ValueError(f"sink={self.sink} must not be larger than window={self.window}")
        if self.sink_ema is not None and not self.sink:
            raise ValueError("sink_ema mixes into the sink: sink must be at least 1")
        return self
