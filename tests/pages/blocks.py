"""The fenced blocks of a page, and the commands in them.

A block with the language `sh` holds commands that a reader pastes. If a block with the language `output` follows it,
that block is what the commands print: `python -m tests.docs_in_step --write` writes it, and the tests compare it. A
block without a language counts as commands where a line of it starts with `dumpmap`. A command in backticks, such as
`dumpmap heaps FILE`, counts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^( *)```([\w-]*)([^\n]*)\n(.*?)^\1```[ \t]*$", re.DOTALL | re.MULTILINE)
_HERE = re.compile(r"^.*<<'END'\n(?s:.*?)^END$|^.*$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`(dumpmap(?: [^`\n]+)?)`(?!`)")
_COMMAND = re.compile(r"^(?:echo \S+ \| )?dumpmap ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: the word behind the fence.
        text: the lines between the fences, without the indentation of the fence.
        line: the number of its first fence's line, from 1.
        start, end: where the text lies in the page.
        indent: the indentation of the fence.
    """

    language: str
    text: str
    line: int
    start: int
    end: int
    indent: str

    @property
    def has_commands(self) -> bool:
        """Whether a reader runs the lines."""
        return self.language == "sh" or (self.language == "" and bool(_COMMAND.search(self.text)))

    def commands(self) -> list[str]:
        """The commands, one a line of the shell; lines that end in a backslash go on, and so do texts up to END."""
        lines = _HERE.findall(self.text.replace("\\\n", "") + "\n")
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pages() -> list[Path]:
    """All pages that people read, generated ones included."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """Finds the fenced blocks of a page."""
    found = []
    for match in _BLOCK.finditer(page):
        indent, language, _, text = match.groups()
        lines = (line.removeprefix(indent) for line in text.splitlines(keepends=True))
        number = page.count("\n", 0, match.start()) + 1
        found.append(Block(language, "".join(lines), number, match.start(4), match.end(4), indent))
    return found


def inline_commands(page: str) -> list[str]:
    """Finds the commands in backticks, outside fenced blocks."""
    prose = page
    for block in reversed(blocks(page)):
        prose = prose[: block.start] + prose[block.end :]
    return _INLINE.findall(prose)


def shown(page: str) -> Iterator[tuple[Block, Block]]:
    """Pairs each block of commands with the block of output that follows it directly."""
    found = blocks(page)
    for commands, output in pairwise(found):
        between = page[commands.end : output.start].strip()
        if output.language == "output" and commands.has_commands and re.fullmatch(r"```\s*```output.*", between):
            yield commands, output


def with_output(page: str, outputs: Iterable[tuple[Block, str]]) -> str:
    """Replaces the texts of blocks of output."""
    for block, text in sorted(outputs, key=lambda pair: -pair[0].start):
        lines = (f"{block.indent}{line}".rstrip() + "\n" for line in text.splitlines())
        page = page[: block.start] + "".join(lines) + page[block.end :]
    return page
