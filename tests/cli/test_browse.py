"""`browse` as a command: the prompt, what is missing, and a terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import struct
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

from dumpmap.cli import app
from dumpmap.views.browse.keys import COMMANDS

FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")


def prompted(*commands: str, path: str = FRAGMENT) -> str:
    """What the prompt writes."""
    ran = run("-q", "browse", "--plain", path, stdin="\n".join(commands).encode())
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def test_the_prompt_reaches_the_blocks_of_16_mb() -> None:
    lines = prompted("1", "1").splitlines()
    assert "Types: 7 rows" in lines
    assert "Types > Private Data: 23 rows" in lines
    start = lines.index("Types > Private Data > 85 allocations of 16 MB, reserved: 85 rows")
    assert lines[start + 1] == "1. 0x20c10000  16 MB, 0 bytes committed  reserved, selected"
    assert lines[start + 21] == "65 more rows; type m to list more."


def test_the_prompt_reaches_the_largest_free_block_and_its_details() -> None:
    text = prompted("f", "d")
    assert "1. 0x016d0000  18 MB, 0 bytes committed  Free, selected" in text
    assert "Range    0x016d0000 to 0x028d0000" in text
    assert "The largest free block is 18 MB, at 0x16d0000." in text


def test_the_prompt_lists_more_searches_filters_and_goes_back() -> None:
    text = prompted("1", "m", "b", "/ntdll", "&>16MB", "&>x", "&", "r", "o", "t", "x", "s", "n")
    assert "21. 0x" in text
    assert "'ntdll': match 1 of 1." in text
    assert "Types: 2 rows, filter >16MB" in text
    assert "'x' is not a size." in text
    assert "No filter." in text
    assert "Sorted by committed." in text
    assert "Owners: 23 rows" in text
    assert "The input has no exception." in text
    assert "Types > Stacks: 2 rows" in text


def test_the_prompt_ends_at_q_and_says_what_it_does_not_know() -> None:
    text = prompted("zz", "99", "d 99", "0", "q", "1")
    assert "Unknown command 'zz'. Type ? for all commands." in text
    assert text.count("There is no row 99.") == 2
    assert "There is no row 0." in text
    assert "Types > Private Data" not in text


def test_the_help_of_the_prompt_names_every_command() -> None:
    text = prompted("?")
    for command in COMMANDS:
        if command.word:
            assert f"{command.word}: {command.help}\n" in text


def test_two_inputs_are_a_difference() -> None:
    before, after = (str(FIXTURES / f"leak-x64-{when}.dmp.gz") for when in ("before", "after"))
    ran = run("-q", "browse", "--plain", before, after, stdin=b"1")
    assert ran.code == 0
    assert "Changes: 5 rows" in ran.out
    assert "+15.8 MB, +15.8 MB committed  Private Data added: 15 allocations" in ran.out
    ran = run("-q", "browse", "--plain", FRAGMENT, after, stdin=b"")
    assert ran.out.startswith("Note: ")


def test_the_prompt_cannot_share_standard_input() -> None:
    ran = run("browse", "--plain", "-", stdin=b"")
    assert ran.code == 2
    assert "FILE cannot be -" in ran.err


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert app.run(["browse", "no-such-file.dmp"]) == 4
    said = capsys.readouterr().err
    assert said == (
        'dumpmap: browse needs another package: pip install "dumpmap[tui]". browse --plain works without it\n'
    )


def test_a_pipe_is_no_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None))
    assert app.run(["browse", FRAGMENT]) == 2
    assert "browse needs a terminal. Use --plain in a pipe" in capsys.readouterr().err


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colour", "no colour"])
def test_on_a_terminal(environment: dict[str, str]) -> None:
    pytest.importorskip("textual")
    fcntl = pytest.importorskip("fcntl")
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "dumpmap", "-q", "browse", FRAGMENT],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            began = time.monotonic()
            pressed = 0
            while part := os.read(ours, 65536):
                shown += part
                if pressed == 0 and b"fragment32.exe" in shown:
                    pressed += os.write(ours, b"f")
                if pressed == 1 and b"0x028d0000" in shown:
                    pressed += os.write(ours, b"q")
                assert time.monotonic() - began < 60
        os.close(ours)
    assert process.returncode == 0
    assert (b"38;2;245;227;107" in shown) == (not environment)
