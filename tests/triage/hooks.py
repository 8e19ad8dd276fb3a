"""Misbehaviour for worker processes: `Options.hook` calls these with every job, the file's name says what to do."""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path

from dumpmap.triage.jobs import Job


def misbehave(job: Job) -> None:
    """Spins, balloons, dies, or fails, where the name asks for it."""
    name = Path(job.path).name
    if name.startswith("spin"):
        while True:
            pass
    if name.startswith("sleep"):
        time.sleep(3600)
    if name.startswith("balloon"):
        hoard = []
        while True:
            hoard.append(b"x" * (8 << 20))
    if name.startswith("shared-balloon"):
        # Shared memory is not what the kernel's limit counts; the thread has to see it.
        hold = []
        while True:
            block = mmap.mmap(-1, 8 << 20)
            block.write(b"x" * (8 << 20))
            hold.append(block)
    if name.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("exit"):
        os._exit(3)
    if name.startswith("fault"):
        raise RuntimeError("a fault of our own")
    if name.startswith("vanish"):
        Path(job.location).unlink()


def die_once(job: Job) -> None:
    """Kills the worker the first time that a file called `once` comes."""
    if Path(job.path).name.startswith("once"):
        mark = Path(job.location + ".seen")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def slow(job: Job) -> None:
    """Takes a while."""
    del job
    time.sleep(0.02)


def log(job: Job) -> None:
    """Notes in the folder $TRIAGE_LOG that the file was analysed: one file per analysis."""
    folder = Path(os.environ["TRIAGE_LOG"])
    (folder / f"{Path(job.path).name}.{os.getpid()}.{time.monotonic_ns()}").touch()
