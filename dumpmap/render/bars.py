"""Bars and the strip of the address space on a terminal, in VMMap's colours or in letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.model.types import TYPES, RegionType
from dumpmap.views.blocks import Bars, Strip
from dumpmap.wording.text import printable

ENDLESS = 10_000
"""The width of an output that has none."""

LETTERS = {
    RegionType.IMAGE: "I",
    RegionType.MAPPED_FILE: "M",
    RegionType.SHAREABLE: "S",
    RegionType.HEAP: "H",
    RegionType.MANAGED_HEAP: "G",
    RegionType.STACK: "T",
    RegionType.PRIVATE_DATA: "P",
    RegionType.PAGE_TABLE: "K",
    RegionType.UNKNOWN: "?",
}
"""One letter per type, for bars without colour."""

MARKS = {**LETTERS, RegionType.FREE: ".", RegionType.UNUSABLE: ":"}
"""One letter per type; free space is to look empty."""

LARGEST = "*"
"""The largest free block."""

CUT = "~"
"""A part of the strip that is shortened."""

_FULL = "█"
_MARGIN = 2
_BAR_WIDTHS = (10, 100)
_BAR_WIDTH = 50
"""Columns of the longest bar where the output has no width."""


def drawing(block: Bars | Strip) -> Any:
    """Returns what rich draws."""
    return _DrawnBars(block) if isinstance(block, Bars) else _DrawnStrip(block)


class _DrawnBars:
    """Bars as wide as the console has room for."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        color = _has_color(console)
        least, most = _BAR_WIDTHS
        width = _BAR_WIDTH
        titles = max((len(bar.title) for bar in self._bars.rows), default=0)
        figures = max((len(bar.figure) for bar in self._bars.rows), default=0)
        indent = titles + figures + 2 * _MARGIN
        if options.max_width < ENDLESS:
            width = max(least, min(most, options.max_width - indent))
        for bar in self._bars.rows:
            line = Text(f"{printable(bar.title):<{titles + _MARGIN}}{bar.figure:>{figures}}{'':{_MARGIN}}")
            scale = self._bars.scale if bar.scale is None else bar.scale
            cells = _apportion([size for _, size in bar.parts], scale, width) if scale else []
            for place, (type, size) in enumerate(bar.parts):
                if type is None and size and not cells[place]:  # the mark is there, however small the block
                    cells[cells.index(max(cells))] -= 1
                    cells[place] = 1
            for (type, _), count in zip(bar.parts, cells, strict=bool(cells)):
                line.append_text(_cells(type, count, color=color))
            yield line
        if self._bars.legend:
            yield _legend(self._bars.legend, color=color, indent=indent, width=options.max_width)


class _DrawnStrip:
    """The address space, one row of cells after the other, and what the cells mean."""

    def __init__(self, strip: Strip) -> None:
        self._strip = strip

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        color = _has_color(console)
        width = 80 if options.max_width >= ENDLESS else options.max_width
        indent = self._strip.address_width + _MARGIN
        rows = self._strip.rows(width - indent)
        shown: dict[RegionType | None, None] = {}
        cut = False
        for row in rows:
            line = Text(f"{row.address:0{self._strip.address_width}x}{'':{_MARGIN}}")
            for cell in row.cells:
                cut |= cell.cut and not cell.largest
                kind = None if cell.largest else cell.type
                if cell.cut and not cell.largest:
                    line.append(CUT, style="dim" if color else "")
                else:
                    shown[kind] = None
                    line.append_text(_cells(kind, 1, color=color))
            yield line
        order = [*(info.type for info in TYPES if info.type in shown), *([None] if None in shown else [])]
        yield _legend(order, color=color, indent=indent, width=width, cut=cut)


def _has_color(console: Any) -> bool:
    return console.color_system is not None and not console.no_color


def _cells(type: RegionType | None, count: int, *, color: bool) -> Any:
    """Some cells of a type; None is the largest free block."""
    from rich.text import Text

    if type is None:
        return Text(LARGEST * count, style="bold" if color else "")
    if color and type in LETTERS:
        return Text(_FULL * count, style=TYPES[type].color)
    return Text(MARKS[type] * count, style="dim" if color else "")


def _legend(types: Sequence[RegionType | None], *, color: bool, indent: int, width: int, cut: bool = False) -> Any:
    """What the colours or letters mean, in as many lines as it takes."""
    from rich.text import Text

    entries = []
    for type in types:
        if type is None:
            entries.append(Text.assemble(LARGEST, "=Largest free block"))
        elif color and type in LETTERS:
            entries.append(Text.assemble(("■", TYPES[type].color), f" {TYPES[type].name}"))
        else:
            entries.append(Text(f"{MARKS[type]}={TYPES[type].name}"))
    if cut:
        entries.append(Text(f"{CUT}=shortened"))
    lines = [Text(" " * indent)]
    for entry in entries:
        if len(lines[-1]) > indent and len(lines[-1]) + len(entry) > width:
            lines[-1].rstrip()
            lines.append(Text(" " * indent))
        lines[-1].append_text(entry).append("  ")
    lines[-1].rstrip()
    return Text("\n").join(lines)


def _apportion(values: list[int], scale: int, width: int) -> list[int]:
    """Shares `width` cells among values by largest remainder, so that rounding never drops a bar's end."""
    exact = [value * width / scale for value in values]
    cells = [int(share) for share in exact]
    missing = round(sum(exact)) - sum(cells)
    by_remainder = sorted(range(len(values)), key=lambda index: exact[index] - cells[index], reverse=True)
    for index in by_remainder[:missing]:
        cells[index] += 1
    return cells
