"""Live capture: looks at a running process and writes down what there is, as a JSON snapshot.

Facts and bytes only; what they mean is worked out offline. Everything in this room runs on the standard library (and
`construct`, for the structures in process memory), so that it can be packed into one file and used on a machine with
nothing but a Python: see `dumpmap.capture.build`.
"""

from dumpmap.capture.facts import Options, ProcessExitedError
from dumpmap.capture.output import check_output, write_document
from dumpmap.capture.series import Series, capture_process, capture_to_files

__all__ = [
    "Options",
    "ProcessExitedError",
    "Series",
    "capture_process",
    "capture_to_files",
    "check_output",
    "write_document",
]
