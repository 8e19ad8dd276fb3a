"""Running the command line as a script would."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def run(*arguments: str, stdin: bytes | None = None, **environment: str) -> Ran:
    """Runs `dumpmap` in a process of its own, with pipes for all streams."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR", "DUMPMAP_DEBUG")
    }
    done = subprocess.run(
        [sys.executable, "-m", "dumpmap", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**kept, **environment},
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
