"""Muon (Jordan et al., 2024), orthogonalising in the precision in which the device multiplies matrices well.

torch's Muon does so in bfloat16 everywhere. A CPU without instructions for bfloat16 emulates it, and spends most of a
step on that; there float32 is used. The two differ by the rounding of bfloat16, so a run keeps the one it began with,
whatever it continues on, and the provenance of its weights says which that was.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from salt.config.base import Precision

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What torch calls the instructions for it, of x86 and of ARM."""


def fast_precision(device: torch.device) -> Precision:
    """Bfloat16 on a GPU and on a CPU that has instructions for it, else float32."""
    capabilities = torch.cpu.get_capabilities()
    native = device.type != "cpu" or any(capabilities.get(name, False) for name in BFLOAT16)
    return "bfloat16" if native else "float32"


class Muon(torch.optim.Muon):
    """torch's own, with a choice of `precision`: what its updates are orthogonalised in; see `fast_precision`."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        matrices = list(parameters)
        super().__init__(matrices, lr, weight_decay=weight_decay)
        self.precision = fast_precision(matrices[0].device)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One update of every matrix that has a gradient."""
        if self.precision == "bfloat16":
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for matrix in (matrix for matrix in group["params"] if matrix.grad is not None):
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"]
                momentum.lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(momentum, group["momentum"])  # Nesterov's
                update = orthogonalised(ahead, group["ns_coefficients"], group["ns_steps"], group["eps"])
                rows, columns = matrix.shape
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))
        return loss


def orthogonalised(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Torch's Newton-Schulz iteration in the precision of the matrix: its singular values become about 1."""
    a, b, c = coefficients
    wide = matrix if matrix.size(0) <= matrix.size(1) else matrix.T
    wide = wide / wide.norm().clamp(min=eps)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.size(0) <= matrix.size(1) else wide.T
