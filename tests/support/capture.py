"""What the tests of live capture share: a child process with a known memory map."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dumpmap.capture.output import encode
from dumpmap.model.snapshot import Snapshot
from dumpmap.parsers.snapshot_json.reader import load_snapshot

MB = 1 << 20

# Maps one thing of each kind, says where, and waits. Nothing in it changes the map after it said READY.
_CHILD = """
import ctypes, json, mmap, os, sys, threading

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
ready, go = os.pipe(), os.pipe()
other = os.fork()
if other == 0:
    sum(ctypes.string_at(places["shared"], MB)[::4096])
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.munmap(places["private"], 8 * MB)
    os.write(ready[1], b"x")
    os.close(go[1])
    os.read(go[0], 1)
    os._exit(0)
os.read(ready[0], 1)
print(json.dumps({"places": places, "locked": locked, "other": other}))
print("READY", flush=True)
sys.stdin.readline()
os.write(go[1], b"x")
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

    def __init__(self, process: subprocess.Popen[str], told: dict[str, Any]) -> None:
        self.process = process
        self.pid = process.pid
        self.places: dict[str, int] = told["places"]
        self.locked: bool = told["locked"]


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
        told = json.loads(process.stdout.readline())
        assert process.stdout.readline() == "READY\n"
        yield Child(process, told)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.write("\n")
            process.stdin.close()
        process.stdout.close()
        process.wait(30)


@contextlib.contextmanager
def sleeper(
    seconds: float = 60, name: str | None = None, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process that does nothing, under a name of its own if asked."""
    program = Path("/bin/sleep").resolve()
    if name is not None:
        assert folder is not None
        program = folder / name
        if not program.exists():
            program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
            program.chmod(0o755)
    process = subprocess.Popen([str(program), str(seconds)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def loaded(document: dict[str, Any], name: str = "test.json") -> Snapshot:
    """Passes a document through the text that is written and the project's own reader."""
    return load_snapshot(b"".join(encode(document)), name=name)
