"""Dumps, folders and servers for the triage tests."""

from __future__ import annotations

import contextlib
import http.server
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from synth.minidump import (
    MEM_COMMIT,
    MEM_FREE,
    MEM_PRIVATE,
    PAGE_READWRITE,
    MinidumpBuilder,
)
from synth.nt_heap import nt_heap
from synth.process import ProcessBuilder

MB = 1 << 20


def folder_of_dumps(parent: Path, count: int) -> Path:
    """A new folder of small dumps, `good-0.dmp` and so on."""
    folder = parent / "dumps"
    folder.mkdir()
    for index in range(count):
        (folder / f"good-{index}.dmp").write_bytes(small_dump(pid=index + 1))
    return folder


def small_dump(*, name: str = "app.exe", pid: int = 77, exception: int | None = None) -> bytes:
    """A dump with a memory list and one module; some hundred bytes."""
    dump = MinidumpBuilder("x64").system_info(build=19045).misc_info(5, pid=pid)
    dump.module(0x7FF600000000, 0x10000, f"C:\\Program Files\\{name}", version=(1, 2, 3, 4))
    if exception is not None:
        dump.exception(4711, exception, 0x10000)
    dump.region(0x10000, 0x10000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(0x20000, 0x7FFFFFFD0000, MEM_FREE, 1, 0)
    return dump.build()


def starved_dump() -> bytes:
    """A 32-bit process with a largest free block of 1 MB: critical."""
    dump = MinidumpBuilder("x86").system_info(build=7601).misc_info(1, pid=5)
    dump.module(0x400000, 0x10000, "C:\\starved.exe", version=(1, 0, 0, 0))
    dump.region(0x10000, 0x100000, MEM_FREE, 1, 0)
    dump.region(0x110000, 0x7FEF0000 - 0x110000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(0x7FEF0000, 0x100000, MEM_FREE, 1, 0)
    return dump.build()


def partial_dump(name: str = "part.exe") -> bytes:
    """A dump without a memory list."""
    dump = MinidumpBuilder("x64").system_info(build=19045)
    return dump.module(0x7FF600000000, 0x10000, f"C:\\{name}", version=(9, 8, 7, 6)).build()


def write_big_dump(path: Path, size: int) -> Path:
    """A dump with full memory of about `size` bytes, nearly all of it holes in the file: heaps, stacks, many arrays."""
    process = ProcessBuilder("x64", build=19045, name="big.exe").add_peb()
    process.furnish()
    for index in range(8):
        process.add_thread(name=f"worker {index}")
    for _ in range(3):
        nt_heap(process)
    piece = 4 * MB
    holes = [process.allocate(piece) for _ in range(size // piece)]
    dump = process.to_minidump()
    for base in holes:
        dump.memory64_hole(base, piece)
    return dump.write(path)


def remarks(said: str) -> str:
    """What a run said on standard error, without the lines of progress that a slow machine gets to see."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("dumpmap: progress: "))


# ---------------------------------------------------------------- an HTTP server


@dataclass
class Served:
    """What a server was asked for."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    heads: int = 0
    bytes_sent: int = 0


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; with ranges if the server does."""

    ranges: ClassVar[bool] = True
    head: ClassVar[bool] = True
    log: ClassVar[Served]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.log.heads += 1
        if self.head:
            super().do_HEAD()
        else:
            self.send_error(405)

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.log.requests.append(f"GET {self.headers.get('Range', 'all')}")
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            super().do_GET()
            return
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        start, end = 0, size
        if asked and self.ranges:
            start, end = int(asked[1]), min(size, int(asked[2]) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        with path.open("rb") as file:
            file.seek(start)
            left = end - start
            while left:
                data = file.read(min(left, MB))
                try:
                    self.wfile.write(data)
                except OSError:
                    return
                self.log.bytes_sent += len(data)
                left -= len(data)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives one answer to all and closes the connection; its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                head, end, body = answer.partition(b"\r\n\r\n")
                if self.rfile.readline().startswith(b"HEAD "):
                    body = b""
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(head + end + body)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256  # a connection that finds no room waits for ever


@contextlib.contextmanager
def http_server(folder: Path, *, ranges: bool = True, head: bool = True) -> Iterator[Served]:
    """Serves a folder on the loopback interface, with parts of files and answers to HEAD unless told otherwise."""
    served = Served()

    class Handler(_Handler):
        log = served

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

    Handler.ranges = ranges
    Handler.head = head
    server = _Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
