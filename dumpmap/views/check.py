"""What `dumpmap check` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dumpmap.views.blocks import Block, Paragraph
from dumpmap.views.table import Column, Table
from dumpmap.wording.gate import RuleResult, passed, tally_text

CHECK_SCHEMA = "dumpmap.check/1"

Results = Mapping[str, Sequence[RuleResult]]
"""The results by input."""

_COLUMNS = (
    Column("input", "text", "File"),
    Column("result"),
    Column("rule"),
    Column("limit"),
    Column("message"),
)


def check_document(results: Results, errors: Mapping[str, str]) -> dict[str, Any]:
    """Returns plain data, schema `dumpmap.check/1`.

    Args:
        results: the results of the inputs that could be read.
        errors: why the other inputs could not be read.
    """
    read = [
        {
            "schema": CHECK_SCHEMA,
            "input": name,
            "ok": passed(of_one),
            "error": None,
            "failed": sum(not result.ok for result in of_one),
            "results": [result.to_dict() for result in of_one],
        }
        for name, of_one in results.items()
    ]
    unread = [
        {"schema": CHECK_SCHEMA, "input": name, "ok": False, "error": problem, "failed": 0, "results": []}
        for name, problem in errors.items()
    ]
    return {"schema": CHECK_SCHEMA, "ok": all_passed(results, errors), "inputs": [*read, *unread]}


def all_passed(results: Results, errors: Mapping[str, str]) -> bool:
    """Whether every input could be read and keeps every rule."""
    return not errors and all(passed(of_one) for of_one in results.values())


def check_table(results: Results) -> Table:
    """Returns one row per input and rule."""
    rows = [
        [
            name,
            "skipped" if result.skipped else "ok" if result.ok else "FAILED",
            result.rule,
            result.limit,
            result.message,
        ]
        for name, of_one in results.items()
        for result in of_one
    ]
    return Table(_COLUMNS, rows)


def check_view(results: Results, *, verbose: bool) -> Iterator[Block]:
    """Yields a line per broken or skipped rule, with `verbose` per rule, and a line per input that keeps all."""
    for name, of_one in results.items():
        for result in of_one:
            if not result.ok:
                yield Paragraph(f"{name}: FAILED {result.rule}: {result.message}", "critical")
            elif result.skipped or verbose:
                yield Paragraph(f"{name}: {'skipped' if result.skipped else 'ok'} {result.rule}: {result.message}")
        if passed(of_one):
            yield Paragraph(f"{name}: {tally_text(of_one)}", "good")
