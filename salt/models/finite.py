"""What is read must compute: weights are numbers, and networks give numbers that depend on what they are given.

A network with NaN in it would give NaN, and one of zeros the same for every input, and neither would say so.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from salt.errors import SaltError, out_of_memory
from salt.foreign import is_of_a_library, reason


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


@contextmanager
def computing(source: Path | str) -> Iterator[None]:
    """Let what is read be tried in this block: whatever a library raises there is refused in one line.

    Args:
        source: as the message says where it is from.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SaltError:
        raise
    except BaseException as error:
        if out_of_memory(error) or not is_of_a_library(error):
            raise
        raise SaltError(f"{source}: it cannot compute a known input: {reason(error)}") from error


def check_answer(answer: Tensor, shape: tuple[int, ...], source: Path | str, what: str) -> None:
    """Refuse a network by what it answers to an input that is not constant.

    Args:
        answer: its output.
        shape: of the output, as the network's configuration has it.
        source: as the message says where the network is from.
        what: the output, for the message.

    Raises:
        SaltError: the shape is another, numbers are not finite, or all are the same.
    """
    if tuple(answer.shape) != shape:
        raise SaltError(f"{source}: its {what} are {tuple(answer.shape)}; {shape} is expected")
    if not bool(answer.isfinite().all()):
        raise SaltError(f"{source}: its {what} are not finite; weights of a network that computes are expected")
    if bool((answer == answer.flatten()[0]).all()):
        raise SaltError(f"{source}: its {what} are all the same; weights of a network that computes are expected")
