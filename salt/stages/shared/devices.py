"""The device and the threads of a job."""

import torch

from salt.errors import SaltError


def check_device(device: str) -> None:
    """Refuse a device that torch does not have here.

    Raises:
        SaltError: stating torch's reason.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # not compiled for it, not there, no such name
        reason = str(error).splitlines()[0]
        raise SaltError(f"--device {device}: {reason}; accepted: cpu, or cuda where torch sees a GPU") from error


def single_thread() -> None:
    """One CPU thread: jobs run side by side, which beats one job on all cores."""
    torch.set_num_threads(1)
