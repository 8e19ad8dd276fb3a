"""A figure is written in one way: no two outputs of one dump differ in its digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from synth.minidump import (
    MEM_COMMIT,
    MEM_FREE,
    MEM_PRIVATE,
    MEM_RESERVE,
    PAGE_NOACCESS,
    PAGE_READWRITE,
    MinidumpBuilder,
)
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app
from dumpmap.model import sizes
from dumpmap.wording.text import Units, size_text

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
UNITS = {"KB": KB, "MB": MB, "GB": GB, "TB": TB}
END = 128 * TB
RESERVED, COMMITTED, HOLE = 10 * TB + 40 * GB, 123 * MB + 676 * KB, 7 * TB + 990 * GB
FREE = END - RESERVED - COMMITTED
"""117.96 TB, which is 118 TB to the nearest and 117 TB rounded down."""
LARGEST = FREE - HOLE
FIGURES = {"free": FREE, "largest free block": LARGEST, "reserved": RESERVED, "committed": COMMITTED}
COMMANDS = (
    "summary DUMP",
    "diagnose DUMP",
    "free DUMP",
    "info DUMP",
    "regions DUMP",
    "regions DUMP --group-by type",
    "regions DUMP --group-by type,kind --type free",
    "address DUMP 0x10000",
    "owners DUMP --all",
    "diff DUMP DUMP",
    "timeline DUMP DUMP",
    "triage DUMP",
    "summary DUMP --format markdown",
    "triage DUMP --format html",
    "diff DUMP DUMP --format html",
    "timeline DUMP DUMP --format html",
    "report DUMP",
)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process that reserves 10 TB of 128 TB; the largest hole lies behind its memory."""
    builder = MinidumpBuilder("x64").system_info()
    builder = builder.region(0, HOLE, MEM_FREE, PAGE_NOACCESS, 0)
    builder = builder.region(HOLE, RESERVED, MEM_RESERVE, 0, MEM_PRIVATE)
    builder = builder.region(HOLE + RESERVED, COMMITTED, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    start = HOLE + RESERVED + COMMITTED
    builder = builder.region(start, END - start, MEM_FREE, PAGE_NOACCESS, 0)
    path = tmp_path_factory.mktemp("figure") / "tb.dmp"
    path.write_bytes(builder.build())
    return path


def outputs(dump: Path, folder: Path, *options: str) -> Iterator[tuple[str, str]]:
    for number, command in enumerate(COMMANDS):
        words = [str(dump) if word == "DUMP" else word for word in command.split()]
        page = folder / f"{number}.html"
        to_file = ["-o", str(page)] if "html" in command or command.startswith("report") else []
        if to_file and options:  # pages keep automatic units
            continue
        ran = CliRunner().invoke(whole_app(), ["-q", *words, *options, *to_file], env={"COLUMNS": "200"})
        assert ran.exit_code in (0, 1), (command, ran.output)
        text = page.read_text() if to_file else ran.stdout
        yield command, re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def writings(text: str, value: int) -> set[tuple[str, str]]:
    """Every size in a text that can only be this value, by its unit."""
    found = set()
    for number, decimals, unit in re.findall(r"(?<![\w.,])([\d,]+(?:\.(\d+))?) (KB|MB|GB|TB)\b(?!/)", text):
        step = UNITS[unit]
        if abs(float(number.replace(",", "")) * step - value) < step / 10 ** len(decimals):
            found.add((unit, number))
    return found


@pytest.mark.parametrize("options", [(), ("--units", "auto"), ("--units", "mb"), ("--units", "kb")], ids=" ".join)
def test_a_figure_is_written_in_one_way(dump: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    written = dict(outputs(dump, tmp_path, *options))
    for name, value in FIGURES.items():
        ways: dict[str, dict[str, str]] = {}
        for command, text in written.items():
            for unit, number in writings(text, value):
                ways.setdefault(unit, {}).setdefault(number, command)
        assert ways, name
        for unit, numbers in ways.items():
            assert len(numbers) == 1, (name, unit, numbers)


def test_what_is_left_is_rounded_down_in_tables_too(dump: Path, tmp_path: Path) -> None:
    written = dict(outputs(dump, tmp_path))
    assert re.search(r"^Free +117 TB", written["summary DUMP"], re.MULTILINE)
    assert re.search(r"117 TB free of 128 TB", written["diagnose DUMP"])
    assert not any(re.search(r"\b118(\.0)? TB", text) for text in written.values())


@pytest.mark.parametrize("units", ["mb", "kb"])
def test_an_asked_unit_has_the_digits_of_the_tables(units: str) -> None:
    value = COMMITTED + 100
    sizes.ask_for_unit(units)
    try:
        with sizes.for_people():
            assert sizes.size_words(value) == f"{size_text(value, Units(units))} {units.upper()}"
    finally:
        sizes.ask_for_unit(None)
