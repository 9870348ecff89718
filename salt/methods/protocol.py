"""What the training loop knows of a method."""

from typing import Protocol

from torch import Tensor, nn

from salt.models.protocol import Batch


class Method(Protocol):
    """Roles, and the loss of each; it knows neither the loop nor the optimisers."""

    trainable: dict[str, nn.Module]
    """role -> network: "generator", and "critic" and "discriminator" where there are any."""

    constant: tuple[nn.Module, ...]
    """Networks that losses ask and nobody trains."""

    def roles(self, step: int) -> tuple[str, ...]:
        """Who is updated in iteration `step` (0 is the first), in order; each update has a batch of its own."""
        ...

    def updated(self, role: str) -> tuple[str, ...]:
        """The networks of `trainable` that an update of `role` changes; each has an optimiser of its own."""
        return (role,)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean over a micro-batch of the loss of `role`, and further means worth recording.

        Only the parameters of the networks in `updated(role)` get a gradient from it. The mean of the losses of equal
        micro-batches is the loss of the whole batch.
        """
        ...
