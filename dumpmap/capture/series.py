"""Captures a process once or repeatedly. The command line calls these functions."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from dumpmap.capture.document import make_document
from dumpmap.capture.facts import CaptureOptions, LiveProcess, ProcessExitedError
from dumpmap.capture.live import open_process
from dumpmap.capture.output import STANDARD_OUTPUT, check_output, check_series, series_path, write_document
from dumpmap.model.values import value_class

_POLL = 0.2
"""Seconds between two checks that the process still runs, during the wait for the next capture."""

Report = Callable[[str, dict[str, Any]], None]
"""Called after each file with its path and its document."""


@value_class(frozen=False, slots=True)
class CaptureSeries:
    """The result of a capture.

    Attributes:
        process: its name in messages.
        paths: the files, in order.
        ended: why a series ended before its count, or why one without a count ended; None if it is complete.
    """

    process: str
    paths: list[str] = field(default_factory=list)
    ended: str | None = None


def capture_process(
    target: int | str,
    *,
    freeze: bool = False,
    memory: bool = True,
    working_set: bool = True,
    command_line: bool = False,
) -> dict[str, Any]:
    """Captures a running process once.

    Args:
        target: see `open_process`.
        freeze: stop the process during the capture.
        memory: read the bytes that the map needs.
        working_set: read which pages are resident.
        command_line: include the command line, which can contain secrets.

    Returns:
        the snapshot document; `write_document` writes it.

    Raises:
        CaptureError: the process cannot be captured.
        ValueError: `target` is neither an id nor a name.
    """
    process = open_process(target)
    try:
        return make_document(process.capture(CaptureOptions(freeze, memory, working_set, command_line)))
    finally:
        process.close()


def capture_to_files(
    target: int | str,
    output: str | os.PathLike[str],
    *,
    count: int | None = 1,
    interval: float = 1.0,
    force: bool = False,
    options: CaptureOptions | None = None,
    report: Report | None = None,
) -> CaptureSeries:
    """Captures a running process into one file, or repeatedly into numbered files.

    A series ends early if the process exits, and keeps the captures before that. A series without a count ends when the
    process exits or at an interrupt (Ctrl-C).

    Args:
        target: see `open_process`.
        output: the file. A series adds numbers to its name: `app-0001.json`, `app-0002.json`, ...
        count: number of captures; None for as long as the process runs.
        interval: seconds from the start of one capture to the start of the next. A slow capture delays the next.
        force: overwrite existing files.
        options: what to capture.
        report: called after each file with its path and its document.

    Raises:
        CaptureError: the process cannot be captured; in a series, not even once.
        OutputError: a file could not be written.
        ValueError: wrong arguments.
    """
    name = os.fspath(output)
    _check(name, count, interval, force)
    process = open_process(target)
    try:
        series = CaptureSeries(process.label)
        start = time.monotonic()
        for number, path in enumerate(_paths(name, count)):
            try:
                _wait(process, start + number * interval)
                document = make_document(process.capture(options or CaptureOptions()))
                write_document(document, path, force)
            except ProcessExitedError:
                if not series.paths:
                    raise
                of_all = "" if count is None else f" of {count}"
                series.ended = f"the process exited after {_captures(number, of_all)}"
                break
            except KeyboardInterrupt:
                if count is not None or not series.paths:
                    raise
                series.ended = f"stopped after {_captures(number)}"
                break
            series.paths.append(path)
            if report is not None:
                report(path, document)
        return series
    finally:
        process.close()


def _check(name: str, count: int | None, interval: float, force: bool) -> None:
    """Checks the arguments, and that the files can be written, before the first capture.

    Raises:
        OutputError: a file could not be written.
        ValueError: wrong arguments.
    """
    if (count is not None and count < 1) or not 0 < interval < float("inf"):
        raise ValueError("count must be at least 1, and interval a positive number of seconds")
    if name == STANDARD_OUTPUT and count != 1:
        raise ValueError("a series needs a file name; standard output takes one capture only")
    if count is None:
        check_series(name, force=force)
    else:
        for path in _paths(name, count):
            check_output(path, force=force)


def _paths(name: str, count: int | None) -> Iterator[str]:
    """Yields the names of the files; endlessly without a count."""
    if count == 1:
        return iter([name])
    return (series_path(name, number) for number in (itertools.count(1) if count is None else range(1, count + 1)))


def _captures(number: int, of_all: str = "") -> str:
    return f"{number}{of_all} capture{'' if number == 1 and not of_all else 's'}"


def _wait(process: LiveProcess, until: float) -> None:
    """Waits until a time of the monotonic clock.

    Raises:
        ProcessExitedError: the process exited before that time.
    """
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _POLL))
        if left > _POLL and not process.is_running():
            raise ProcessExitedError("the process has exited", source=process.label)
