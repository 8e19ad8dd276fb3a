"""The Dask engine: a scheduler and two workers as processes of their own, one of which is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pages.running import run_here
from support.triage import MB, partial_dump, remarks, small_dump, starved_dump

from dumpmap.triage import EngineError, Options, Row, State, run
from dumpmap.triage.worker import Setup

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are ended with POSIX signals"),
]


@dataclass
class Cluster:
    """Processes of a cluster."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)


def _spawn(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and all its children, as the loss of a machine does."""
    pids = [process.pid]
    with contextlib.suppress(psutil.NoSuchProcess):
        pids += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _start_worker(place: Path, name: str) -> subprocess.Popen[bytes]:
    options = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(place / "scheduler.json"))
    return _spawn(place, name, "distributed.cli.dask_worker", "--nthreads", "1", *options)


@contextlib.contextmanager
def _cluster(place: Path, workers: int) -> Iterator[Cluster]:
    place.mkdir()
    file = place / "scheduler.json"
    common = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    scheduler = _spawn(place, "scheduler", "distributed.cli.dask_scheduler", "--port", "0", *common)
    started = [_start_worker(place, f"worker-{index}") for index in range(workers)]
    try:
        until = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < until, (place / "scheduler.log").read_text()
            time.sleep(0.1)
        yield Cluster(json.loads(file.read_text())["address"], scheduler, started)
    finally:
        for process in (*started, scheduler):
            _kill(process)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with _cluster(tmp_path / "cluster", 2) as started:
        yield started


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for tests that leave it as it is."""
    with _cluster(tmp_path_factory.mktemp("standing") / "cluster", 1) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(300):
        (dumps / f"good-{index:03}.dmp").write_bytes(small_dump(pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    (dumps / "sleep-1.dmp").write_bytes(small_dump())
    (dumps / "balloon-1.dmp").write_bytes(small_dump())
    return dumps


def rows_of(folder: Path, options: Options) -> list[Row]:
    with run(folder, options) as result:
        return [{**row, "seconds": None} for row in result.rows()]


def test_same_rows_as_here_with_a_worker_lost(folder: Path, cluster: Cluster) -> None:
    limits = {"time_limit": 5.0, "memory_limit": 128 * MB, "hook": "triage.hooks:misbehave"}
    wanted = rows_of(folder, Options(jobs=2, cache=False, **limits))  # type: ignore[arg-type]
    seen = 0

    def lose_one(row: Row) -> None:
        nonlocal seen
        seen += 1
        if seen == 50:
            _kill(cluster.workers[0])

    options = Options(engine="dask", scheduler=cluster.address, cache=False, **limits)  # type: ignore[arg-type]
    with run(folder, options, on_row=lose_one) as result:
        rows = [{**row, "seconds": None} for row in result.rows()]
    assert seen == len(wanted) == 305
    assert rows == wanted
    errors = {Path(row["path"]).stem: row["error"] for row in rows if row["status"] == "error"}
    assert "time limit" in errors["sleep-1"]
    assert "memory limit" in errors["balloon-1"]


def test_a_cluster_of_its_own(folder: Path, tmp_path: Path) -> None:
    options = Options(engine="dask", jobs=2, cache=tmp_path / "cache")
    with run(folder, options) as result:
        assert (result.state.done, result.state.cached) == (305, 0)
    with run(folder, options) as result:
        assert result.state.cached == 305


def test_relative_paths_reach_workers_elsewhere(
    folder: Path, standing: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with run("dumps/good-00*.dmp", Options(engine="dask", scheduler=standing.address, cache=False)) as result:
        rows = list(result.rows())
    assert [row["path"] for row in rows] == [f"dumps/good-00{index}.dmp" for index in range(10)]
    assert {row["status"] for row in rows} == {"ok"}


def test_a_cluster_without_workers_is_told_and_waited_for(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "cluster"
    told: list[str] = []
    with _cluster(place, 0) as cluster:

        class Display:
            def update(self, state: State) -> None:
                if state.hindrance is not None and not told:
                    told.append(state.hindrance)
                    cluster.workers.append(_start_worker(place, "late"))

        with run(
            folder / "good-000.dmp",
            Options(engine="dask", scheduler=cluster.address, cache=False),
            progress=Display(),
        ) as result:
            assert [row["status"] for row in result.rows()] == ["ok"]
            assert result.state.hindrance is None
    assert told == ["the Dask cluster has no workers"]


def test_no_scheduler_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dumpmap.triage import dask_engine

    monkeypatch.setattr(dask_engine, "CONNECT_TIMEOUT", 1)
    with pytest.raises(EngineError, match="cannot use the Dask cluster"):
        rows_of(folder, Options(engine="dask", scheduler="tcp://127.0.0.1:1", cache=False))


def test_what_listens_and_is_no_scheduler_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dumpmap.triage import dask_engine

    monkeypatch.setattr(dask_engine, "CONNECT_TIMEOUT", 2)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(EngineError, match="no scheduler answered within 2 s"):
            rows_of(folder, Options(engine="dask", scheduler=address, cache=False))


def test_a_worker_is_no_scheduler(folder: Path, standing: Cluster) -> None:
    import distributed

    with distributed.Client(standing.address) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(1)
        (address, *_) = client.scheduler_info()["workers"]
    with pytest.raises(EngineError, match="belongs to a Worker, not to a scheduler"):
        rows_of(folder, Options(engine="dask", scheduler=address, cache=False))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dumpmap", "triage", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_nothing_of_dasks_log_is_shown(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # another scheduler has it: as well
            taken.bind(("127.0.0.1", 8787))  # the port that Dask's web server prefers
            taken.listen()
        done = command(str(folder), "--engine", "dask", "-j", "2", "--cache", str(cache), "-f", "csv")
    assert done.returncode == 0
    (line,) = remarks(done.stderr).splitlines()
    assert line.startswith("dumpmap: 305 files")
    assert len(done.stdout.splitlines()) == 306


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:port", "foo://127.0.0.1:1"])
def test_what_is_no_address_is_told_at_once(folder: Path, address: str) -> None:
    began = time.monotonic()
    code, _, said = run_here(["triage", str(folder), "--engine", "dask", "--no-cache", "--scheduler", address])
    assert code == 3
    (line,) = remarks(said.decode()).splitlines()
    assert line.startswith(f"dumpmap: {address}: cannot use the Dask cluster: ")
    assert time.monotonic() - began < 20


def test_a_scheduler_that_is_gone_is_one_line(folder: Path, cluster: Cluster, tmp_path: Path) -> None:
    for index in range(1500):
        (folder / f"more-{index}.dmp").hardlink_to(folder / "good-000.dmp")
    options = ["--engine", "dask", "--scheduler", cluster.address, "--cache", str(tmp_path / "cache"), "-f", "jsonl"]
    arguments = [sys.executable, "-m", "dumpmap", "triage", str(folder), *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        _kill(cluster.scheduler)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 3
    (line,) = remarks(said).splitlines()
    assert line == "dumpmap: the Dask scheduler is gone; finished results are kept for the next run"


@pytest.mark.parametrize("error", [RuntimeError("Client not running"), OSError("closed"), TypeError("gone")])
@pytest.mark.parametrize("status", ["closed", "connecting"])
def test_whatever_a_client_raises_that_lost_its_scheduler_is_that_line(error: Exception, status: str) -> None:
    from dumpmap.triage.dask_engine import SCHEDULER_GONE, DaskEngine

    def lost(*_: object, **__: object) -> None:
        raise error

    engine = DaskEngine.__new__(DaskEngine)
    engine._client = SimpleNamespace(status=status, submit=lost)
    engine._setup, engine._time_limit = Setup(), None
    with pytest.raises(EngineError, match=SCHEDULER_GONE):
        engine._start([])
    engine._client.status = "running"
    with pytest.raises(type(error)):
        engine._start([])


def test_nobody_else_can_connect_to_the_cluster_of_a_run(tmp_path: Path) -> None:
    """Whoever can send a task to a scheduler can run code as its user."""
    from dumpmap.triage.dask_engine import DaskEngine

    engine = DaskEngine(Setup(), 1, None, None)
    try:
        address = engine._cluster.scheduler_address
        assert address.startswith("tls://")
        for scheme in ("tls", "tcp"):
            stranger = (
                "import distributed, sys\n"
                f"address = {scheme!r} + '://' + {address.partition('://')[2]!r}\n"
                "with distributed.Client(address, timeout=4) as client:\n"
                "    print(client.submit(lambda: 'in').result())\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", stranger], capture_output=True, text=True, cwd=tmp_path, timeout=60
            )
            assert done.returncode != 0
            assert "in\n" not in done.stdout
    finally:
        engine.close()
