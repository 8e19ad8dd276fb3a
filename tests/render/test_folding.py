"""Texts in narrow columns: no number and no address is ever cut, columns leave instead."""

from __future__ import annotations

import re

import pytest
from support.scenes import FIXTURES
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app
from dumpmap.render.folding import folded
from dumpmap.render.terminal import to_text
from dumpmap.views.table import Column, Table

RUNS = [
    ("fragment-x86.dmp.gz", "owners --all"),
    ("runtimes/node-22.dmp.gz", "owners --all"),
    ("runtimes/dotnet-10.dmp.gz", "owners --by kind"),
    ("pointers/held-x64.dmp.gz", "owners --owners full"),
    ("layout-wow64.dmp.gz", "regions --all --evidence"),
    ("runtimes/node-18.dmp.gz", "regions --blocks --owners structure --limit 200"),
    ("layout-x64-plain.dmp.gz", "regions --all"),
    ("runtimes/node-18.dmp.gz", "regions --group-by owner,kind"),
    ("runtimes/node-22.dmp.gz", "address 0x140000000 0x10000 0x7ffe0000 0x200000"),
    ("layout-x64.dmp.gz", "heaps"),
    ("layout-wow64.dmp.gz", "stacks"),
    ("layout-x64.dmp.gz", "modules"),
    ("fragment-x86.dmp.gz", "free"),
    ("writers/crashpad-x64.dmp.gz", "info"),
]
NUMBER = re.compile(r"0x[0-9a-fA-F]+|(?<![\w.,])\d[\d.,]*\d(?![\w.,])")


def shown(width: int, *arguments: str) -> str:
    ran = CliRunner().invoke(whole_app(), ["-q", *arguments], env={"COLUMNS": str(width)})
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.mark.parametrize(("name", "command"), RUNS, ids=lambda value: value)
def test_every_number_of_a_narrow_table_is_one_of_the_wide_table(name: str, command: str) -> None:
    first, *options = command.split()
    arguments = (first, str(FIXTURES / name), *options)
    whole = set(NUMBER.findall(shown(2000, *arguments)))
    for width in (60, 80, 200):
        text = shown(width, *arguments)
        assert set(NUMBER.findall(text)) <= whole
        assert max(map(len, text.split("\n"))) <= width


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("allocation of 1 MB at 0x00000001234567890", 20, ["allocation of 1 MB", "at", "0x00000001234567890"]),
        ("V8 large object space 12.9 MB, V8", 26, ["V8 large object space", "12.9 MB, V8"]),
        ("python311.dll+0x7021fd", 18, ["python311.dll+", "0x7021fd"]),
        ("PEB.UnicodeCaseTableData", 14, ["PEB.UnicodeCas", "eTableData"]),
        ("C:\\x\\amd64_6.0.9600.16384_none", 16, ["C:\\x\\amd64_", "6.0.9600.16384_n", "one"]),
        ("1" * 60, 26, ["1" * 26, "1" * 26, "1" * 8]),
        ("größe größer", 6, ["größe", "größer"]),
        ("内存内存内存", 5, ["内存", "内存", "内存"]),
        ("", 10, [""]),
        ("a\nb", 10, ["a", "b"]),
    ],
)
def test_a_text_is_cut_outside_of_its_numbers(text: str, width: int, lines: list[str]) -> None:
    assert folded(text, width) == lines


def test_a_column_leaves_before_an_address_in_its_text_is_cut() -> None:
    columns = (Column("a", "address"), Column("b", "size"), Column("name", optional=1), Column("kind", optional=2))
    row = [0x140000000, 4096, "0x00007ff612340000 and more", "x" * 40]
    assert "  0x00007ff612340000…  " in to_text([Table(columns, [row])], width=60)
    text = to_text([Table(columns, [row])], width=40)
    assert "0x00007" not in text
    assert "No room for Name, Kind" in text
