"""What the training loop knows of a method."""

from typing import Protocol

from torch import Tensor, nn

from salt.models.protocol import Batch


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
