"""Running the command line as a script would."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from pages.running import run_here, variables


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def run(*arguments: str, stdin: bytes = b"", apart: bool = False, **environment: str) -> Ran:
    """Runs `dumpmap` with pipes for all streams.

    Args:
        arguments: of the command line.
        stdin: what it reads from standard input.
        apart: run it in a process of its own, which takes longer; `triage`, which starts processes, always does.
        environment: variables of the command's environment.
    """
    kept = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR", "DUMPMAP_DEBUG")
    }
    if not apart and "triage" not in arguments:
        with variables({**kept, **environment}):
            code, out, err = run_here(arguments, stdin)
        return Ran(code, out.decode(), err.decode())
    done = subprocess.run(
        [sys.executable, "-m", "dumpmap", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**kept, **environment},
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
