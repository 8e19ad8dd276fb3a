"""Answers of bounded size: texts and lists are cut, rows come in pages, and no text acts on who reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from dumpmap.model.values import value_class
from dumpmap.wording.text import printable

LONGEST_ANSWER = 60_000
"""Characters of an answer as JSON. A page ends before it, and longer lists and texts are cut."""

LONGEST_TEXT = 600
"""Characters of a text in an answer; the rest is cut, and an ellipsis says so."""

MOST_ROWS = 200
"""Most rows of a page."""

USUAL_ROWS = 50

_MOST_ITEMS = 60
_TIGHTER = ((_MOST_ITEMS, LONGEST_TEXT), (20, 300), (5, 100), (1, 40))
"""Items of a list and characters of a text, from the usual bounds to the tightest."""

Rows = Callable[[int, int], Sequence[dict[str, Any]]]
"""Returns the rows from one place to another (exclusive)."""


@value_class(frozen=True, slots=True)
class Window:
    """The rows that a client asked for.

    Attributes:
        request: a digest of the question without its cursor. A cursor of another question is refused.
        limit: most rows.
        start: the first of them.
    """

    request: str
    limit: int
    start: int = 0


def window(question: Any, limit: int, cursor: str | None) -> Window:
    """Returns the rows that a question asks for.

    Args:
        question: all that the rows depend on: the tool, its arguments, and the state of its files.
        limit: most rows.
        cursor: from the answer before; None for the first page.

    Raises:
        ValueError: the cursor is of another question.
    """
    request = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]
    if cursor is None:
        return Window(request, limit)
    start, _, of = cursor.partition("-")
    if of != request or not (start.isascii() and start.isdigit() and len(start) < 12):
        raise ValueError("the cursor belongs to another question or to a file that changed since: ask without cursor")
    return Window(request, limit, int(start))


def bounded(value: Any, items: int = _MOST_ITEMS, longest: int = LONGEST_TEXT) -> Any:
    """Returns plain data with lists and texts cut; NAME_left_out beside a cut list says how many items it lost."""
    if isinstance(value, str):
        shown = printable(value[:longest])
        return shown if len(value) <= longest else shown + "..."
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for name, member in value.items():
            key = printable(str(name))[:longest]
            result[key] = bounded(member, items, longest)
            if isinstance(member, (list, tuple)) and len(member) > items:
                result[f"{key}_left_out"] = len(member) - items
        return result
    if isinstance(value, (list, tuple)):
        return [bounded(item, items, longest) for item in value[:items]]
    return value


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """Returns a document as an answer that is not longer than `LONGEST_ANSWER`."""
    for items, longest in _TIGHTER:
        result: dict[str, Any] = bounded(document, items, longest)
        if _length(result) <= LONGEST_ANSWER:
            return result
    return {"schema": document.get("schema"), "error": "the answer is too long even when it is cut"}


def page(document: dict[str, Any], rows: Rows, total: int, shown: Window) -> dict[str, Any]:
    """Returns an answer with a page of rows.

    Args:
        document: what comes before the rows.
        rows: makes rows.
        total: how many rows there are.
        shown: which ones to show.
    """
    result = answer(document)
    room = LONGEST_ANSWER - _length(result)
    kept: list[dict[str, Any]] = []
    for row in rows(shown.start, min(shown.start + shown.limit, total)):
        whole = bounded(row)
        room -= _length(whole) + 2
        if kept and room < 0:
            break
        kept.append(whole)
    end = shown.start + len(kept)
    result["rows"] = kept
    result["page"] = {
        "first": shown.start,
        "count": len(kept),
        "total": total,
        "next_cursor": f"{end}-{shown.request}" if kept and end < total else None,
    }
    return result


def to_text(document: dict[str, Any]) -> str:
    """Returns an answer as JSON in one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _length(value: Any) -> int:
    return len(to_text(value))
