"""Running the command line in this process: without the start of a Python, which takes longer than most commands."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from unittest import mock

_SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings of which a program of its own prints nothing."""


def run_here(arguments: Sequence[str], stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Runs a command line with pipes for all streams; a warning that a program of its own would print is an error.

    Returns:
        exit code, standard output, standard error.
    """
    from dumpmap.cli.app import run
    from dumpmap.cli.common import VERBOSITY
    from dumpmap.model.sizes import ask_for_unit
    from dumpmap.writers.csv_cells import keep_raw

    out_bytes, err_bytes = io.BytesIO(), io.BytesIO()
    out = io.TextIOWrapper(out_bytes, encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(err_bytes, encoding="utf-8", errors="backslashreplace", write_through=True)
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        for category in _SILENT:
            warnings.simplefilter("ignore", category)
        try:
            code = run(list(arguments))
        finally:  # what a command line asks for ends with it
            VERBOSITY.level, VERBOSITY.source = 0, None
            ask_for_unit(None)
            keep_raw(False)
    return code, out_bytes.getvalue(), err_bytes.getvalue()


@contextmanager
def variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """Sets the environment for a while; what a command changes of it is undone too."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
