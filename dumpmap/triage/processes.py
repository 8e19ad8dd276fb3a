"""How worker processes start and end: beside threads, under signals, and without a word of their own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from typing import Any

from dumpmap.errors import reason_of
from dumpmap.triage.engines import EngineError

ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Names of the signals that ask a program to end; Windows lacks some of them."""

_LONGEST_TEMPORARY_FOLDER = 107 - len("/pymp-12345678/listener-12345678")

_FILES = 16
"""Open files that a start needs, beside two for each worker: pipes and sockets to the helpers and to the pool."""


def process_context() -> BaseContext:
    """Returns how to start worker processes: safe beside threads, and warm where the system supports it."""
    if not sys.platform.startswith("linux") or not _can_listen():
        return multiprocessing.get_context("spawn")
    # A server with all imports done forks the workers: a killed one is replaced in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "dumpmap.triage.preload"])
    return context


def _can_listen() -> bool:
    """Whether the fork server has a place for its socket: among the temporary files, by a name of at most 107 bytes."""
    try:
        return len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_TEMPORARY_FOLDER
    except FileNotFoundError:  # no folder can be written, as in a container with a read-only root
        return False


@contextlib.contextmanager
def startable(workers: int) -> Iterator[None]:
    """Tells what the system refuses of what workers need to start.

    Room for their open files is looked for before anything starts: a fork server whose request for a worker arrives
    without its files ends with a traceback.

    Raises:
        EngineError: the system refuses something.
    """
    try:
        with contextlib.ExitStack() as opened:
            for _ in range(_FILES + 2 * workers):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield
    except OSError as error:
        raise EngineError(f"cannot start worker processes: {reason_of(error)}") from error


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Delays signals that would raise an exception: a half-started pool cannot be stopped."""
    caught: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING_SIGNALS:
            number = int(getattr(signal, name, 0))
            if number and callable(signal.getsignal(number)):
                before[number] = signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def start_helpers() -> None:
    """Starts multiprocessing's helper processes, so that they print nothing when a signal ends the program.

    If the program is killed, the resource tracker removes the pool's semaphores, as it should, and would warn about a
    leak, which means nothing to a user. The fork server spends a second on imports, and Ctrl-C would print a traceback
    of it. The helpers belong to the whole program, so a library must not call this.

    Raises:
        EngineError: the system refuses to start them.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    from multiprocessing import forkserver, resource_tracker

    # The helpers inherit the signals that are blocked while they start, and this -W option.
    option = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(option)
    try:
        with startable(1):
            with _blocked(signal.SIGINT, signal.SIGHUP):
                resource_tracker.ensure_running()  # unblocks SIGINT again
            if process_context().get_start_method() == "forkserver":
                with _blocked(signal.SIGINT, signal.SIGHUP):
                    forkserver.ensure_running()
    finally:
        sys.warnoptions.remove(option)


@contextlib.contextmanager
def _blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Blocks signals; in processes that start meanwhile, for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_text(code: int | None) -> str:
    """Returns how a process ended, in words."""
    if code is None:
        return "no exit code"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}; the system sends it when memory runs short" if name == "SIGKILL" else name
    return f"exit code {code}"
