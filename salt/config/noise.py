"""How noise levels are drawn at which samples are judged."""

from pydantic import PositiveFloat, model_validator

from salt.config.base import Probability, Section, Share


class NoiseLaw(Section):
    """How a noise level t is sampled: u uniform on (0, u_max), shifted, clamped."""

    shift: PositiveFloat = 5.0
    """s of t = s u / (1 + (s - 1) u)."""
    u_max: Share = 1.0
    t_min: Probability = 0.02
    t_max: Probability = 0.98

    @model_validator(mode="after")
    def _ordered(self) -> "NoiseLaw":
        if self.t_min >= self.t_max:
            raise ValueError(f"t_min={self.t_min} must lie below t_max={self.t_max}")
        return self
