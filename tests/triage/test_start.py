"""Processes that are really killed while workers start: the batch goes on, or one line says what happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.triage import folder_of_dumps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes of the fork server")

SCRIPT = """
import os, signal, sys, threading, time
import psutil
from multiprocessing import forkserver, resource_tracker
from dumpmap.cli import app

target, most, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
killed = set()

def victims():
    server, tracker = forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid
    if target == "server":
        return [server] if server else []
    if not server or not tracker:
        return []
    return [child.pid for child in psutil.Process(server).children()]

def kill():
    while len(killed) < most:
        try:
            for pid in victims():
                if pid not in killed and len(killed) < most:
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
        except (psutil.Error, OSError):
            pass
        time.sleep(0.001)

if __name__ == "__main__":
    threading.Thread(target=kill, daemon=True).start()
    sys.exit(app.run(["-q", "triage", folder, "--no-cache", "--jobs", "2", "--format", "csv"]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_dumps(tmp_path, 3)


def triaged(folder: Path, target: str, most: int) -> subprocess.CompletedProcess[str]:
    """Runs `dumpmap triage` while the first `most` processes of a kind are killed as soon as they exist."""
    script = folder.parent / "killer.py"
    script.write_text(SCRIPT, "utf-8")
    command = [sys.executable, str(script), target, str(most), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("target", ["server", "worker"])
def test_one_that_is_killed_at_start_costs_nothing(folder: Path, target: str) -> None:
    done = triaged(folder, target, 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(",ok,") == 3


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("server", ("the process that forks them was ended",)),
        ("worker", ("the first ones died before their first file", "SIGKILL", "memory runs short")),
    ],
)
def test_if_all_are_killed_one_line_says_so(folder: Path, target: str, words: tuple[str, ...]) -> None:
    done = triaged(folder, target, 1000)
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("dumpmap: cannot start worker processes: ")
    for word in words:
        assert word in line
    assert "__main__" not in line
