"""The results of `check` for other tools: JUnit XML and GitHub annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from dumpmap.wording.gate import RuleResult
from dumpmap.wording.text import printable

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def junit_xml(
    results: Mapping[str, Sequence[RuleResult]],
    *,
    suite: str = "dumpmap check",
    errors: Mapping[str, str] | None = None,
) -> str:
    """Writes results as JUnit XML: a test suite per input, a test case per rule.

    Args:
        results: the results by the input's name.
        suite: the name of the whole run.
        errors: why inputs could not be read, by name.
    """
    errors = errors or {}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    total = sum(len(rows) for rows in results.values()) + len(errors)
    failed = sum(not row.ok for rows in results.values() for row in rows)
    lines.append(
        f'<testsuites name={quoteattr(_clean(suite))} tests="{total}" failures="{failed}" errors="{len(errors)}">'
    )
    for name, rows in results.items():
        failures, skipped = sum(not row.ok for row in rows), sum(row.skipped for row in rows)
        lines.append(
            f'  <testsuite name={quoteattr(_clean(name))} tests="{len(rows)}" failures="{failures}" errors="0" '
            f'skipped="{skipped}">'
        )
        lines += [_test_case(name, row) for row in rows]
        lines.append("  </testsuite>")
    for name, problem in errors.items():
        classname, message = quoteattr(_clean(name)), quoteattr(_clean(problem))
        lines += [
            f'  <testsuite name={classname} tests="1" failures="0" errors="1" skipped="0">',
            f'    <testcase classname={classname} name="input"><error type="input" message={message}/></testcase>',
            "  </testsuite>",
        ]
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _test_case(name: str, row: RuleResult) -> str:
    head = f"    <testcase classname={quoteattr(_clean(name))} name={quoteattr(_clean(row.rule))}"
    message = quoteattr(_clean(row.message))
    if row.skipped:
        return f"{head}><skipped message={message}/></testcase>"
    if row.ok:
        return f"{head}/>"
    actual = "unknown" if row.actual is None else row.actual
    body = escape(_clean(f"actual: {actual}, limit: {row.limit}"))
    return f'{head}><failure type="limit" message={message}>{body}</failure></testcase>'


def github_annotations(results: Mapping[str, Sequence[RuleResult]], *, errors: Mapping[str, str] | None = None) -> str:
    """Writes broken and skipped rules as GitHub workflow commands, one line each.

    Args:
        results: the results by the input's path.
        errors: why inputs could not be read, by path.
    """
    lines = []
    for name, rows in results.items():
        for row in rows:
            if row.ok and not row.skipped:
                continue
            level = "notice" if row.ok else "error"
            lines.append(
                f"::{level} file={_property(name)},title={_property(f'dumpmap: {row.rule}')}::{_data(row.message)}"
            )
    for name, problem in (errors or {}).items():
        lines.append(
            f"::error file={_property(name)},title={_property('dumpmap: cannot read input')}::{_data(problem)}"
        )
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    lines = ("%0D".join(map(printable, line.split("\r"))) for line in text.replace("%", "%25").split("\n"))
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
