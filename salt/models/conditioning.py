"""From a network to a velocity field: captions and first frames bound to it, with guidance or without."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from salt.flow.path import MeanVelocity, Velocity, guide
from salt.models.protocol import Batch, FirstFrame, FlowMapModel, ImageToVideoModel, VelocityModel


@dataclass(frozen=True, eq=False)
class BoundFlowMap(MeanVelocity):
    """The velocity field of a network that knows its mean, under captions and first frames."""

    model: FlowMapModel
    text: Tensor
    image: FirstFrame | None

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The velocity."""
        return self.model.mean_velocity(x_t, t, t, self.text, self.image)

    def mean_velocity(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Its mean from t to s."""
        return self.model.mean_velocity(x_t, t, s, self.text, self.image)


def bind(
    model: VelocityModel | ImageToVideoModel | FlowMapModel, text: Tensor, image: FirstFrame | None = None
) -> Velocity:
    """The velocity field (x_t, t) -> v of a network under a caption `(B, L, D)`, and a first frame where it has one.

    That of a `FlowMapModel` is a `MeanVelocity`.
    """
    if isinstance(model, FlowMapModel):
        return BoundFlowMap(model, text, image)
    if image is None:
        plain = cast(VelocityModel, model)
        return lambda x_t, t: plain(x_t, t, text)
    conditioned = cast(ImageToVideoModel, model)
    return lambda x_t, t: conditioned(x_t, t, text, image=image)


def told(text: Tensor, t_s: Tensor) -> Tensor:
    """Captions `(B, L, D)` with one more token that says a time `(B,)`, D times."""
    token = t_s.to(text)[:, None, None].expand(-1, 1, text.shape[2])
    return torch.cat([text, token], dim=1)


def guided(teacher: VelocityModel | ImageToVideoModel, batch: Batch, cfg_weight: float) -> Velocity:
    """The field of a guided teacher under a batch's captions; both branches see its first frames, as Wan's do."""
    cond = bind(teacher, batch.text, batch.image)
    if cfg_weight == 1:  # `guide` would give the conditional branch, bit for bit
        return lambda x_t, t: cond(x_t, t).to(x_t.dtype)
    uncond = bind(teacher, batch.empty_text.expand_as(batch.text), batch.image)

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        # Two calls: on a CPU one call of twice the batch took 10 % longer.
        # A network that computes in bfloat16 answers in it: float32 before guidance extrapolates.
        return guide(cond(x_t, t).to(x_t.dtype), uncond(x_t, t).to(x_t.dtype), cfg_weight)

    return velocity
