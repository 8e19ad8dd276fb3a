"""Captures once or again and again: what the command line calls."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dumpmap.capture.document import make_document
from dumpmap.capture.facts import LiveProcess, Options, ProcessExitedError
from dumpmap.capture.live import open_process
from dumpmap.capture.output import STANDARD_OUTPUT, check_output, check_series, series_path, write_document

_LOOK = 0.2
"""Seconds between two looks at whether the process still runs, while waiting for the next capture."""

Report = Callable[[str, dict[str, Any]], None]
"""Called with the path and the document of each file that was written."""


@dataclass(slots=True)
class Series:
    """What became of a capture.

    Attributes:
        process: what messages call it.
        paths: the files written.
        ended: why there are fewer than asked for, or why one without a count ended; None where all are there.
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
        freeze: stop the process while it is looked at.
        memory: read the bytes that the map is made from.
        working_set: ask for every page whether it is resident.
        command_line: include the command line, which can hold a user's secrets.

    Returns:
        the snapshot document; `write_document` writes it.

    Raises:
        CaptureError: it cannot be captured.
        ValueError: `target` can be neither an id nor a name.
    """
    process = open_process(target)
    try:
        return make_document(process.capture(Options(freeze, memory, working_set, command_line)))
    finally:
        process.close()


def capture_to_files(
    target: int | str,
    output: str | os.PathLike[str],
    *,
    count: int | None = 1,
    interval: float = 1.0,
    force: bool = False,
    options: Options | None = None,
    report: Report | None = None,
) -> Series:
    """Captures a running process into one file, or again and again into numbered files.

    A series ends early when the process does; what was captured before that is kept. One without a count has no other
    end but that, or an interrupt (Ctrl-C).

    Args:
        target: see `open_process`.
        output: the file; of a series the name that the files' names are made of: `app.json` gives `app-0001.json`, ...
        count: how many captures; None for as long as the process runs.
        interval: seconds from the start of one to the start of the next, if it is done by then.
        force: overwrite files that are there.
        options: what to take.
        report: told of each file as it is written.

    Raises:
        CaptureError: it cannot be captured; of a series, not even once.
        OutputError: a file could not be written.
        ValueError: wrong arguments.
    """
    if (count is not None and count < 1) or not 0 < interval < float("inf"):
        raise ValueError("the count must be at least 1, and the interval a number of seconds above 0")
    name = os.fspath(output)
    if name == STANDARD_OUTPUT and count != 1:
        raise ValueError("a series needs the name of a file")
    if count is None:
        check_series(name, force=force)
    else:
        for path in _paths(name, count):
            check_output(path, force=force)
    process = open_process(target)
    try:
        series = Series(process.label)
        start = time.monotonic()
        for number, path in enumerate(_paths(name, count)):
            try:
                _wait(process, start + number * interval)
                facts = process.capture(options or Options())
                document = make_document(facts)
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


def _paths(name: str, count: int | None) -> Iterator[str]:
    """The files of a series, without an end where it has none."""
    if count == 1:
        return iter([name])
    return (series_path(name, number) for number in (itertools.count(1) if count is None else range(1, count + 1)))


def _captures(number: int, of_all: str = "") -> str:
    return f"{number}{of_all} capture{'' if number == 1 and not of_all else 's'}"


def _wait(process: LiveProcess, until: float) -> None:
    """Waits for a time of the monotonic clock.

    Raises:
        ProcessExitedError: the process did not.
    """
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK))
        if left > _LOOK and not process.is_running():
            raise ProcessExitedError("has exited", source=process.label)
