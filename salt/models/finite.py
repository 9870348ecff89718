"""Weights that are read must be numbers: a network with NaN in it would give NaN, and say nothing."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from salt.errors import SaltError


def check_finite(weights: Mapping[str, Tensor], source: Path | str, called: Mapping[str, str] = {}) -> None:
    """Refuse weights that hold NaN or infinity.

    Args:
        weights: by name.
        source: as the message says where they are from.
        called: names that the source has for some of them.
    """
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            as_called = called.get(name, name)
            raise SaltError(f"{source}: weights {as_called!r} hold NaN or infinity; finite numbers are expected")
