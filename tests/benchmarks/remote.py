"""Triage of dumps of some gigabytes that lie in a bucket or on a web server: what goes over the wire.

    python -m tests.benchmarks.triage --s3              2 GB
    python -m tests.benchmarks.triage --s3 --size 500MB

moto plays S3 in a process of its own. It reads a whole object for each range that it is asked for, so 2 GB take it 20
minutes, and the time says nothing of us. Bytes and requests are counted by a proxy between us and it, not by us.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dumpmap.triage import Options, Result, Row, run

SIZE = 2 << 30
_BUCKET = "benchmark"
_KEYS = {"key": "test", "secret": "test"}
_PART = 64 << 20
_PATIENT = {"max_pool_connections": 2, "read_timeout": 600}
"""moto takes a minute to join the parts of 2 GB, and holds the whole object once per request under way."""


@dataclass
class Counts:
    """What passed a proxy."""

    received: int = 0
    """Bytes from the server, heads of answers included."""
    requests: dict[str, int] = field(default_factory=dict)
    """How many, by method."""

    def note(self, data: bytes) -> None:
        """Counts a request, if one begins here. Whoever keeps a connection sends one after the other."""
        method = data.partition(b" ")[0]
        if method in (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE"):
            name = method.decode()
            self.requests[name] = self.requests.get(name, 0) + 1


@contextlib.contextmanager
def counting_proxy(port: int) -> Iterator[tuple[int, Counts]]:
    """Passes connections on to a port of this machine, and counts."""
    counts = Counts()
    lock = threading.Lock()
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with lock:
                    if answers:
                        counts.received += len(data)
                    else:
                        counts.note(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, args=(client, server), kwargs={"answers": False}, daemon=True).start()
                threading.Thread(target=pump, args=(server, client), kwargs={"answers": True}, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], counts
    finally:
        listener.close()


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """An S3 server on the loopback interface; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        raise
                    time.sleep(0.1)
            yield port
        finally:
            process.kill()


def measure(size: int = SIZE) -> list[dict[str, Any]]:
    """Triages a dump out of a bucket, and one of many regions from a web server: moto would take hours for that."""
    from .inputs import sparse

    # The synthetic dumps are the tests' own, which call their packages by short names.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    support = importlib.import_module("support.triage")
    figures = []
    with tempfile.TemporaryDirectory() as place:
        path = support.write_big_dump(Path(place) / "big.dmp", size)
        figures.append({"dump": "heaps, stacks, full memory", "from": "S3", **from_bucket(path)})
    with tempfile.TemporaryDirectory() as place:
        path = sparse(Path(place) / "big.dmp", size)
        with support.http_server(path.parent) as served:
            began = time.perf_counter()
            row = _row(run(f"{served.url}/{path.name}", Options(jobs=1, cache=False, time_limit=None)))
            seconds = time.perf_counter() - began
        requests = {"GET": len(served.requests)}
        figures.append(
            {
                "dump": "20,000 regions, full memory",
                "from": "HTTP",
                **_figures(path, row, served.bytes_sent, requests, seconds),
            }
        )
    return figures


def from_bucket(path: Path) -> dict[str, Any]:
    """Puts a dump into a bucket and triages it there."""
    import fsspec

    with s3_server() as port, counting_proxy(port) as (proxy, counts):
        direct = fsspec.filesystem(
            "s3", **_KEYS, endpoint_url=f"http://127.0.0.1:{port}", config_kwargs=_PATIENT, skip_instance_cache=True
        )
        direct.mkdir(_BUCKET)
        direct.put_file(str(path), f"{_BUCKET}/dumps/{path.name}", chunksize=_PART)
        options = Options(
            jobs=1,
            cache=False,
            time_limit=None,
            storage_options={
                **_KEYS,
                "endpoint_url": f"http://127.0.0.1:{proxy}",
                "config_kwargs": _PATIENT,
            },
        )
        began = time.perf_counter()
        row = _row(run(f"s3://{_BUCKET}/dumps/", options))
        return _figures(path, row, counts.received, counts.requests, time.perf_counter() - began)


def _figures(path: Path, row: Row, received: int, requests: dict[str, int], seconds: float) -> dict[str, Any]:
    local = _row(run(path, Options(jobs=1, cache=False, time_limit=None)))
    own = ("path", "bytes_read", "seconds")
    size = path.stat().st_size
    return {
        "size": size,
        "status": row["status"],
        "error": row["error"],
        "as_of_the_local_file": all(row[key] == local[key] for key in row if key not in own),
        "received": received,
        "share": received / size,
        "bytes_read": row["bytes_read"],
        "requests": dict(requests),
        "seconds": round(seconds, 1),
    }


def _row(result: Result) -> Row:
    with result:
        (row,) = result.rows()
    return row


def report(figures: list[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = ["A dump that is not here (the time of S3 is mostly moto's):"]
    for one in figures:
        requests = ", ".join(f"{count:,} {method}" for method, count in sorted(one["requests"].items()))
        same = "as" if one["as_of_the_local_file"] else "NOT as"
        lines.append(
            f"  {one['from']:<5}{one['dump']:<29}{one['size'] / (1 << 30):>5.2f} GB {one['received'] / 1024:>8,.0f} KB "
            f"over the wire ({100 * one['share']:.3f} %), {requests}, {one['seconds']} s; {one['status']}, "
            f"{same} of the local file"
        )
    return "\n".join(lines) + "\n"
