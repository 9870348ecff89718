"""What the training loop does for the members of an ensemble one by one: clip gradients, set aside who diverged.

A member whose gradient is not finite gets NaN for all its weights. So it stays apart, in checkpoints and averages too,
without any record beside the weights: its outputs and gradients are NaN from then on, and no other member sees them.
"""

import logging
import math

import torch
from torch import Tensor, nn

from salt.models.protocol import Ensemble

log = logging.getLogger(__name__)


def number(network: nn.Module) -> int:
    """E of an ensemble; 1 for any other network."""
    return network.members if isinstance(network, Ensemble) else 1


@torch.no_grad()
def clip(network: nn.Module, largest: float, where: str) -> dict[str, float]:
    """Scale each member's gradient down to a norm of at most `largest`, and set aside members without a finite one.

    Args:
        network: an ensemble, after backward.
        largest: as in `torch.nn.utils.clip_grad_norm_`, for each member by itself.
        where: run, step and role, for the message that names members that diverge.

    Returns:
        `grad_norm`, the mean over the members that are left, and how many there are; the norm is NaN if none is.
    """
    parameters = list(network.parameters())
    norms = _norms([parameter.grad for parameter in parameters if parameter.grad is not None])
    alive = norms.isfinite()
    some = bool(alive.any())
    if some and not bool(alive.all()):
        _name_the_lost(parameters, alive, where)
        for parameter in parameters:
            parameter[~alive] = math.nan
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    if bool((factors < 1).any()):
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(_column(factors, parameter))
    return {"grad_norm": norms[alive].mean().item(), "members": float(alive.sum())}


def _name_the_lost(parameters: list[nn.Parameter], alive: Tensor, where: str) -> None:
    """Say once which members have just diverged."""
    before = torch.stack([parameter.flatten(1).isfinite().all(1) for parameter in parameters]).all(0)
    diverged = (before & ~alive).nonzero().flatten().tolist()
    if diverged:
        names = ", ".join(map(str, diverged))
        log.error(
            "%s: the gradient of member %s of the ensemble is not finite; it is set aside (its weights become NaN), "
            "and the other %d go on as if nothing had happened", where, names, int(alive.sum()),
        )  # fmt: skip


def _norms(gradients: list[Tensor]) -> Tensor:
    each = torch.stack([torch.linalg.vector_norm(gradient, dim=(1, 2)) for gradient in gradients])
    return torch.linalg.vector_norm(each, dim=0)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
