"""Data parallelism over the processes of `torchrun`: each takes its slice of a batch, and gradients are averaged.

With `train.context_parallel` a group of processes takes a slice together; see `salt.training.sharding`.

Averaging `.grad` after backward, instead of wrapping networks in DDP, lets a method call its networks any number of
times within one loss. Networks are equal at the start because they are seeded, and stay equal because every process
applies the same averaged gradient.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from salt.errors import SaltError


@dataclass(frozen=True)
class Workers:
    """This process among its peers."""

    rank: int = 0
    size: int = 1
    context: int = 1
    """Number of processes that share each sample; it divides `size`."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    @property
    def groups(self) -> int:
        """Number of groups among which a batch is divided; the processes of a group have the same samples."""
        return self.size // self.context

    def slices(self, first: int, batch_size: int, accumulate: int) -> list[tuple[int, ...]]:
        """The sample numbers of this process's micro-batches, in a batch that begins with number `first`."""
        local = batch_size // (accumulate * self.groups)
        group = self.rank // self.context
        starts = [first + (part * self.groups + group) * local for part in range(accumulate)]
        return [tuple(range(start, start + local)) for start in starts]

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = nn.utils.parameters_to_vector(gradients)
        distributed.all_reduce(flat)
        nn.utils.vector_to_parameters(flat / self.size, gradients)

    def mean(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The mean of every number over the processes."""
        if self.size == 1:
            return dict(metrics)
        return dict(zip(metrics, (self._sum(list(metrics.values())) / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return flag if self.size == 1 else bool(self._sum([float(flag)]).item() > 0)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in the order of their ranks."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.size > 1:
            distributed.barrier()

    def _sum(self, values: list[float]) -> Tensor:
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total)
        return total


ALONE = Workers()
"""The only process."""


@contextmanager
def join_workers(context: int = 1) -> Iterator[Workers]:
    """Join the processes that `torchrun` started (it sets RANK and WORLD_SIZE); without `torchrun`, be the only one.

    Args:
        context: see `Workers`.

    Raises:
        SaltError: it does not divide the number of processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size % context:
        raise SaltError(
            f"train.context_parallel={context} does not divide the number of processes, {size}; accepted: a divisor "
            "of nodes times gpu of `train` in workflow/resources.yaml"
        )
    if size == 1:
        yield ALONE
        return
    if torch.cuda.is_available():  # from here on, "cuda" is this process's own device
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Workers(distributed.get_rank(), size, context)
    finally:
        distributed.destroy_process_group()
