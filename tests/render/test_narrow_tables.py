"""Every command on terminals of several widths: no line is too long, and each row of a table is one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.cli_inputs import FIXTURES, MAPS
from synth.minidump import MinidumpBuilder
from typer.testing import CliRunner

import dumpmap.api
import dumpmap.render.terminal
from dumpmap.cli.app import whole_app
from dumpmap.render.folding import shortened
from dumpmap.render.terminal import to_text
from dumpmap.views.blocks import Block
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import Units

WIDTHS = (60, 80, 120, 200)
LONG_PATHS = MAPS + "".join(
    f"{0x7F0000000000 + place * 0x10000:x}-{0x7F0000008000 + place * 0x10000:x} r-xp 00000000 08:01 {place + 9} "
    f"/usr/lib/x86_64-linux-gnu/a-folder-with-a-long-name/libsomething-{place}.so.6.0.{place}\n"
    for place in range(6)
)
COMMANDS = (
    "summary FILE",
    "regions FILE",
    "regions FILE --blocks --evidence",
    "regions FILE --owners structure --all",
    "regions FILE --group-by type,owner,kind,protection,state,module",
    "address FILE 0x10000 0x400000 0x7ffe0000 0x140000000",
    "owners FILE --all",
    "owners FILE --by kind",
    "owners FILE --by instance",
    "owners FILE --by module",
    "owners FILE --by size",
    "heaps FILE --segments --blocks",
    "stacks FILE",
    "modules FILE",
    "modules FILE --third-party",
    "free FILE",
    "info FILE",
    "info FILE --privacy",
    "diagnose FILE",
    "diff FILE fragment-x86.dmp.gz",
    "timeline FILE leak-x64-after.dmp.gz",
    "triage FILE fragment-x86.dmp.gz writers",
    "triage FILE fragment-x86.dmp.gz writers --group-by verdict,finding,process",
)
DUMPS = ("fragment-x86.dmp.gz", "managed/managed-10-workstation.dmp.gz", "runtimes/node-22.dmp.gz", "linux.dmp")
PROSE = {"example", "snapshot", "value"}
"""Columns that are folded: `info --privacy`, and what a crash reporter recorded."""


@pytest.fixture(scope="module", autouse=True)
def each_dump_is_opened_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        opened = cache(dumpmap.api.open_map)
        patch.setattr(dumpmap.api, "open_map", lambda source, **options: opened(source))
        yield


def blocks_of(command: str, dump: Path, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """What a command shows on a terminal, before it is drawn."""
    shown: list[Block] = []

    def spy(blocks: Any, *arguments: Any, **options: Any) -> Iterator[str]:
        shown.extend(blocks)
        return iter(())

    monkeypatch.setattr(dumpmap.render.terminal, "text_parts", spy)
    words = [str(dump) if word == "FILE" else word for word in command.split()]
    os.environ.pop("COLUMNS", None)
    monkeypatch.chdir(FIXTURES)
    ran = CliRunner().invoke(whole_app(), ["-q", *words])
    assert ran.exit_code == 0, ran.output
    monkeypatch.undo()
    return shown


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_rows_stay_on_one_line(command: str, dump: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FIXTURES / dump
    if dump == "linux.dmp":
        path = tmp_path / dump
        path.write_bytes(MinidumpBuilder("x64").system_info(platform_id=0x8201).linux_maps(LONG_PATHS).build())
    blocks = blocks_of(command, path, monkeypatch)
    assert blocks
    for width in WIDTHS:
        text = to_text(blocks, Units.kb, width=width)
        assert [line for line in text.split("\n") if len(line) > width] == []
        for table in blocks:
            if isinstance(table, Table) and not any(column.prose for column in table.columns):
                check_rows(table, width)


def check_rows(table: Table, width: int) -> None:
    """Each row is a line; only what stands below its row adds others, which are indented."""
    lines = to_text([table], Units.kb, width=width).rstrip("\n").split("\n")
    rule = next(place for place, line in enumerate(lines) if line.startswith("───"))
    assert rule <= 6
    rows = lines[rule + 1 :]
    said = next((place for place, line in enumerate(rows) if line.startswith("No room for ")), len(rows))
    below = any(column.below for column in table.columns)
    assert len([line for line in rows[:said] if not (below and line.startswith("  "))]) == len(table.rows)


def test_no_other_columns_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [
        block
        for command in ("info FILE", "info FILE --privacy", "summary FILE", "owners FILE", "diagnose FILE")
        for block in blocks_of(command, FIXTURES / "writers/crashpad-x64.dmp.gz", monkeypatch)
    ]
    tables = [block for block in blocks if isinstance(block, Table)]
    assert {column.name for table in tables for column in table.columns if column.prose} == PROSE


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("ntdll.dll", 9, "ntdll.dll"),
        ("managed-workstation.exe", 15, "managed…ion.exe"),
        ("/breakpad/examples/target/crash_linux", 17, "/bre…/crash_linux"),
        ("C:\\Program Files\\Foo\\bar.dll", 22, "C:\\Program Fi…\\bar.dll"),
        ("Image, /lib/x86_64-linux-gnu/libm-2.23.so", 24, "Image, /li…/libm-2.23.so"),
        ("module.exe+0x12345678", 15, "modu…0x12345678"),
        ("allocation of 256 MB at 0x00000000051f0000", 30, "allocation of 256 MB…"),
        ("GC bookkeeping", 11, "GC bookkee…"),
        ("日本語プロセス日本語プロセス.exe", 15, "日本語プ…ス.exe"),
    ],
)
def test_a_text_is_shortened_where_it_says_least(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short


def test_texts_are_shortened_further_before_a_column_leaves_that_must_stay() -> None:
    table = Table((Column("name", room=40), Column("size", "size"), Column("kind")), [("n" * 50, 1 << 20, "heap")])
    assert "Kind" in to_text([table], width=40)
    assert "n…n" in to_text([table], width=40)


def test_an_optional_column_leaves_before_texts_lose_their_room() -> None:
    table = Table((Column("name", room=30), Column("committed", "size", optional=1)), [("n" * 50, 1 << 20)])
    assert "Committed" in to_text([table], width=45)
    text = to_text([table], width=39)
    assert "No room for Committed" in text.replace("\n", " ")
    assert len(text.split("\n")[2]) == 39
