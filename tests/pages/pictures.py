"""Pictures that are drawn from results: an address space, and a terminal. Equal results give equal bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from .sandbox import FIXTURES

if TYPE_CHECKING:
    from dumpmap.api import RegionMap

_SHOWN = "fragment-x86.dmp.gz"
_ROWS = 16
_WIDTH = 800
_LEFT, _TOP, _PITCH, _BAR = 96, 52, 20, 14
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
_PAPER, _INK, _FAINT, _MARK = "#ffffff", "#1f2328", "#57606a", "#cf222e"


def address_space() -> str:
    """Draws the fixture's address space: a row for each sixteenth, colors by type, and the largest free block."""
    import dumpmap

    with_map = dumpmap.open(FIXTURES / _SHOWN)
    block, blocks = with_map.largest_free_block, with_map.free_blocks
    assert with_map.end is not None
    assert block is not None
    assert blocks is not None
    end = 1 << (with_map.end - 1).bit_length()
    per_pixel = end // (_ROWS * _WIDTH)
    paths: dict[str, list[str]] = defaultdict(list)
    for color, start, stop in _runs(with_map, per_pixel):
        for row in range(start // _WIDTH, (stop - 1) // _WIDTH + 1):
            left, right = max(start, row * _WIDTH), min(stop, (row + 1) * _WIDTH)
            x, y = _LEFT + left - row * _WIDTH, _TOP + row * _PITCH
            paths[color].append(f"M{x} {y}h{right - left}v{_BAR}h-{right - left}z")
    rows = [
        f'<text x="{_LEFT - 8}" y="{_TOP + row * _PITCH + 11}" text-anchor="end" fill="{_FAINT}">'
        f"0x{end // _ROWS * row:08x}</text>"
        for row in range(_ROWS)
    ]
    height = _TOP + _ROWS * _PITCH + 44
    free = sum(one.size for one in blocks)
    title = (
        f"{with_map.process.name}: {free >> 20} MB of {end / (1 << 30):.0f} GB is free, "
        f"but the largest free block is {block.size >> 20} MB"
    )
    return "\n".join(
        [
            _head(_LEFT + _WIDTH + 16, height, title),
            f'<text x="16" y="28" font-size="15" font-weight="bold" fill="{_INK}">{escape(title)}</text>',
            *rows,
            *(f'<path fill="{color}" d="{"".join(parts)}"/>' for color, parts in paths.items()),
            _mark(block.address // per_pixel, (block.address + block.size) // per_pixel),
            *_legend(with_map, height - 18),
            "</svg>\n",
        ]
    )


def _runs(shown: RegionMap, per_pixel: int) -> Iterator[tuple[str, int, int]]:
    """Yields colors with their runs of pixels. A pixel has the color with most of its bytes."""
    pixels: list[dict[str, int]] = [defaultdict(int) for _ in range(_ROWS * _WIDTH)]
    for address, size, name, reserved in _regions(shown):
        color = _color(name, reserved)
        while size > 0:
            pixel = address // per_pixel
            if pixel >= len(pixels):
                break
            part = min(size, (pixel + 1) * per_pixel - address)
            pixels[pixel][color] += part
            address, size = address + part, size - part
    colors = [max(pixel, key=lambda color: pixel[color], default=_color("Free", False)) for pixel in pixels]
    start = 0
    for index in range(1, len(colors) + 1):
        if index == len(colors) or colors[index] != colors[start]:
            yield colors[start], start, index
            start = index


def _regions(shown: RegionMap) -> Iterator[tuple[int, int, str, bool]]:
    frame = shown.regions
    reserved = (frame["committed"] == 0).fillna(False)
    for address, size, name, pale in zip(frame["address"], frame["size"], frame["type"], reserved, strict=True):
        yield int(address), int(size), str(name), bool(pale)


def _color(name: str, reserved: bool) -> str:
    """The color of a type; memory that is only reserved is paler."""
    from dumpmap.model.types import TYPES

    color = next(info.color for info in TYPES if info.name == name)
    if not reserved:
        return color
    channels = (int(color[index : index + 2], 16) for index in (1, 3, 5))
    return "#" + "".join(f"{(channel + 255) // 2:02x}" for channel in channels)


def _mark(start: int, stop: int) -> str:
    y, x = _TOP + start // _WIDTH * _PITCH - 2, _LEFT + start % _WIDTH - 1
    return (
        f'<rect x="{x}" y="{y}" width="{stop - start + 2}" height="{_BAR + 4}" fill="none" '
        f'stroke="{_MARK}" stroke-width="2"/>'
    )


def _legend(shown: RegionMap, y: int) -> Iterator[str]:
    sizes = shown.summary()["size"].fillna(0)
    used = [str(name) for name, size in sizes.items() if name != "Total" and size >= 1 << 20]
    x = _LEFT
    entries = [(name, _color(name, False)) for name in used]
    entries.append(("reserved Private Data", _color("Private Data", True)))
    for name, color in entries:
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{color}" stroke="{_FAINT}" stroke-width="0.5"/>'
        yield f'<text x="{x + 17}" y="{y}" fill="{_INK}">{escape(name)}</text>'
        x += 36 + 7 * len(name)


def _head(width: int, height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{_FONT}" font-size="11.5">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="{_PAPER}"/>'
    )


# ---------------------------------------------------------------- a terminal

_CELL, _LINE, _MARGIN = 8.0, 18, 18
_DARK, _LIGHT = "#1b1f24", "#d7dde3"


@cache
def terminal(command: str, columns: int = 96) -> str:
    """Draws what a command prints on a terminal with colors."""
    from rich.color_triplet import ColorTriplet
    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME
    from rich.text import Text

    console = Console(width=columns, color_system="truecolor", force_terminal=True, _environ={})
    lines = [f"$ {command}", *_printed(command, columns).splitlines()]
    drawn = []
    for number, line in enumerate(lines):
        x, y = float(_MARGIN), _MARGIN + (number + 1) * _LINE
        for segment in Text.from_ansi(line).render(console, end=""):
            style, width = segment.style, segment.cell_length * _CELL
            color = style.color.get_truecolor(SVG_EXPORT_THEME) if style and style.color else None
            paper = style.bgcolor.get_truecolor(SVG_EXPORT_THEME) if style and style.bgcolor else None
            if paper is not None and paper != ColorTriplet(0, 0, 0):
                drawn.append(f'<rect x="{x:g}" y="{y - 14}" width="{width:g}" height="{_LINE}" fill="{paper.hex}"/>')
            if segment.text.strip():
                weight = ' font-weight="bold"' if style and style.bold else ""
                faint = ' opacity="0.65"' if style and style.dim else ""
                drawn.append(
                    f'<text x="{x:g}" y="{y}" textLength="{width:g}" lengthAdjust="spacingAndGlyphs" '
                    f'xml:space="preserve" '
                    f'fill="{color.hex if color else _LIGHT}"{weight}{faint}>{escape(segment.text, quote=False)}</text>'
                )
            x += width
    width, height = int(columns * _CELL) + 2 * _MARGIN, (len(lines) + 1) * _LINE + 2 * _MARGIN
    head = _head(width, height, command).replace(_PAPER, _DARK).replace("11.5", "13.3")
    return "\n".join([head, *drawn, "</svg>\n"])


def _printed(command: str, columns: int) -> str:
    import tempfile
    from pathlib import Path

    from .sandbox import Sandbox

    with tempfile.TemporaryDirectory() as folder:
        return Sandbox(Path(folder), columns=columns, color=True).run(command).out


PICTURES: Mapping[str, Callable[[], str]] = {
    "images/address-space.svg": address_space,
    "images/summary.svg": lambda: terminal("dumpmap summary tests/fixtures/runtimes/node-22.dmp.gz"),
    "images/diagnose.svg": lambda: terminal("dumpmap diagnose tests/fixtures/starve-x64.dmp.gz"),
}
"""The pictures of docs/ by name; `python -m tests.docs_in_step --write` draws them."""
