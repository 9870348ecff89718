"""Signals that ask a run to end early and orderly: SIGTERM and SIGUSR1, as cluster managers send them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class StopRequest:
    """Which signal came, if any."""

    received: str | None = None


@contextmanager
def listen_for_stop() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGUSR1 instead of dying of them; the previous handlers return at the end of the block."""
    request = StopRequest()

    def note(number: int, _frame: object) -> None:
        request.received = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
