"""What a user of `browse` can do: one row per command, with its keys on the screen and its word in the prompt."""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        name: what the screen and the prompt call to run it.
        keys: its keys on the screen.
        word: its letter or word in the prompt; empty if the prompt has no such command.
        help: what it does.
        shown: how the keys are written, if that differs from their names.
        hint: a word for the line of keys at the bottom; empty to leave it out.
    """

    name: str
    keys: tuple[str, ...]
    word: str
    help: str
    shown: str = ""
    hint: str = ""

    @property
    def keys_text(self) -> str:
        """The keys, for people."""
        return self.shown or ", ".join(self.keys)


COMMANDS = (
    Command("enter", ("enter", "right"), "", "Open the selected row.", "Enter, Right", "in"),
    Command("back", ("backspace", "left"), "b", "Go back to the level above.", "Backspace, Left", "out"),
    Command("down", ("down", "j"), "", "Select the next row.", "Down, j"),
    Command("up", ("up", "k"), "", "Select the previous row.", "Up, k"),
    Command("page_down", ("pagedown",), "m", "Go down by a screen; in the prompt, list more rows.", "PageDown"),
    Command("page_up", ("pageup",), "", "Go up by a screen.", "PageUp"),
    Command("first", ("home", "g"), "", "Select the first row.", "Home, g"),
    Command("last", ("end", "G"), "", "Select the last row.", "End, G"),
    Command("types", ("t",), "t", "Show the types."),
    Command("owners", ("o",), "o", "Show the owners.", hint="owners"),
    Command("changes", ("w",), "w", "Show what changed, if there are two inputs."),
    Command("largest_free", ("f",), "f", "Jump to the largest free block.", hint="free"),
    Command("exception", ("x",), "x", "Jump to the exception's address."),
    Command("stacks", ("s",), "s", "List the stacks; Enter jumps to one."),
    Command(
        "search",
        ("slash",),
        "/TEXT",
        "Search for an address, module+0x12, or a text in names.",
        "/",
        "search",
    ),
    Command("next_match", ("n",), "n", "Go to the next match."),
    Command("previous_match", ("N",), "N", "Go to the previous match."),
    Command(
        "filter",
        ("ampersand",),
        "&TEXT",
        "Show only what meets conditions: >16MB, <64KB, committed, partly, reserved, free, or a text in names. "
        "Empty shows everything.",
        "&",
        "filter",
    ),
    Command("sort", ("r",), "r", "Sort by the next column: size, committed, count, address."),
    Command("pane", ("tab",), "", "Go to the types and owners on the left, or back.", "Tab"),
    Command("details_down", ("J", "shift+down"), "", "Scroll the details down.", "J, Shift+Down"),
    Command("details_up", ("K", "shift+up"), "", "Scroll the details up.", "K, Shift+Up"),
    Command("details", (), "d", "Write what is known of the selected row, or of row N: d N."),
    Command("copy", ("c",), "", "Copy the selection and its details as text."),
    Command("help", ("question_mark", "f1"), "?", "Show all keys.", "?, F1", "keys"),
    Command("quit", ("q",), "q", "Quit.", hint="quit"),
)


def key_rows() -> Iterator[tuple[str, str, str]]:
    """Yields the keys of each command, its word in the prompt, and what it does."""
    for command in COMMANDS:
        yield command.keys_text, command.word, command.help
