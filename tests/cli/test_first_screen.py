"""The first screen of `summary` at every width: one line for the verdict and one for the exception, nothing wraps."""

from __future__ import annotations

import json
import re

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NAMES = (
    "fragment-x86",
    "exhaust-x86",
    "starve-x64",
    "layout-wow64",
    "managed/managed-10-workstation",
    "runtimes/node-24",
)
LIMITS = re.compile(r"(of|limit of|has) 2 GB|\d+ TB|first 64 KB|at 64 KB boundaries|instead of 4 GB")
"""Names of limits, which no unit changes."""


def screen(name: str, *options: str, width: int | None = 80, color: str = "never") -> list[str]:
    """The lines of a summary, without colours."""
    arguments = ("-q", "--color", color, "summary", str(FIXTURES / f"{name}.dmp.gz"), *options)
    ran = run(*arguments) if width is None else run(*arguments, COLUMNS=str(width))
    assert ran.code == 0, ran.err
    assert bool(COLOUR.search(ran.out)) == (color == "always")
    return COLOUR.sub("", ran.out).split("\n")


@pytest.mark.parametrize("color", ["never", "always"])
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_longer_than_the_terminal_and_no_row_wraps(name: str, width: int, color: str) -> None:
    lines = screen(name, width=width, color=color)
    assert [line for line in lines if len(line.rstrip()) > width] == []
    rule = next(place for place, line in enumerate(lines) if line.startswith("───"))
    types = [line for line in lines[rule + 1 : lines.index("", rule)] if not line.startswith("No room for")]
    assert [row.split("  ")[0] for row in types] == [
        "Total", "Image", "Mapped File", "Shareable", "Heap", "Managed Heap", "Stack", "Private Data", "Page Table",
        "Unusable", "Free",
    ]  # fmt: skip
    took = lines.index("Who took private memory")
    rule = next(place for place, line in enumerate(lines) if place > took and line.startswith("───"))
    owners = lines[rule + 1 : lines.index("", rule)]
    assert [row for row in owners if not re.search(r"\d (bytes|KB|MB|GB|TB)$", row.rstrip())] == []


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_verdict_comes_first_and_the_exception_second(width: int) -> None:
    first, second, *_ = screen("exhaust-x86", width=width)
    assert first.lower().replace("-", " ").startswith("out of address space")
    assert second.startswith("0xc0000017 STATUS_NO_MEMORY")
    assert "kernelbase.dll+0x12866" in second


def test_a_text_with_no_room_at_all_ends_in_an_ellipsis() -> None:
    first, second, *_ = screen("exhaust-x86", width=25)
    assert first == "out-of-address-space"
    assert second.endswith("…")
    assert len(second) <= 25


def test_the_largest_free_block_is_in_the_bar_however_small_it_is() -> None:
    for width in (60, 80, 200):
        bar = next(line for line in screen("fragment-x86", width=width) if line.startswith("Address space"))
        assert bar.rstrip().endswith("*"), width


@pytest.mark.parametrize(("units", "others"), [("bytes", "KB|MB|GB"), ("kb", "bytes|MB|GB"), ("mb", "bytes|KB|GB")])
@pytest.mark.parametrize("name", ["fragment-x86", "managed/managed-10-workstation"])
def test_the_unit_governs_every_figure(name: str, units: str, others: str) -> None:
    text = LIMITS.sub("", "\n".join(screen(name, "--units", units, width=None)))
    assert re.findall(rf"[\d.,]+ (?:{others})\b", text) == []


def test_programs_read_the_same_whatever_the_unit() -> None:
    path = str(FIXTURES / "fragment-x86.dmp.gz")
    for format in ("json", "csv"):
        outputs = {run("-q", "summary", path, "-f", format, "--units", units).out for units in ("kb", "mb", "bytes")}
        assert outputs == {run("-q", "summary", path, "-f", format).out}
    assert "18 MB" in json.dumps(json.loads(run("-q", "summary", path, "-f", "json", "--units", "bytes").out))


def test_a_size_from_1_tb_up_has_its_unit() -> None:
    row = next(line for line in screen("managed/managed-10-workstation") if line.startswith("Free"))
    document = json.loads("\n".join(screen("managed/managed-10-workstation", "-f", "json", width=None)))
    free = next(line for line in document["types"] if line["type"] == "Free")
    total, largest = (str(free[name] >> 40) for name in ("size", "largest"))  # rounded down: what is left over
    assert len(total) == len(largest) == 3  # as many digits as a size in a sentence
    assert row.split() == ["Free", total, "TB", str(free["blocks"]), largest, "TB"]
    exact = screen("managed/managed-10-workstation", "--units", "bytes", width=None)
    assert re.search(r"\d{3},\d{3},\d{3},\d{3},\d{3}", next(line for line in exact if line.startswith("Free")))
