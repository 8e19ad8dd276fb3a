"""Colour and width: on a terminal, in a pipe, and as the environment wishes."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

from dumpmap.cli.app import COMMANDS as HELPED
from dumpmap.render.terminal import to_text
from dumpmap.views.table import Column, Table, cell_text

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(*arguments: str, columns: int = 100, environment: dict[str, str] | None = None) -> str:
    """Runs `dumpmap` with a terminal for standard output; returns what came to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    left_out = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "DUMPMAP_DEBUG")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [sys.executable, "-m", "dumpmap", "-q", *arguments]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**kept, "TERM": "xterm-256color", **(environment or {})}
    ) as process:
        os.close(theirs)
        parts = []
        with contextlib.suppress(OSError):  # the other end is closed: that is how a terminal ends
            while part := os.read(ours, 65536):
                parts.append(part)
        os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours() -> None:
    assert COLOUR.search(on_terminal("summary", FRAGMENT))


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_none(environment: dict[str, str]) -> None:
    text = on_terminal("summary", FRAGMENT, environment=environment)
    assert "\x1b" not in text
    assert "Private Data" in text


def test_a_pipe_gets_none() -> None:
    assert "\x1b" not in run("-q", "summary", FRAGMENT, TERM="xterm-256color").out


@pytest.mark.parametrize(
    ("arguments", "force", "without"),
    [(["--color", "always"], "", "1"), ([], "1", "")],
    ids=["option", "environment"],
)
def test_colour_can_be_forced_into_a_pipe(arguments: list[str], force: str, without: str) -> None:
    ran = run("-q", *arguments, "summary", FRAGMENT, FORCE_COLOR=force, NO_COLOR=without)
    assert COLOUR.search(ran.out)
    ran = run("-q", *arguments, "summary", FRAGMENT, "--format", "json", FORCE_COLOR=force, NO_COLOR=without)
    assert "\x1b" not in ran.out


def test_the_option_outweighs_the_environment() -> None:
    assert "\x1b" not in on_terminal("--color", "never", "summary", FRAGMENT)
    assert COLOUR.search(on_terminal("--color", "always", "summary", FRAGMENT, environment={"NO_COLOR": "1"}))
    assert "\x1b" not in run("-q", "summary", FRAGMENT, FORCE_COLOR="1", NO_COLOR="1").out


def test_structured_formats_have_no_colours_on_a_terminal_either() -> None:
    for format in ("json", "csv", "markdown"):
        assert "\x1b" not in on_terminal("summary", FRAGMENT, "--format", format), format


@pytest.mark.parametrize("columns", [80, 120])
def test_lines_fit_the_terminal(columns: int) -> None:
    text = COLOUR.sub("", on_terminal("summary", FRAGMENT, columns=columns))
    assert max(len(line) for line in text.split("\n")) <= columns


COMMANDS = (
    ["summary"],
    ["regions"],
    ["regions", "--blocks"],
    ["heaps", "--segments", "--blocks"],
    ["stacks"],
    ["modules"],
    ["free"],
    ["info"],
    ["diagnose"],
)


