"""The random numbers of an update, from the named streams: per sample, or one for the whole update."""

from dataclasses import dataclass

import torch
from torch import Tensor

from salt.config.noise import NoiseLaw
from salt.flow.grid import shift_time
from salt.models.protocol import Batch
from salt.streams import Streams


@dataclass(frozen=True)
class Draws:
    """Draws are functions of (seed, purpose, iteration, sample); they lie on the device of the batch."""

    streams: Streams
    batch_size: int
    """Of a whole update, over all processes and micro-batches."""

    def normal(self, purpose: str, batch: Batch, step: int) -> Tensor:
        """Standard normal noise like the batch's latents."""
        return self.streams.normal(purpose, step, batch.samples, batch.x_0.shape[1:]).to(batch.x_0.device)

    def places(self, role: str, batch: Batch, step: int, levels: int, number: int = 1) -> Tensor:
        """Uniform places in a grid, `(B * number,)`: `number` of them for each sample."""
        drawn = [self.streams.integers(f"{role}/index{i or ''}", step, batch.samples, levels) for i in range(number)]
        return torch.stack(drawn, dim=1).flatten().to(batch.x_0.device)

    def exits(self, last: float, role: str, batch: Batch, step: int, levels: int, number: int = 1) -> Tensor:
        """Where rollouts are judged, `(B * number,)`: `places`, but a share `last` of them at the last level."""
        places = self.places(role, batch, step, levels, number)
        if not last:
            return places
        u = self.streams.uniform(f"{role}/last", step, batch.samples, (number,)).flatten().to(places.device)
        return torch.where(u < last, levels - 1, places)

    def shared(self, purpose: str, batch: Batch, step: int) -> float:
        """One uniform number for a whole update, on all processes and micro-batches."""
        return self.streams.uniform(purpose, step, [batch.samples[0] // self.batch_size])[0].item()

    def noising(self, law: NoiseLaw, role: str, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """A noise level t per sample, uniform, shifted and clamped, and eps."""
        u = self.streams.uniform(f"{role}/t", step, batch.samples).to(batch.x_0.device)
        t = shift_time(law.u_max * u, law.shift).clamp(law.t_min, law.t_max)
        return t, self.normal(f"{role}/eps", batch, step)
