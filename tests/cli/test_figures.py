"""Figures as people read them: rounded so that nothing is promised, and the same wherever they stand."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.cli import run
from support.cli_inputs import FIXTURES
from typer.testing import CliRunner

import dumpmap
from dumpmap.analysis.free import fits
from dumpmap.cli.app import whole_app
from dumpmap.views.free import fit_text
from dumpmap.views.summary import finding_text
from dumpmap.views.table import Column, cell_text
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import Units, percent_text, size_left, size_text
from dumpmap.writers.formats import Format

X64 = str(FIXTURES / "layout-x64.dmp.gz")
FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")
EXHAUST = str(FIXTURES / "exhaust-x86.dmp.gz")
UNITS = {"byte": 1, "bytes": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
UNITS |= {"TB": 1 << 40, "PB": 1 << 50, "EB": 1 << 60}


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(whole_app(), ["-q", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@given(st.integers(0, 1 << 63))
@example(36_028_797_018_963_966)
def test_what_is_left_is_never_promised_to_be_more(value: int) -> None:
    text, unit = size_left(value).split(" ")
    number = Fraction(text)  # a float would round what is near the next figure
    assert number * UNITS[unit] <= value
    step = UNITS[unit] if number >= 100 else Fraction(UNITS[unit], 10)
    assert value - number * UNITS[unit] < step or unit == "bytes"
    assert int(size_text(value, Units.kb, left=True).replace(",", "")) * 1024 <= value
    assert Fraction(size_text(value, Units.mb, left=True).replace(",", "")) * (1 << 20) <= value


def test_headroom_is_rounded_down() -> None:
    stacks = dumpmap.open(X64).stacks
    column = shown("stacks", X64, "--format", "markdown").split("\n")
    titles = [title.strip() for title in column[0].split("|")]
    for stack, line in zip(stacks, column[2:], strict=False):
        assert stack.headroom is not None
        cell = line.split("|")[titles.index("Headroom (KB)")].strip()
        assert int(cell.replace(",", "")) == stack.headroom // 1024
    assert any((stack.headroom or 0) % 1024 for stack in stacks)
    # A size of which nothing is left is still rounded up, as VMMap does.
    assert cell_text(1025, Column("size", "size"), Units.kb, 8) == "2"
    assert cell_text(2047, Column("size", "size", left=True), Units.kb, 8) == "1"


def test_the_largest_that_fits_does_fit() -> None:
    region_map = dumpmap.open(FRAGMENT)
    fit = fits(region_map, 1 << 30)
    assert fit is not None
    match = re.search(r"the largest allocation that fits is ([\d.]+) (\w+)$", fit_text(fit))
    assert match is not None
    again = fits(region_map, int(float(match[1]) * UNITS[match[2]]))
    assert again is not None
    assert again.fits


def test_fragmentation_is_one_figure_everywhere() -> None:
    text = shown("diagnose", FRAGMENT)
    assert set(re.findall(r"([\d.]+ %) fragmented", text)) == {"96 %"}
    assert "Fragmentation: 96 % " in shown("free", FRAGMENT)
    page = shown("report", FRAGMENT, "-o", "-")
    assert "96 %" in page
    assert "95.5 %" not in page


@pytest.mark.parametrize(
    ("share", "text"), [(0.955, "96 %"), (0.026, "2.6 %"), (0.03, "3 %"), (0, "0 %"), (1, "100 %"), (None, "")]
)
def test_a_share_has_a_decimal_only_where_it_is_small(share: float | None, text: str) -> None:
    assert percent_text(share) == text


def test_every_finding_of_the_summary_has_its_figures() -> None:
    text = shown("summary", EXHAUST)
    for finding in dumpmap.open(EXHAUST).findings():
        assert f"{finding.severity:<8} {finding_text(finding)}\n" in text
        assert re.search(r"\d", finding_text(finding))
        assert f"- **{finding.severity}**: {finding_text(finding)}\n" in shown("summary", EXHAUST, "-f", "markdown")


def test_a_finding_is_a_line() -> None:
    detail = "2.0 GB of 4 GB are reserved. To have less: do this. Or that."
    assert finding_text(Finding("x", "info", "Title", detail)) == "2.0 GB of 4 GB are reserved."
    assert finding_text(Finding("x", "info", "Title", "One sentence")) == "One sentence"
    assert finding_text(Finding("x", "warning", "Title", detail)) == detail


def test_a_finding_stays_in_its_column_on_a_narrow_terminal() -> None:
    lines = run("-q", "summary", EXHAUST, COLUMNS="60").out.split("\n")
    first = next(number for number, line in enumerate(lines) if line.startswith("critical"))
    assert all(len(line) <= 60 for line in lines[first:])
    assert all(re.match(r"(critical|warning |info    | {8}) ", line) for line in lines[first:] if line)


@pytest.mark.parametrize("format", Format)
def test_csv_is_one_table(format: Format) -> None:
    ran = run("-q", "heaps", X64, "--segments", "--blocks", "--format", format)
    if format is Format.csv:
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("dumpmap: CSV contains one table: choose --segments or --blocks")
        assert ran.err.count("\n") == 1
    else:
        assert ran.code == 0


def test_inferred_shares_are_of_what_the_line_below_counts() -> None:
    """V8's reserved rest is inferred: most of its address space, and next to nothing of its committed memory."""
    path = str(FIXTURES / "runtimes" / "node-24.dmp.gz")
    owners = dumpmap.open(path).owners()
    of_v8 = owners[owners["owner"] == "V8"]
    text = shown("owners", path, "--owners", "structure")
    row = next(line for line in text.split("\n") if line.startswith("V8 "))
    assert row.endswith(percent_text(of_v8["inferred_committed"].sum() / of_v8["committed"].sum()))
    assert re.search(r"^\d+ % of the committed Private Data has an owner \([\d.]+ % only by inference\)", text, re.M)
