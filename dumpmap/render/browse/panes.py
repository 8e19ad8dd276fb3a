"""The panes of the `browse` screen. Each draws the lines that can be seen, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

Line = list[Segment]


class LinePane(ScrollView, can_focus=False, inherit_bindings=False):
    """Lines that are made when they are seen.

    Args:
        line: draws a line: its number, and the width.
        id: of the widget.
    """

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, pane: LinePane, line: int, twice: bool) -> None:
            super().__init__()
            self.pane = pane
            self.line = line
            self.twice = twice

    def __init__(self, line: Callable[[int, int], Line], id: str) -> None:
        super().__init__(id=id)
        self._line = line
        self._count = 0

    def show_lines(self, count: int) -> None:
        """Shows so many lines."""
        self._count = count
        self.virtual_size = Size(0, count)
        self.refresh()

    def reveal(self, line: int) -> None:
        """Scrolls so that a line can be seen."""
        self.scroll_to_region(Region(0, line, 1, 1), animate=False, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draws a line of the pane."""
        width = self.scrollable_content_region.width
        number = y + self.scroll_offset.y
        segments = self._line(number, width) if number < self._count else []
        return Strip(segments).adjust_cell_length(width)

    def on_click(self, event: events.Click) -> None:
        """Reports a click."""
        line = event.y + self.scroll_offset.y
        if line < self._count:
            self.post_message(self.Clicked(self, line, event.chain > 1))


class FocusedPane(LinePane, can_focus=True, inherit_bindings=False):
    """A pane that the keys can act on."""


class SpacePane(Widget, can_focus=False):
    """The strip of the address space, with the selection below.

    Args:
        lines: draws the lines, in some width.
        id: of the widget.
    """

    class Clicked(Message):
        """A cell was clicked."""

        def __init__(self, cell: int, width: int) -> None:
            super().__init__()
            self.cell = cell
            self.width = width

    def __init__(self, lines: Callable[[int], list[Line]], id: str) -> None:
        super().__init__(id=id)
        self._lines = lines

    def render_line(self, y: int) -> Strip:
        """Draws a line."""
        lines = self._lines(self.size.width)
        return Strip(lines[y] if y < len(lines) else []).adjust_cell_length(self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Reports a click."""
        self.post_message(self.Clicked(event.x, self.size.width))
