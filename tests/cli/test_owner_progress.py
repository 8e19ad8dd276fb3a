"""Progress of a search for pointers: on a terminal, after a while, and never in the way of the result."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.cli import owners_search
from dumpmap.cli.common import VERBOSITY
from dumpmap.cli.owners_search import OwnersFrom, search_pointers
from dumpmap.render.progress import ByteProgress

MB = 1 << 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def held_map() -> dumpmap.RegionMap:
    process = ProcessBuilder("x64").furnish()
    process.allocate(2 * MB, base=0x3_0020_0000)
    process.pointer(process.module("ntdll.dll").sections[".data"][0] + 0x200, 0x3_0020_0000)
    return dumpmap.open(process.to_minidump().build())


def test_a_bar_shows_bytes_and_appears_with_the_first_update() -> None:
    output = Terminal()
    console = Console(file=output, force_terminal=True, width=100)
    with ByteProgress("searching for pointers", console):
        pass
    assert output.getvalue() == ""
    with ByteProgress("searching for pointers", console) as bar:
        bar.update(3 * MB, 12 * MB)
    assert "searching for pointers" in output.getvalue()
    assert "3.1/12.6 MB" in output.getvalue()


@pytest.mark.parametrize(("patience", "level", "shown"), [(0, 0, True), (0, -1, False), (60, 0, False)])
def test_long_searches_show_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, patience: int, level: int, shown: bool
) -> None:
    output = Terminal()
    monkeypatch.setattr(sys, "stderr", output)
    monkeypatch.setattr(owners_search, "_PATIENCE", patience - 1)
    monkeypatch.setattr(VERBOSITY, "level", level)
    monkeypatch.setenv("FORCE_COLOR", "1")
    search = search_pointers(held_map()).pointers
    assert search is not None
    assert [held.base for held in search.owners] == [0x3_0020_0000]
    assert ("searching for pointers" in output.getvalue()) == shown


def test_no_terminal_and_no_search_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert search_pointers(held_map()).pointers is not None
    assert search_pointers(held_map(), OwnersFrom.structure).pointers is None
    assert capsys.readouterr().err == ""