@pytest.mark.parametrize("name", ["fragment-x86", "layout-x64", "layout-wow64"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_fits_a_terminal_of_80_columns(arguments: list[str], name: str) -> None:
    ran = run("-q", arguments[0], str(FIXTURES / f"{name}.dmp.gz"), *arguments[1:], COLUMNS="80")
    assert ran.code == 0
    assert [line for line in ran.out.split("\n") if len(line) > 80] == []


@pytest.mark.parametrize("name", ["fragment-x86", "leak-x64-after", "layout-x64", "layout-wow64"])
@pytest.mark.parametrize("arguments", [*COMMANDS, ["heaps"], ["owners"], ["triage"]], ids=" ".join)
def test_the_last_columns_give_way_on_a_terminal_of_60_columns(arguments: list[str], name: str) -> None:
    ran = run("-q", arguments[0], str(FIXTURES / f"{name}.dmp.gz"), *arguments[1:], COLUMNS="60")
    assert ran.code == 0
    assert [line for line in ran.out.split("\n") if len(line) > 60] == []


def test_two_columns_always_stay() -> None:
    table = Table((Column("a"), Column("b"), Column("c")), [("x" * 30, "y" * 30, "z" * 30)])
    text = to_text([table], width=20)
    assert "x" * 30 + "  " + "y" * 30 in text
    assert "z" not in text
    assert "No room for C." in text.replace("\n", " ")


def test_columns_that_find_no_room_are_named() -> None:
    path = str(FIXTURES / "layout-x64.dmp.gz")
    narrow = run("-q", "regions", path, "-n", "3", COLUMNS="80").out
    assert "Protection" not in narrow.split("\n")[1]
    said = "No room for Protection, Private, Blocks. Use a wider terminal or --format csv ..."
    assert said in " ".join(narrow.split())
    wide = run("-q", "regions", path, "-n", "3").out
    assert "No room" not in wide
    assert all(title in wide.split("\n")[0] for title in ("Protection", "Private (KB)", "Blocks"))
    assert "No room" not in run("-q", "regions", path, "-n", "3", "-f", "markdown", COLUMNS="80").out


def test_room_goes_to_texts_before_headings() -> None:
    columns = (Column("name"), Column("long_heading_of_a_figure", "size"))
    table = Table(columns, [["a" * 30, 1 << 20]])

    def drawn(width: int) -> list[str]:
        return to_text([table], width=width).rstrip("\n").split("\n")

    assert drawn(200)[0] == f"{'Name':<30}  Long heading of a figure (KB)"
    narrow = drawn(42)
    assert "a" * 30 in narrow[-1]
    assert max(map(len, narrow)) <= 42


def test_east_asian_letters_take_two_columns() -> None:
    table = Table((Column("name"), Column("kind")), [["日本語プロセス", "x"]])
    text = to_text([table], width=80)
    assert text.split("\n")[2] == "日本語プロセス  x"


@pytest.mark.parametrize("width", [30, 44, 80, None])
def test_a_row_is_drawn_as_rich_draws_it(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    names = ["ntdll.dll", "日本語.exe", "", "b\x07ell", "a/long/path/that/is/folded/in/a/narrow/terminal.dll"]
    columns = (Column("type"), Column("path", "text"), Column("size", "size"))
    table = Table(columns, [("Heap", name, 4096 * place) for place, name in enumerate(names)], title="Files")
    drawn = to_text([table], width=width)
    assert "4" in drawn

    class Folded(str):
        def isprintable(self) -> bool:
            return False

    monkeypatch.setattr("dumpmap.render.fitting.cell_text", lambda *arguments: Folded(cell_text(*arguments)))
    assert to_text([table], width=width) == drawn


def test_columns_sets_the_width_anywhere() -> None:
    narrow = run("-q", "summary", FRAGMENT, COLUMNS="80").out
    assert max(len(line) for line in narrow.split("\n")) <= 80
    assert run("-q", "summary", FRAGMENT, COLUMNS="nonsense").code == 0
    assert run("-q", "summary", FRAGMENT, COLUMNS="0").code == 0


def test_a_pipe_gets_lines_as_long_as_they_need_to_be() -> None:
    text = run("-q", "modules", FRAGMENT).out
    assert "C:\\windows\\system32" in text or ".dll" in text
    assert "…" not in text


@pytest.mark.parametrize("width", ["1", "20", "40"])
def test_figures_are_never_cropped(width: str) -> None:
    narrow, wide = run("-q", "summary", FRAGMENT, COLUMNS=width).out, run("-q", "summary", FRAGMENT).out
    rows = [
        re.findall(r"\d[\d,]*\d", next(line for line in out.split("\n") if line.startswith("Private Data  ")))
        for out in (narrow, wide)
    ]
    # The last columns give way; those that stay are whole.
    assert rows[0]
    assert rows[0] == rows[1][: len(rows[0])]


def test_help_of_every_command_in_80_columns() -> None:
    text = run("--help", COLUMNS="80").out
    names = re.findall(r"^  ([a-z]+) ", text.partition("\nLook:\n")[2], re.MULTILINE)
    assert max(len(line) for line in text.split("\n")) <= 80
    assert set(names) == set(HELPED)
    for name in HELPED:
        ran = run(name, "--help", COLUMNS="80")
        assert ran.code == 0
        assert max(len(line) for line in ran.out.split("\n")) <= 80
