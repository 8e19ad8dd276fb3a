"""`browse --plain`: the same walk, line by line. It suits screen readers, pipes, and terminals that cannot draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dumpmap.model.counts import count_words
from dumpmap.render.terminal import to_text
from dumpmap.views.browse.details import detail_blocks, rows_text
from dumpmap.views.browse.keys import key_rows
from dumpmap.views.browse.navigation import Navigator
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import Units, printable

PAGE = 20
"""Rows that are listed at a time."""


class Prompt:
    """Reads commands, one per line, and writes what they show.

    Args:
        navigator: the map and the place in it.
        findings: what the details of a row mention.
        write: writes lines of text.
    """

    def __init__(self, navigator: Navigator, findings: list[Finding], write: Callable[[str], object]) -> None:
        self._navigator = navigator
        self._findings = findings
        self._write = write
        self._from = 0
        self._simple: dict[str, Callable[[], str]] = {
            "b": navigator.back,
            "t": lambda: navigator.show("types"),
            "o": lambda: navigator.show("owners"),
            "w": navigator.to_changes,
            "f": navigator.to_largest_free,
            "x": navigator.to_exception,
            "s": navigator.to_stacks,
            "n": navigator.next_match,
            "N": lambda: navigator.next_match(-1),
            "r": navigator.sort_by,
        }

    def run(self, lines: Iterable[str]) -> None:
        """Runs commands until `q` or the end of the input."""
        self._say("Type the number of a row to open it, ? for all commands, q to quit.")
        self._list()
        for line in lines:
            text = line.strip("\r\n").strip()
            if text == "q":
                return
            if text:
                self._run(text)

    def _run(self, text: str) -> None:
        navigator = self._navigator
        if text.isascii() and text.isdigit():
            self._open(int(text))
        elif text in self._simple:
            self._after(self._simple[text]())
        elif text == "m":
            self._from += PAGE
            self._list()
        elif text == "d" or (text.startswith("d ") and text[2:].strip().isdigit()):
            self._details(text[2:].strip())
        elif text.startswith("/"):
            self._after(navigator.search(text[1:]))
        elif text.startswith("&"):
            try:
                self._after(navigator.set_filter(text[1:]))
            except ValueError as error:
                self._say(str(error))
        elif text == "?":
            self._help()
        else:
            self._say(f"Unknown command {text!r}. Type ? for all commands.")

    def _say(self, text: str) -> None:
        self._write(printable(text) + "\n")

    def _after(self, message: str) -> None:
        """Shows where a command led."""
        if message:
            self._say(message[:1].upper() + message[1:] + ".")
        self._from = self._navigator.level.cursor // PAGE * PAGE
        self._list()

    def _open(self, number: int) -> None:
        if not 1 <= number <= len(self._navigator.level):
            self._say(f"There is no row {number}.")
            return
        self._navigator.put(number - 1)
        message = self._navigator.enter()
        if message:
            self._details("")
        else:
            self._after("")

    def _details(self, number: str) -> None:
        if number:
            if not 1 <= int(number) <= len(self._navigator.level):
                self._say(f"There is no row {number}.")
                return
            self._navigator.put(int(number) - 1)
        self._write(to_text(detail_blocks(self._navigator, self._findings), Units.auto))

    def _list(self) -> None:
        navigator, level = self._navigator, self._navigator.level
        filtered = f", filter {navigator.filter}" if navigator.filter else ""
        self._say(f"{navigator.title}: {count_words(len(level), 'row')}{filtered}")
        if self._from >= len(level):
            self._say("No more rows.")
            return
        for place, row in enumerate(level.rows(self._from, self._from + PAGE), self._from):
            chosen = ", selected" if place == level.cursor else ""
            self._say(f"{place + 1}. {rows_text(navigator.map, row)}{chosen}")
        if (more := len(level) - self._from - PAGE) > 0:
            self._say(f"{count_words(more, 'more row')}; type m to list more.")

    def _help(self) -> None:
        self._say("NUMBER: Open a row; a row with nothing below it shows its details.")
        for _, word, help_text in key_rows():
            if word:
                self._say(f"{word}: {help_text}")
