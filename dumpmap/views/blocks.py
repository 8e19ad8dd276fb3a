"""Blocks of text: what a command says to a person, as data. `dumpmap.render` draws them, on a terminal or as Markdown.

A view is a sequence of blocks. It says what is a heading, a fact, or a table, and never how that looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.views.table import Table

if TYPE_CHECKING:
    from dumpmap.views.strip import StripRow

Style = Literal["plain", "strong", "muted", "critical", "warning", "info", "good"]
"""What a text means to its reader. The three severities of findings are styles of their own."""


@value_class(frozen=True, slots=True)
class Blank:
    """An empty line on a terminal. Markdown separates all blocks and ignores it."""


@value_class(frozen=True, slots=True)
class Heading:
    """The heading of what follows."""

    text: str


@value_class(frozen=True, slots=True)
class Paragraph:
    """A sentence or a line of its own."""

    text: str
    style: Style = "plain"


@value_class(frozen=True, slots=True)
class OneLine:
    """A text that takes one line, however narrow the terminal.

    Attributes:
        texts: the text, then shorter forms of it. The first that has room is shown; if none has, the last is cut.
        style: the style.
    """

    texts: Sequence[str]
    style: Style = "plain"


@value_class(frozen=True, slots=True)
class Lines:
    """A list, one line per item.

    Attributes:
        items: the texts.
        indent: blanks before each on a terminal; a folded item stays behind them.
    """

    items: Sequence[str]
    indent: int = 0


@value_class(frozen=True, slots=True)
class Remark:
    """A remark in small print; where it is folded, its text stays behind its label."""

    label: str
    text: str


@value_class(frozen=True, slots=True)
class Fact:
    """A label with its value."""

    label: str
    text: str
    style: Style = "plain"


@value_class(frozen=True, slots=True)
class Facts:
    """Labels and values, one row each; values stand in a column of their own."""

    rows: Sequence[Fact]


@value_class(frozen=True, slots=True)
class Statement:
    """A sentence with the severity of what it says."""

    severity: Style
    text: str


@value_class(frozen=True, slots=True)
class Statements:
    """Sentences, each with its severity in front."""

    rows: Sequence[Statement]


@value_class(frozen=True, slots=True)
class Entry:
    """A finding in full: severity, title, identifier, and details below."""

    severity: Style
    title: str
    id: str
    text: str


@value_class(frozen=True, slots=True)
class Bar:
    """A bar of the summary.

    Attributes:
        title: what it shows.
        figure: the total, as text.
        parts: bytes per type, in drawing order; None is the largest free block.
        scale: bytes of a bar over the whole width; None takes the scale of all.
    """

    title: str
    figure: str
    parts: Sequence[tuple[RegionType | None, int]]
    scale: int | None = None


@value_class(frozen=True, slots=True)
class Bars:
    """Bars of one scale, in the colours of the types or, without colour, in letters.

    Attributes:
        rows: the bars.
        scale: bytes of the longest bar.
        legend: the types to name below.
    """

    rows: Sequence[Bar]
    scale: int
    legend: Sequence[RegionType]


@value_class(frozen=True, slots=True)
class Strip:
    """The address space as rows of cells, in the colours of the types or, without colour, in letters.

    Attributes:
        rows: makes the rows for a number of columns.
        address_width: digits of an address.
    """

    rows: Callable[[int], Sequence[StripRow]]
    address_width: int


Block = Blank | Heading | Paragraph | OneLine | Lines | Remark | Facts | Statements | Entry | Bars | Strip | Table

View = Iterable[Block]
