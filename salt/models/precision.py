"""The precision networks compute in: float32, or a lower one under autocast. Weights stay as they are."""

from typing import Any

import torch
from torch import Tensor

from salt.config.base import Precision

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""The dtypes that `precision` names."""


def compute_in(precision: Precision, device: str) -> torch.autocast:
    """The autocast of a precision. Weights are cast at every call: a cache would keep casts made without gradient."""
    low = precision != "float32"
    return torch.autocast(torch.device(device).type, DTYPES[precision], enabled=low, cache_enabled=False)


def in_precision(model: Any, precision: Precision, device: str) -> Any:
    """A `VelocityModel` or `CausalModel` on `device`, as it is sampled; in float32, the model itself."""
    return model if precision == "float32" else _Lowered(model, precision, device)


class _Lowered:
    """A network that computes in low precision and returns the dtype of its input, so that solvers keep theirs.

    Every call enters its own autocast: one around a generator of chunks would extend to the code that consumes them.
    """

    def __init__(self, model: Any, precision: Precision, device: str) -> None:
        self._model, self._precision, self._device = model, precision, device

    @property
    def chunk(self) -> int:
        return self._model.chunk

    def __call__(self, x_t: Tensor, *given: Any, **named: Any) -> Tensor:
        with self._low():
            return self._model(x_t, *given, **named).to(x_t.dtype)

    def step(self, x_t: Tensor, *given: Any) -> Tensor:
        with self._low():
            return self._model.step(x_t, *given).to(x_t.dtype)

    def open_memory(self, *given: Any) -> Any:
        with self._low():  # keys and values are stored in the precision that networks compute in
            return self._model.open_memory(*given)

    def remember(self, *given: Any) -> None:
        with self._low():
            self._model.remember(*given)

    def switch(self, *given: Any) -> None:
        with self._low():
            self._model.switch(*given)

    def _low(self) -> torch.autocast:
        return compute_in(self._precision, self._device)
