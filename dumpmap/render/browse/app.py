"""`browse` on a screen, with Textual."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from dumpmap.analysis.changes import Changes
from dumpmap.model.region_map import RegionMap
from dumpmap.render.browse import drawing
from dumpmap.render.browse.facts import detail_lines
from dumpmap.render.browse.panes import FocusedPane, Line, LinePane, SpacePane
from dumpmap.render.terminal import terminal
from dumpmap.views.browse.details import detail_blocks, rows_text
from dumpmap.views.browse.items import strip_of
from dumpmap.views.browse.keys import COMMANDS, key_rows
from dumpmap.views.browse.levels import Level, Row
from dumpmap.views.browse.navigation import Navigator, Tree
from dumpmap.views.summary import process_line
from dumpmap.wording.findings import find
from dumpmap.wording.text import printable

_WIDE, _TALL, _NARROW = 120, 40, 72
_PATIENCE = 1.0
"""Seconds for the entry to take in what was typed; it takes milliseconds."""

_STYLES = """
Screen { layout: vertical; background: ansi_default; color: ansi_default; }
#head, #foot, #heading { height: 1; scrollbar-size: 0 0; }
#space { height: 2; }
#body { height: 1fr; }
#side { width: 30; border-right: vkey $surface-lighten-2; scrollbar-size-vertical: 1; }
#tree { width: 1fr; }
#rows { height: 1fr; scrollbar-size-vertical: 1; }
#details { height: 9; border-top: solid $surface-lighten-2; scrollbar-size-vertical: 1; }
Screen.-wide #side { width: 44; }
Screen.-narrow #side { display: none; }
Screen.-tall #details { height: 24; }
#entry { display: none; height: 1; border: none; padding: 0; }
#entry.-open { display: block; }
HelpScreen { align: center middle; }
#help { width: 78; height: 90%; border: solid $surface-lighten-2; }
"""


class HelpScreen(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1,enter,backspace", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """Makes the pane."""
        lines = help_lines()
        yield FocusedPane(lambda number, width: drawing.text_line(lines[number], width), "help")

    def on_mount(self) -> None:
        """Fills the pane."""
        self.query_one("#help", LinePane).show_lines(len(help_lines()))


def help_lines() -> list[str]:
    """Returns the keys and what they do, a line or more each."""
    from dumpmap.render.folding import folded

    lines = ["Keys", ""]
    for keys, _, help_text in key_rows():
        if keys:
            first, *rest = folded(help_text, 54)
            lines += [f"{keys:<17} {first}", *(f"{'':<17} {line}" for line in rest)]
    return [*lines, "", "Mouse: click selects, a second click opens, a click on the strip jumps.", "Esc closes this."]


class BrowseApp(App[None]):
    """The screen: strip, types and owners, tree, details.

    Args:
        region_map: the map.
        changes: what differs from an earlier map.
        color: draw types in colours.
        message: is shown until the first key.
    """

    TITLE = "dumpmap browse"
    CSS = _STYLES
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            # With priority the app itself runs a command before it looks at the next key. A pane would run it when its
            # own turn comes, and keys typed in the same instant would not find the entry that `/` opens.
            Binding(",".join(command.keys), f"run('{command.name}')", command.help, show=False, priority=True)
            for command in COMMANDS
            if command.keys
        ),
        Binding("enter", "submit", "Search or filter", show=False, priority=True),
        Binding("escape", "close_entry", "Close the entry", show=False, priority=True),
    ]

    def __init__(
        self, region_map: RegionMap, changes: Changes | None = None, *, color: bool = True, message: str = ""
    ) -> None:
        super().__init__(ansi_color=True)
        self._map = region_map
        self._color = color
        self._findings = find(region_map)
        self._process = process_line(region_map)
        self.navigator = Navigator(region_map, changes)
        self._strip = strip_of(self.navigator.items)
        self._message = message
        self._asked = ""
        self._side: list[tuple[Tree, Level]] = []
        self._side_cursor = 1
        self._details: list[str] = []
        self._commands = self._actions()

    def compose(self) -> ComposeResult:
        """Makes the panes."""
        yield LinePane(self._head_line, "head")
        yield SpacePane(self._space_lines, "space")
        with Horizontal(id="body"):
            yield FocusedPane(self._side_line, "side")
            with Vertical(id="tree"):
                yield LinePane(self._heading_line, "heading")
                yield FocusedPane(self._row_line, "rows")
        yield LinePane(lambda number, width: drawing.text_line(self._details[number], width), "details")
        yield LinePane(self._foot_line, "foot")
        yield Input(id="entry", compact=True)

    def on_mount(self) -> None:
        """Shows the map."""
        for name in ("head", "heading", "foot"):
            self.query_one(f"#{name}", LinePane).show_lines(1)
        self.query_one("#rows").focus()
        self._fill_side()
        self.call_after_refresh(self.show_selection)

    def on_resize(self, event: events.Resize) -> None:
        """Gives the panes the room that there is, and folds the details anew."""
        screen = self.screen_stack[0]
        screen.set_class(event.size.width >= _WIDE, "-wide")
        screen.set_class(event.size.width < _NARROW, "-narrow")
        screen.set_class(event.size.height >= _TALL, "-tall")
        self.call_after_refresh(self.show_selection)

    # ---------------------------------------------------------------- drawing

    def show_selection(self) -> None:
        """Brings every pane in step with the navigator."""
        rows, level = self.query_one("#rows", LinePane), self.navigator.level
        rows.show_lines(len(level))
        rows.reveal(level.cursor)
        details = self.query_one("#details", LinePane)
        width = max(20, details.scrollable_content_region.width)
        self._details = detail_lines(detail_blocks(self.navigator, self._findings), width)
        details.show_lines(len(self._details))
        details.scroll_home(animate=False, force=True)
        for name in ("head", "space", "heading", "side", "foot"):
            self.query_one(f"#{name}").refresh()

    def _fill_side(self) -> None:
        self._side = [(tree, self.navigator.root(tree)) for tree in ("types", "owners")]
        self.query_one("#side", LinePane).show_lines(sum(len(level) + 1 for _, level in self._side))

    def _head_line(self, number: int, width: int) -> Line:
        del number
        level = self.navigator.level
        place = f"{level.cursor + 1 if len(level) else 0:,} of {len(level):,}"
        filtered = f"  [filter: {self.navigator.filter}]" if self.navigator.filter else ""
        right = f"{filtered}  {place}"
        at_root = level.kind in ("types", "owners")
        path = self._process if at_root else self.navigator.title
        return drawing.title_line(drawing.fitted(path, width - len(right)) + right, width)

    def _foot_line(self, number: int, width: int) -> Line:
        del number
        if self._message:
            return drawing.text_line(self._message, width)
        hints = (f"{command.keys_text.split(',')[0]} {command.hint}" for command in COMMANDS if command.hint)
        return drawing.text_line("  ".join(hints), width, dim=True)

    def _heading_line(self, number: int, width: int) -> Line:
        del number
        sort = self.navigator.sort or ("address" if self.navigator.level.kind == "regions" else "size")
        return drawing.heading_line(width, sort)

    def _row_line(self, number: int, width: int) -> Line:
        level = self.navigator.level
        return drawing.row_line(
            level.row(number),
            address_width=self._map.address_width,
            largest=level.largest,
            width=width,
            selected=number == level.cursor,
            color=self._color,
        )

    def _side_line(self, number: int, width: int) -> Line:
        for tree, level in self._side:
            if number == 0:
                return drawing.title_line(tree.capitalize(), width)
            if number <= len(level):
                focused = self.focused is not None and self.focused.id == "side"
                return drawing.side_line(
                    level.row(number - 1),
                    largest=level.largest,
                    width=width,
                    selected=focused and self._side_at(self._side_cursor) == (tree, number - 1),
                    color=self._color,
                )
            number -= len(level) + 1
        return []

    def _side_at(self, line: int) -> tuple[Tree, int] | None:
        """Returns the tree and the place of the row on a line of the left pane; None for a heading."""
        for tree, level in self._side:
            if line <= len(level):
                return (tree, line - 1) if line > 0 else None
            line -= len(level) + 1
        return None

    def _space_lines(self, width: int) -> list[Line]:
        level = self.navigator.level
        row = level.selected
        cells = self._strip.cells(width)
        base, size = level.ranges_of(row) if row is not None else (level.base[:0], level.size[:0])
        marks = self._strip.marks(base, size, width)
        return [drawing.strip_line(cells, self._color), drawing.marks_line(marks, width)]

    # ---------------------------------------------------------------- commands

    def _actions(self) -> dict[str, Callable[[], str | None]]:
        """What each command does; a text that it returns is shown."""
        navigator = self.navigator
        return {
            "back": navigator.back,
            "types": lambda: navigator.show("types"),
            "owners": lambda: navigator.show("owners"),
            "changes": navigator.to_changes,
            "largest_free": navigator.to_largest_free,
            "exception": navigator.to_exception,
            "stacks": navigator.to_stacks,
            "next_match": navigator.next_match,
            "previous_match": lambda: navigator.next_match(-1),
            "sort": navigator.sort_by,
            "enter": self._enter,
            "down": lambda: self._move(1),
            "up": lambda: self._move(-1),
            "page_down": lambda: self._move(self._page()),
            "page_up": lambda: self._move(-self._page()),
            "first": lambda: self._move(-len(navigator.level)),
            "last": lambda: self._move(len(navigator.level)),
            "copy": self._copy,
        }

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Says who gets a key: the commands, or what is open above them."""
        if len(self.screen_stack) > 1:
            return action not in ("run", "submit", "close_entry")
        if action in ("submit", "close_entry"):
            return self._in_entry()
        return super().check_action(action, parameters) and not (action == "run" and self._in_entry())

    def action_run(self, name: str) -> None:
        """Runs a command."""
        self._message = ""
        if name in ("search", "filter"):
            self._ask(name)
        elif name == "help":
            self.push_screen(HelpScreen())
        elif name == "quit":
            self.exit()
        elif name == "pane":
            self.screen.focus_next()
        elif name in ("details_down", "details_up"):
            self.query_one("#details", LinePane).scroll_relative(y=1 if name == "details_down" else -1, animate=False)
        elif name in self._commands:
            self._message = self._commands[name]() or ""
            self.show_selection()

    def _in_entry(self) -> bool:
        return self.focused is not None and self.focused.id == "entry"

    def _in_side(self) -> bool:
        return self.focused is not None and self.focused.id == "side"

    def _page(self) -> int:
        height: int = self.query_one("#rows").size.height
        return max(1, height - 1)

    def _move(self, places: int) -> str:
        if not self._in_side():
            self.navigator.move(places)
            return ""
        last = sum(len(level) + 1 for _, level in self._side) - 1
        wanted = max(1, min(self._side_cursor + places, last))
        if self._side_at(wanted) is None:  # a heading
            wanted = max(1, min(wanted + (1 if places > 0 else -1), last))
        self._side_cursor = wanted
        self.query_one("#side", LinePane).reveal(wanted)
        return ""

    def _enter(self) -> str:
        return self._open_side(self._side_cursor) if self._in_side() else self.navigator.enter()

    def _open_side(self, line: int) -> str:
        found = self._side_at(line)
        if found is None:
            return ""
        tree, place = found
        level = dict(self._side)[tree]
        self._side_cursor = line
        self.screen.set_focus(self.query_one("#rows"))
        return self.navigator.show(tree, int(level.order[place]))

    def _copy(self) -> str:
        row: Row | None = self.navigator.row
        if row is None:
            return "there is nothing to copy"
        lines = [printable(self.navigator.title), printable(rows_text(self._map, row)), *self._details]
        self.copy_to_clipboard("\n".join(lines) + "\n")
        return f"copied {len(lines)} lines"

    # ---------------------------------------------------------------- entry and mouse

    def _ask(self, what: str) -> None:
        entry = self.query_one("#entry", Input)
        self._asked = what
        entry.value = self.navigator.filter if what == "filter" else ""
        entry.placeholder = "address, module+0x12, or text" if what == "search" else ">16MB reserved TEXT"
        self.query_one("#foot").display = False
        entry.add_class("-open")
        self.screen.set_focus(entry)  # at once: `entry.focus()` waits for its turn, and the next key does not

    async def _close_entry(self) -> str:
        """Closes the entry and returns its text, with every letter that was typed before."""
        entry = self.query_one("#entry", Input)
        typed = asyncio.Event()
        entry.call_later(typed.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(typed.wait(), _PATIENCE)
        entry.remove_class("-open")
        self.query_one("#foot").display = True
        self.screen.set_focus(self.query_one("#rows"))
        return entry.value

    async def action_close_entry(self) -> None:
        """Closes the entry without a search."""
        await self._close_entry()

    async def action_submit(self) -> None:
        """Searches or filters by the text of the entry."""
        text = await self._close_entry()
        try:
            if self._asked == "search":
                self._message = self.navigator.search(text)
            else:
                self._message = self.navigator.set_filter(text)
                self._fill_side()
                self._side_cursor = 1
        except ValueError as error:
            self._message = str(error)
        self.show_selection()

    @on(LinePane.Clicked)
    def _clicked(self, event: LinePane.Clicked) -> None:
        self._message = ""
        if event.pane.id == "side":
            self._message = self._open_side(event.line)
        elif event.pane.id == "rows":
            again = event.line == self.navigator.level.cursor
            self.navigator.put(event.line)
            if again or event.twice:
                self._message = self.navigator.enter()
        self.show_selection()

    @on(SpacePane.Clicked)
    def _space_clicked(self, event: SpacePane.Clicked) -> None:
        address = self._strip.address(event.cell, event.width)
        if address is not None:
            self._message = self.navigator.go_to(address)
            self.show_selection()


def run_app(region_map: RegionMap, changes: Changes | None = None, message: str = "") -> None:
    """Shows the browser until the user quits."""
    BrowseApp(region_map, changes, color=terminal()[0], message=message).run()
