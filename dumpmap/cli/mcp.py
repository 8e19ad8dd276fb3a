"""`dumpmap mcp`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from dumpmap.cli.common import note

FoldersArgument = Annotated[
    list[Path],
    typer.Argument(metavar="FOLDER...", help="The folders that the client may read.", show_default=False),
]


def command(folders: FoldersArgument) -> None:
    """Let an assistant ask about dumps: serve the folders over the Model Context Protocol on standard input and output.

    The tools are `open`, `summary`, `diagnose`, `regions`, `owners`, `heaps`, `address`, `diff`, and `triage`. They
    only read, only in these folders, and their answers are bounded. They carry neither content of memory nor command
    lines; docs/privacy.md says what they carry. Clients start this command themselves.

    It needs another package: `pip install "dumpmap[mcp]"`.

    ```
    dumpmap mcp dumps/
    ```
    """
    _require_sdk()
    from dumpmap.serving.folders import Folders
    from dumpmap.serving.tools import Desk

    desk = Desk(Folders(folders))
    # Ctrl-C ends the process at once. A thread waits for input and cannot be stopped, and before that packages that are
    # being loaded take an interrupt for a failure of their own. Nothing is being written.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.stdin is not None and sys.stdin.isatty():
        note("waiting for a client on standard input; clients start this command by themselves. Ctrl-C ends it")
    from dumpmap.serving.server import run_server

    run_server(desk)


def _require_sdk() -> None:
    """Stops with one line if the SDK is missing or too old.

    Raises:
        OutputError: it is.
    """
    from importlib.util import find_spec

    from dumpmap.errors import OutputError

    # Version 1 of the SDK has no package of types.
    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise OutputError('mcp needs another package: pip install "dumpmap[mcp]"')
