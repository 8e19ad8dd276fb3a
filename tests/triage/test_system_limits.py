"""Limits that the system sets for a batch: one line says which, and nothing is taken for a bug."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.triage import folder_of_dumps, small_dump

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses the shell's ulimit and the fork server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_dumps(tmp_path, 3)


def triaged(folder: Path, limit: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs `dumpmap triage` with two workers under a limit of the shell."""
    command = ["sh", "-c", f'ulimit {limit} && exec "$0" "$@"', sys.executable, "-m", "dumpmap", "triage", str(folder)]
    command += ["--no-cache", "--jobs", "2", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("most", [8, 12, 16, 18, 20, 22])
def test_too_few_open_files_are_one_line(folder: Path, most: int) -> None:
    done = triaged(folder, f"-n {most}")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "dumpmap: cannot start worker processes: too many open files\n"


def test_the_room_that_is_asked_for_is_enough_and_not_far_from_the_least(folder: Path) -> None:
    """A start with two workers takes 20 open files in all; those of a test runner may be open besides."""
    done = triaged(folder, "-n 30", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(",ok,") == 3


def test_each_worker_needs_room(folder: Path) -> None:
    done = triaged(folder, "-n 30", "--jobs", "8")
    assert done.returncode == 0, done.stderr  # there are but three files, so three workers
    for index in range(3, 8):
        (folder / f"good-{index}.dmp").write_bytes(small_dump(pid=index + 1))
    done = triaged(folder, "-n 30", "--jobs", "8")
    assert done.stderr == "dumpmap: cannot start worker processes: too many open files\n"


@pytest.mark.parametrize("blocks", [0, 8])  # of 512 or 1024 bytes
def test_no_room_for_a_file_that_the_workers_share_is_one_line(folder: Path, blocks: int) -> None:
    done = triaged(folder, f"-f {blocks}", "-o", str(folder.parent / "result.csv"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "dumpmap: cannot start worker processes: file too large\n"
