"""What networks compute in: float32, or a lower precision under autocast. Weights stay as they are."""

from typing import Any

import torch
from torch import Tensor

from salt.config.base import Precision

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What `precision` names."""


def compute_in(precision: Precision, device: str) -> torch.autocast:
    """What networks compute in. Weights are cast at every call: a cache would keep casts made without gradient."""
    low = precision != "float32"
    return torch.autocast(torch.device(device).type, DTYPES[precision], enabled=low, cache_enabled=False)


def in_precision(model: Any, precision: Precision, device: str) -> Any:
    """A `VelocityModel` or `CausalModel` on `device` as it is sampled: the very same in float32."""
    return model if precision == "float32" else _Lowered(model, precision, device)


class _Lowered:
    """A network that computes low and answers in the type of the state it was given, so that solvers stay in that.

    Every call has an autocast of its own: one around a generator of chunks would reach whoever draws them.
    """

    def __init__(self, model: Any, precision: Precision, device: str) -> None:
        self._model, self._precision, self._device = model, precision, device

    @property
    def chunk(self) -> int:
        return self._model.chunk

    def __call__(self, x_t: Tensor, *given: Any, **shown: Any) -> Tensor:
        with self._low():
            return self._model(x_t, *given, **shown).to(x_t.dtype)

    def step(self, x_t: Tensor, *given: Any) -> Tensor:
        with self._low():
            return self._model.step(x_t, *given).to(x_t.dtype)

    def open_memory(self, *given: Any) -> Any:
        with self._low():  # its keys and values are kept in what networks compute in
            return self._model.open_memory(*given)

    def remember(self, *given: Any) -> None:
        with self._low():
            self._model.remember(*given)

    def switch(self, *given: Any) -> None:
        with self._low():
            self._model.switch(*given)

    def _low(self) -> torch.autocast:
        return compute_in(self._precision, self._device)
