"""Helpers of the tests of live capture: child processes with known memory maps."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dumpmap.capture.output import encode
from dumpmap.model.snapshot import Snapshot
from dumpmap.parsers.snapshot_json.reader import load_snapshot

MB = 1 << 20

# Maps one thing of each kind, prints where, and waits. Its fork stops itself: a running fork writes to pages that it
# shares with this process, and each of those pages becomes private in both.
_CHILD = """
import ctypes, json, mmap, os, signal, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
READ, WRITE, SHARED, PRIVATE, ANONYMOUS, NORESERVE = 1, 2, 1, 2, 0x20, 0x4000
MB = 1 << 20


def take(size, protection, flags, descriptor=-1, touch=0):
    address = libc.mmap(None, size, protection, flags, descriptor, 0)
    if touch:
        ctypes.memset(address, 7, touch)
    return address


def name_thread(name):
    libc.prctl(15, name.encode() + b"\\0", 0, 0, 0)


places = {}
places["private"] = take(8 * MB, READ | WRITE, PRIVATE | ANONYMOUS, touch=3 * MB)
gap = take(MB, READ, PRIVATE | ANONYMOUS)
places["reserved"] = take(64 * MB, 0, PRIVATE | ANONYMOUS | NORESERVE)
places["shared"] = take(4 * MB, READ | WRITE, SHARED | ANONYMOUS, touch=2 * MB)
file = os.open(sys.argv[1], os.O_RDWR)
places["file"] = take(300_000, READ, SHARED, file)
sum(ctypes.string_at(places["file"], 300_000)[::4096])
places["locked"] = take(65536, READ | WRITE, PRIVATE | ANONYMOUS)
locked = libc.mlock(places["locked"], 65536) == 0

held = threading.Event()
started = threading.Barrier(3)


def work(name):
    name_thread(name)
    started.wait()
    held.wait()


for name in ("worker one", "gr\\u00f6\\u00dfer)"):
    threading.Thread(target=work, args=(name,), daemon=True).start()
started.wait()

# A second process that touches the first half of what is shared: only then are its pages shared by two.
other = os.fork()
if other == 0:
    sum(ctypes.string_at(places["shared"], MB)[::4096])
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.munmap(places["private"], 8 * MB)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # it dies with this process
    os.kill(os.getpid(), signal.SIGSTOP)
os.waitpid(other, os.WUNTRACED)
print(json.dumps({"places": places, "locked": locked}))
print("READY", flush=True)
sys.stdin.readline()
os.kill(other, signal.SIGKILL)
os.waitpid(other, 0)
"""


class Child:
    """A running child process.

    Attributes:
        pid: its id.
        places: purpose to address.
        locked: whether it was allowed to lock memory.
        process: the process, for ending it.
    """

    def __init__(self, process: subprocess.Popen[str], printed: dict[str, Any]) -> None:
        self.process = process
        self.pid = process.pid
        self.places: dict[str, int] = printed["places"]
        self.locked: bool = printed["locked"]


@contextlib.contextmanager
def linux_child(folder: Path) -> Iterator[Child]:
    """Runs the child until the end of the block."""
    data = folder / "mapped file.bin"
    data.write_bytes(b"d" * 300_000)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        printed = json.loads(process.stdout.readline())
        assert process.stdout.readline() == "READY\n"
        yield Child(process, printed)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.write("\n")
            process.stdin.close()
        process.stdout.close()
        process.wait(30)


def states(pid: int) -> list[str]:
    """Returns the states of a process's threads from /proc."""
    return [
        (thread / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        for thread in Path(f"/proc/{pid}/task").iterdir()
    ]


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stops a process for the block. A signal takes effect later, so this waits until every thread has stopped."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while set(states(pid)) != {"T"}:
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def waiting_cat(name: str | None = None, folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a `cat` that waits for input, under a name of its own if asked.

    `Popen` returns when the kernel has begun to replace the program: its new mappings come later. A `cat` that has
    answered has all of them.
    """
    program = Path("/bin/cat").resolve()
    if name is not None:
        assert folder is not None
        program = folder / name
        if not program.exists():
            program.write_bytes(Path("/bin/cat").resolve().read_bytes())
            program.chmod(0o755)
    process = subprocess.Popen([str(program), "-u"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.read(1) == b"x"
            yield process
        finally:
            process.kill()


def loaded(document: dict[str, Any], name: str = "test.json") -> Snapshot:
    """Passes a document through the text that is written and the project's own reader."""
    return load_snapshot(b"".join(encode(document)), name=name)
