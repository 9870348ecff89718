"""What the training loop knows of a method."""

from typing import Protocol, cast

from torch import Tensor, nn

from salt.flow.path import Velocity, guide
from salt.models.protocol import Batch, FirstFrame, ImageToVideoModel, VelocityModel


class Method(Protocol):
    """Roles, and the loss of each; it knows neither the loop nor the optimisers."""

    trainable: dict[str, nn.Module]
    """role -> network: "generator", and "critic" where there is one."""

    constant: tuple[nn.Module, ...]
    """Networks that losses ask and nobody trains."""

    def roles(self, step: int) -> tuple[str, ...]:
        """Who is updated in iteration `step` (0 is the first), in order; each update has a batch of its own."""
        ...

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean over a micro-batch of the loss of `role`, and further means worth recording.

        Only the parameters of `trainable[role]` get a gradient from it. The mean of the losses of equal micro-batches
        is the loss of the whole batch.
        """
        ...


def guided(teacher: VelocityModel | ImageToVideoModel, batch: Batch, cfg_weight: float) -> Velocity:
    """The field of a guided teacher under a batch's captions; both branches see its first frames, as Wan's do."""
    cond = bind(teacher, batch.text, batch.image)
    uncond = bind(teacher, batch.empty_text.expand_as(batch.text), batch.image)

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        # Two calls: on a CPU one call of twice the batch took 10 % longer.
        # A network that computes in bfloat16 answers in it: float32 before guidance extrapolates.
        return guide(cond(x_t, t).to(x_t.dtype), uncond(x_t, t).to(x_t.dtype), cfg_weight)

    return velocity


def bind(model: VelocityModel | ImageToVideoModel, text: Tensor, image: FirstFrame | None = None) -> Velocity:
    """The velocity field (x_t, t) -> v of a network under a caption `(B, L, D)`, and a first frame where it has one."""
    if image is None:
        plain = cast(VelocityModel, model)
        return lambda x_t, t: plain(x_t, t, text)
    shown = cast(ImageToVideoModel, model)
    return lambda x_t, t: shown(x_t, t, text, image=image)
