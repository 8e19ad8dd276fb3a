"""The page of a difference: what grew by type and by owner, both address spaces, and every change in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dumpmap.analysis.changes import STATUSES, Change
from dumpmap.analysis.diff import MapDiff
from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.owner_parts import merged_parts
from dumpmap.model.types import TYPES
from dumpmap.model.values import value_class
from dumpmap.render.html.assets import render_page
from dumpmap.render.html.compressed import compressed_json, pack_texts
from dumpmap.render.html.diagnosis import FindingCard, verdict_level, verdict_title
from dumpmap.render.html.head import KeyFigure
from dumpmap.render.html.overview import UNKNOWN
from dumpmap.render.html.strips import pack_strips
from dumpmap.views.counters import AT_LEAST
from dumpmap.wording.diff import DiagnosedDiff, change_counts_text, figure_lines, relation, shows_less, verdict_line
from dumpmap.wording.findings import EXPLANATIONS, Finding
from dumpmap.wording.owners import part_text
from dumpmap.wording.text import short_size, size_left, size_text
from dumpmap.wording.verdicts import VERDICTS

MOST_CHANGES = 20_000
"""Changes in the page; those that matter most come first."""

_MOST_OWNERS = 60

_TYPE_NUMBER = {info.name: int(info.type) for info in TYPES}

_SIZES = ("size_a", "size_b", "size_delta", "committed_a", "committed_b", "committed_delta", "private_a", "private_b")

_COLUMNS = (
    ("status", "text", "Change"),
    ("type", "type", "Type"),
    ("committed_delta", "delta", "Committed +/-"),
    ("size_delta", "delta", "Size +/-"),
    ("size_b", "size", "Size after"),
    ("address_a", "address", "Address before"),
    ("address_b", "address", "Address after"),
    ("kind", "text", "Kind"),
    ("details", "text", "Details"),
)


@value_class(frozen=True, slots=True)
class _ChangeLine:
    """A row of the table of types or of owners: figures of both sides, and the bar of the change, in thousandths."""

    name: str
    where: str
    type: int | None
    cells: tuple[str, str, str, str, str, str]
    x: float
    width: float
    grows: bool


def render_diff(difference: DiagnosedDiff) -> str:
    """Returns the page of a difference."""
    a, b = difference.a, difference.b
    shown = list(difference.changes.rows(MOST_CHANGES))
    owners = _owner_lines(difference)
    parts = render_page(
        "diff",
        [compressed_json(_document(difference, shown))],
        packed=True,
        name=f"{a.snapshot.source.name} → {b.snapshot.source.name}",
        sides=(a.snapshot.source.name, b.snapshot.source.name),
        relation=relation(difference),
        notes=difference.notes,
        figures=tuple(_figures(difference)),
        lines=figure_lines(difference),
        verdicts=[(verdict_title(name), verdict_level(name), VERDICTS[name]) for name in difference.verdicts],
        verdict_line=verdict_line(difference),
        findings=tuple(_findings(difference)),
        summary=_type_lines(difference),
        owners=owners[:_MOST_OWNERS],
        more_owners=max(0, len(owners) - _MOST_OWNERS),
        counts=change_counts_text(difference.changes),
        left_out=len(difference.changes) - len(shown),
        types=TYPES,
        unknown=UNKNOWN,
    )
    return "".join(parts)


def _document(difference: DiagnosedDiff, shown: list[Change]) -> dict[str, Any]:
    """The data of the page. Its shape is not an interface."""
    strips = pack_strips((difference.a, difference.b))
    return {
        "types": [info.name for info in TYPES],
        "width": max(difference.a.address_width, difference.b.address_width),
        "partial": difference.a.partial or difference.b.partial,
        "cut": strips["cut"],
        "statuses": list(STATUSES),
        "columns": [{"name": name, "holds": holds, "title": title} for name, holds, title in _COLUMNS],
        "count": len(shown),
        "strips": strips,
        "type": [_TYPE_NUMBER[change.type] for change in shown],
        "texts": {
            name: pack_texts(getattr(change, name) for change in shown) for name in ("status", "kind", "details")
        },
        "numbers": {name: [getattr(change, name) for change in shown] for name in _SIZES},
        "addresses": {
            name: [None if value is None else hex(value) for value in (getattr(change, name) for change in shown)]
            for name in ("address_a", "address_b")
        },
    }


def _figures(difference: MapDiff) -> Iterator[KeyFigure]:
    """What readers look for first: before, after, and the change."""
    total, free = difference.types[0].figures, difference.free
    figures = {"Committed": total["committed"], "Private": total["private"], "Address space in use": total["size"]}
    for label, figure in figures.items():
        yield _figure(label, figure, short_size)
    for name, label in (("free", "Free address space"), ("largest_free_block", "Largest free block")):
        if name in free:
            yield _figure(label, free[name], size_left)


def _figure(label: str, figure: FigureChange, words: Callable[[int], str]) -> KeyFigure:
    def known(value: float | None, least: bool) -> str:
        return UNKNOWN if value is None else f"{AT_LEAST if least else ''}{words(int(value))}"

    change = "" if not figure.delta else _signed(int(figure.delta), short_size)
    if figure.delta is None:
        change = UNKNOWN
    return KeyFigure(label, f"{known(figure.a, figure.least_a)} → {known(figure.b, figure.least_b)}", change)


def _signed(value: int, text: Callable[[int], str] = size_text) -> str:
    return f"{'+' if value > 0 else '−'}{text(abs(value))}" if value else ""  # noqa: RUF001


def _findings(difference: DiagnosedDiff) -> Iterator[tuple[str, list[FindingCard]]]:
    titles = ("Findings gained", "Findings lost")
    if shows_less(difference):
        titles = ("Findings of the second input only", "Findings of the first input only")
    for title, findings in zip(titles, (difference.gained, difference.lost), strict=True):
        if findings:
            yield title, [_card(finding) for finding in findings]


def _card(finding: Finding) -> FindingCard:
    return FindingCard(finding, EXPLANATIONS[finding.id], "")


def _type_lines(difference: MapDiff) -> list[_ChangeLine]:
    """The summary's rows that either side has, Total first."""
    rows = [
        (change.type, "", _TYPE_NUMBER.get(change.type), change.figures["size"], change.figures["committed"])
        for change in difference.types
        if change.figures["size"].a or change.figures["size"].b
    ]
    return _lines(rows)


def _owner_lines(difference: MapDiff) -> list[_ChangeLine]:
    """The parts of owners that changed, those that changed most first."""
    rows = []
    for part in merged_parts(difference.owners):
        if part.size.delta or part.committed.delta:
            kind = part.key.type
            where = part.key.module if kind is None else kind.label
            rows.append((part_text(part.key), where, None if kind is None else int(kind), part.size, part.committed))
    return _lines(rows)


def _lines(rows: Iterable[tuple[str, str, int | None, FigureChange, FigureChange]]) -> list[_ChangeLine]:
    known = list(rows)
    most = max((abs(committed.delta or 0) for name, _, _, _, committed in known if name != "Total"), default=0) or 1
    lines = []
    for name, where, number, size, committed in known:
        delta = committed.delta or 0
        width = min(500.0, round(500 * abs(delta) / most, 1))
        cells = (*_cells(committed), *_cells(size))
        lines.append(_ChangeLine(name, where, number, cells, 500 if delta >= 0 else 500 - width, width, delta >= 0))
    return lines


def _cells(figure: FigureChange) -> tuple[str, str, str]:
    a, b = (None if value is None else int(value) for value in (figure.a, figure.b))
    return size_text(a), size_text(b), _signed(int(figure.delta or 0))
