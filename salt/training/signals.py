"""Signals that request a run to stop early and in order: SIGTERM and SIGUSR1 of cluster managers, SIGINT of Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class StopRequest:
    """The signal that was received, if any."""

    received: str | None = None


@contextmanager
def listen_for_stop() -> Iterator[StopRequest]:
    """Record these signals instead of ending the process; previous handlers are restored after the block.

    A second Ctrl-C ends it at once.
    """
    request = StopRequest()

    def note(number: int, _frame: object) -> None:
        request.received = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
