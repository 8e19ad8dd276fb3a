"""What a command of dumpmap takes, in processes of its own: peak memory and processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GB = 1 << 30

# The kernel carries the peak of a process over to the program that it executes. So that the peak of the tests does not
# count, a small process stands between them and the command.
_BETWEEN = """
import json, os, resource, sys
limits = json.loads(sys.argv[1])
child = os.fork()
if child == 0:
    resource.setrlimit(resource.RLIMIT_DATA, (limits["space"], limits["space"]))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["seconds"], limits["seconds"] + 5))
    os.execv(sys.executable, [sys.executable, "-m", "dumpmap", *sys.argv[2:]])
_, status, usage = os.wait4(child, 0)
report = [os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime]
os.write(limits["report"], json.dumps(report).encode())
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took and printed.

    Attributes:
        code: its exit code; negative if a signal ended it.
        memory: peak of the resident memory, of the command or of one of its workers, in MiB. Pages of a mapped file
            count while they are resident.
        seconds: of the processor, with those of its workers.
        output: what it printed.
        errors: its standard error.
    """

    code: int
    memory: float
    seconds: float
    output: str
    errors: str


def cost(*arguments: str | Path, seconds: int = 60, space: int = 4 * GB, **environment: str) -> Cost:
    """Runs a command of dumpmap and measures it.

    Args:
        arguments: of the command line.
        seconds: processor time after which the system ends the command.
        space: private memory that the command can have: what would take the whole machine fails instead.
        environment: variables of the command's environment.
    """
    read_end, write_end = os.pipe()
    limits = json.dumps({"space": space, "seconds": seconds, "report": write_end})
    with os.fdopen(read_end, "rb") as reports:
        done = subprocess.run(
            [sys.executable, "-c", _BETWEEN, limits, *map(str, arguments)],
            capture_output=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1", **environment},
            pass_fds=(write_end,),
            check=True,
        )
        os.close(write_end)
        code, peak, used = json.loads(reports.read())
    return Cost(code, peak / 1024, used, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
