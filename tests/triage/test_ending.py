"""What is left when a run is ended before its time: no process, no noise, and every finished row."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.triage import remarks, small_dump

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

FILES = 3000


@dataclass
class Running:
    """A triage of many files, under way."""

    process: subprocess.Popen[str]
    children: list[psutil.Process]
    cache: Path

    def end(self, number: int, *, group: bool = False) -> tuple[int, str]:
        """Sends a signal; returns the exit code and what was said on standard error, but for lines of progress."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, remarks(said)

    def left(self) -> list[str]:
        """The processes that are still there after a while."""
        _, alive = psutil.wait_procs(self.children, timeout=10)
        return [" ".join(child.cmdline()) for child in alive if child.status() != psutil.STATUS_ZOMBIE]

    def results(self) -> int:
        return count_results(self.cache)


def count_results(path: Path) -> int:
    if not path.exists():
        return 0
    database = sqlite3.connect(path, timeout=10)
    try:
        return int(database.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        database.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dumps = tmp_path_factory.mktemp("dumps")
    (dumps / "0.dmp").write_bytes(small_dump())
    for index in range(1, FILES):
        (dumps / f"{index}.dmp").hardlink_to(dumps / "0.dmp")
    return dumps


def start(folder: Path, cache: Path, *options: str) -> Running:
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--cache", str(cache), "-j", "2", *options]
    temporary = cache.parent / "t"
    temporary.mkdir()
    # A pipe that nobody reads would stop the run as soon as it is full of rows.
    with (cache.parent / "rows").open("wb") as rows:
        process = subprocess.Popen(
            command,
            stdout=rows,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
    until = time.monotonic() + 60
    while count_results(cache) < 20:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    return Running(process, psutil.Process(process.pid).children(recursive=True), cache)


@pytest.fixture
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(folder, tmp_path_factory.mktemp("r") / "cache.sqlite")
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate()


@pytest.mark.parametrize(
    ("number", "group", "code", "said"),
    [
        (signal.SIGINT, True, 130, "interrupted"),  # Ctrl-C goes to all processes of the terminal
        (signal.SIGINT, False, 130, "interrupted"),
        (signal.SIGTERM, True, 143, "ended by SIGTERM"),
        (signal.SIGTERM, False, 143, "ended by SIGTERM"),
        (signal.SIGHUP, True, 129, "ended by SIGHUP"),
    ],
)
def test_a_signal_ends_it_in_order(running: Running, number: int, group: bool, code: int, said: str) -> None:
    assert running.children
    ended, text = running.end(number, group=group)
    assert ended == code, text
    found = re.fullmatch(
        rf"dumpmap: {said} after ([\d,]+) of [\d,]+ files(?: found so far)?; ([\d,]+) results are kept; "
        r"run the same command again to continue\n",
        text,
    )
    assert found, text
    # The signal may come between keeping a result and counting it.
    assert running.results() - int(found[2].replace(",", "")) in (0, 1)
    assert running.results() >= 20
    assert running.left() == []


@pytest.mark.parametrize("wait", [0.0, 0.15, 0.3])
def test_ctrl_c_while_workers_start(folder: Path, tmp_path: Path, wait: float) -> None:
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--cache", str(tmp_path / "cache"), "-j", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        parent = psutil.Process(process.pid)
        while len(parent.children()) < 2:  # the resource tracker and the fork server
            time.sleep(0.01)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(r"dumpmap: interrupted after .*\n", remarks(text)), text


def test_kill_leaves_no_process_and_no_noise(running: Running) -> None:
    code, text = running.end(signal.SIGKILL)
    assert (code, text) == (-signal.SIGKILL, "")
    assert running.left() == []
    assert running.results() >= 20
    assert list((running.cache.parent / "t").iterdir()) == []


def test_the_same_command_goes_on(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.sqlite"
    first = start(folder, cache)
    first.end(signal.SIGTERM)
    kept = first.results()
    again = subprocess.run(
        [sys.executable, "-m", "dumpmap", "triage", str(folder), "--cache", str(cache), "-f", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"3,000 files, {kept:,} cached" in again.stderr
    assert len(again.stdout.splitlines()) == FILES + 1


def test_a_watch_is_ended_like_a_run(folder: Path, tmp_path: Path) -> None:
    watching = start(folder, tmp_path / "cache.sqlite", "--watch")
    # Its rows fill the pipe that nobody reads: the signal finds it while it writes.
    code, text = watching.end(signal.SIGINT, group=True)
    assert code == 130
    assert "interrupted after" in text
    assert len(text.splitlines()) == 1
    assert watching.left() == []


def test_without_a_cache_nothing_is_kept(folder: Path) -> None:
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--no-cache", "-j", "2", "-f", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, text = process.communicate(timeout=60)
    assert process.returncode == 143
    assert text.endswith("no results are kept because of --no-cache\n")


def test_what_is_ignored_stays_ignored(folder: Path, tmp_path: Path) -> None:
    # nohup starts a program with SIGHUP ignored.
    cache = tmp_path / "cache.sqlite"
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = start(folder, cache)
    finally:
        signal.signal(signal.SIGHUP, hangup)
    running.process.send_signal(signal.SIGHUP)
    before = running.results()
    time.sleep(0.5)
    assert running.process.poll() is None or running.results() == FILES
    assert running.results() > before
    running.end(signal.SIGTERM)
