"""Signals that end a long run in order."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from dumpmap.triage.processes import ENDING_SIGNALS


class Ended(BaseException):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGINT, SIGTERM, and SIGHUP raise `Ended`, so that the workers end first; a second one ends at once."""

    def end(number: int, _: object) -> None:
        for signum in before:
            signal.signal(signum, lambda number, _: os._exit(128 + number))
        raise Ended(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING_SIGNALS:
            signum = getattr(signal, name, None)
            # An ignored signal stays ignored: nohup, or a shell's background job.
            if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
                before[signum] = signal.getsignal(signum)
    for signum in before:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
