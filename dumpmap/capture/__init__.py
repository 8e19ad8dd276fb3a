"""Live capture: reads the facts about a running process and writes them as a JSON snapshot.

A capture contains facts and bytes; the classifier interprets them offline. This package needs only the standard library
and `construct` (for the structures in process memory), so that `dumpmap.capture.build` can pack it into one file for
machines that have only Python.
"""

from dumpmap.capture.facts import CaptureOptions as Options
from dumpmap.capture.facts import ProcessExitedError
from dumpmap.capture.output import check_output, write_document
from dumpmap.capture.series import CaptureSeries as Series
from dumpmap.capture.series import capture_process, capture_to_files

__all__ = [
    "Options",
    "ProcessExitedError",
    "Series",
    "capture_process",
    "capture_to_files",
    "check_output",
    "write_document",
]
