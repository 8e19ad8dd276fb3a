"""The pager of `regions`: on a terminal only, for long lists only, and as the user wishes."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")
LINES = 40


@pytest.fixture
def pager(tmp_path: Path) -> Path:
    """A pager that keeps what it gets."""
    program = tmp_path / "a pager"
    program.write_text(f"#!/bin/sh\nexec tee '{tmp_path}/kept' >/dev/null\n")
    program.chmod(0o755)
    return program


def on_terminal(*arguments: str, **environment: str) -> str:
    """Runs `dumpmap` with a terminal for its input and output; returns what came to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, 100, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "PAGER", "LESS")}
    with subprocess.Popen(
        [sys.executable, "-m", "dumpmap", "-q", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**kept, "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        parts = []
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                parts.append(part)
        os.close(ours)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0, said
    return b"".join(parts).decode()


def test_a_long_list_goes_to_the_pager(pager: Path) -> None:
    assert on_terminal("regions", FRAGMENT, PAGER=f"'{pager}'") == ""
    text = pager.with_name("kept").read_text()
    assert text.count("\n") > 600
    assert "0x7ffe1000  Unusable" in text


@pytest.mark.parametrize("arguments", [["--limit", "3"], ["--no-pager"], ["-f", "json"], ["-f", "csv"]], ids=" ".join)
def test_other_output_does_not(pager: Path, arguments: list[str]) -> None:
    assert on_terminal("regions", FRAGMENT, *arguments, PAGER=f"'{pager}'").strip()
    assert not pager.with_name("kept").exists()


@pytest.mark.parametrize("wish", ["", "cat", "no-such-pager", "'unfinished"])
def test_without_a_pager_the_list_is_written_at_once(wish: str) -> None:
    assert on_terminal("regions", FRAGMENT, PAGER=wish).count("\n") > 600


def test_a_pipe_and_a_file_have_no_pager(pager: Path, tmp_path: Path) -> None:
    assert run("-q", "regions", FRAGMENT, PAGER=f"'{pager}'").out.count("\n") > 600
    file = tmp_path / "list.txt"
    on_terminal("regions", FRAGMENT, "-o", str(file), PAGER=f"'{pager}'")
    assert file.read_text().count("\n") > 600
    assert not pager.with_name("kept").exists()


def test_a_pager_that_ends_early_is_no_error(tmp_path: Path) -> None:
    program = tmp_path / "first"
    program.write_text("#!/bin/sh\nexec head -n 1\n")
    program.chmod(0o755)
    assert on_terminal("regions", FRAGMENT, "--blocks", PAGER=str(program)).count("\n") == 1
