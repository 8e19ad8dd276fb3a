"""The gate for continuous integration: a map against the limits of a rules file, and the result for other tools.

Rules come from `dumpmap.analysis.rules` (tables `[limits]`, `[findings]`, `[verdict]`, `[deltas]`). Each rule gives one
result. A limit on a figure that the input cannot know is not kept, unless the file says `unknown = "skip"`: a gate that
could not look must not pass in silence. Of a map that is not whole, a sum is the least that it can be: it can break an
upper limit and keep a lower one, and proves nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from dumpmap.analysis.figures import Measured, figure_unit, measure
from dumpmap.analysis.rules import Limit, RuleSet
from dumpmap.model.region_map import RegionMap
from dumpmap.wording.findings import Finding, at_least, find
from dumpmap.wording.text import list_words, percent_words, size_words
from dumpmap.wording.verdicts import verdict

RESULT_COLUMNS = ("ok", "rule", "actual", "limit", "message")
"""Columns of the table of results, in order."""

CHECK_SCHEMA = "dumpmap.check/1"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one rule.

    Attributes:
        rule: its key in the rules file, as `limits."Heap.committed"`.
        ok: whether it is kept.
        actual: the figure (bytes, a count, a share), the worst severity, the verdict, or what was found; None where it
            is not known.
        limit: as the rules file has it.
        message: one sentence.
        skipped: whether it could not be checked and the rules file lets that pass.
    """

    rule: str
    ok: bool
    actual: float | str | None
    limit: str
    message: str
    skipped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rule": self.rule,
            "ok": self.ok,
            "skipped": self.skipped,
            "actual": self.actual,
            "limit": self.limit,
            "message": self.message,
        }


def check(
    region_map: RegionMap | str | PathLike[str],
    rules: RuleSet,
    baseline: RegionMap | str | PathLike[str] | None = None,
) -> list[RuleResult]:
    """Checks a map against the gates of a rules file.

    Args:
        region_map: the map, or the path of an input.
        rules: the rules.
        baseline: what `[deltas]` compare with; without one they fail.

    Returns:
        a result per rule, in the file's order of tables.

    Raises:
        DumpmapError: an input cannot be read.
    """
    current, before = _opened(region_map), None if baseline is None else _opened(baseline)
    results = [_limit(current, name, limit, rules.unknown) for name, limit in rules.limits.items()]
    if rules.forbidden_findings or rules.max_severity:
        results += _findings(find(current, rules), rules)
    if rules.forbidden_verdicts:
        results.append(_verdict(current, rules))
    results += [_delta(current, before, name, limit, rules.unknown) for name, limit in rules.deltas.items()]
    return results


def _opened(source: RegionMap | str | PathLike[str]) -> RegionMap:
    if isinstance(source, RegionMap):
        return source
    import dumpmap

    return dumpmap.open(source)


def passed(results: Iterable[RuleResult]) -> bool:
    """Whether every rule is kept."""
    return all(result.ok for result in results)


def check_document(name: str, results: Sequence[RuleResult]) -> dict[str, Any]:
    """The results of one input as plain data, schema `dumpmap.check/1`."""
    return {
        "schema": CHECK_SCHEMA,
        "input": name,
        "ok": passed(results),
        "failed": sum(not result.ok for result in results),
        "results": [result.to_dict() for result in results],
    }


# ---------------------------------------------------------------- rules


def _words(name: str, value: float) -> str:
    unit = figure_unit(name)
    if unit == "bytes":
        return f"{size_words(int(value))} ({int(value):,} bytes)" if abs(value) >= 1024 else size_words(int(value))
    return percent_words(value) if unit == "share" else f"{value:,.0f}"


def _unknown(rule: str, name: str, limit: Limit, mode: str, where: str) -> RuleResult:
    skipped = mode == "skip"
    return RuleResult(rule, skipped, None, limit.text, f"{name} is not known in {where}", skipped)


def _limit(region_map: RegionMap, name: str, limit: Limit, mode: str) -> RuleResult:
    rule = _rule_name("limits", name)
    measured = measure(region_map, name)
    actual = measured.value
    if actual is None:
        return _unknown(rule, name, limit, mode, "this input")
    scaled = actual * 100 if limit.percent else actual
    ok = limit.holds_from(scaled) if measured.least else limit.holds(scaled)
    words = _measured_words(name, measured)
    if ok is None:
        skipped = mode == "skip"
        message = f"{name} is {words}: whether it is {limit.text} cannot be known from this input"
        return RuleResult(rule, skipped, None, limit.text, message, skipped)
    return RuleResult(rule, ok, actual, limit.text, f"{name} is {words}{_against(ok, limit)}")


def _measured_words(name: str, measured: Measured) -> str:
    return f"{'at least ' if measured.least else ''}{_words(name, measured.value or 0)}"


def _against(ok: bool, limit: Limit) -> str:
    return f", within {limit.text}" if ok else f", but must be {limit.text}"


def _delta(region_map: RegionMap, before: RegionMap | None, name: str, limit: Limit, mode: str) -> RuleResult:
    rule = _rule_name("deltas", name)
    if before is None:
        return RuleResult(rule, False, None, limit.text, f"{name}: there is no baseline to compare with")
    # What is missing from a map can be there all the same, so a difference of two lower bounds is none.
    old, new = measure(before, name).exact, measure(region_map, name).exact
    if old is None or new is None:
        return _unknown(rule, name, limit, mode, "the baseline" if old is None else "this input")
    change = new - old
    amount: float = change
    if limit.percent:
        # From nothing to something is more than any percentage.
        amount = 100 * change / old if old else (0.0 if change == 0 else float("inf") if change > 0 else float("-inf"))
    ok = limit.holds(amount)
    sign = "+" if change >= 0 else "-"
    share = f" ({100 * change / old:+.1f} %)" if old else ""
    message = (
        f"{name} went from {_words(name, old)} to {_words(name, new)}: {sign}{_words(name, abs(change))}{share}"
        f"{_against(ok, limit)}"
    )
    return RuleResult(rule, ok, change, limit.text, message)


def _findings(findings: list[Finding], rules: RuleSet) -> Iterator[RuleResult]:
    by_id = {finding.id: finding for finding in findings}
    for name in rules.forbidden_findings:
        finding = by_id.get(name)
        message = f"{name} is not there" if finding is None else f"{finding.severity}: {finding.detail}"
        actual = "absent" if finding is None else finding.severity
        yield RuleResult(f"findings.forbid: {name}", finding is None, actual, "absent", message)
    if rules.max_severity is not None:
        limit = rules.max_severity
        # `max_severity = "warning"`: warnings may be, anything worse may not.
        worse = [one for one in findings if at_least(one.severity, limit) and one.severity != limit]
        first = findings[0].severity if findings else "none"
        message = (
            f"no finding is worse than {limit}"
            if not worse
            else f"worse than {limit}: {list_words([f'{one.id} ({one.severity})' for one in worse])}"
        )
        yield RuleResult("findings.max_severity", not worse, first, limit, message)


def _verdict(region_map: RegionMap, rules: RuleSet) -> RuleResult:
    judged = verdict(region_map, rules)
    ok = judged.verdict not in rules.forbidden_verdicts
    return RuleResult(
        "verdict.forbid",
        ok,
        judged.verdict,
        f"none of {', '.join(rules.forbidden_verdicts)}",
        f"verdict {judged.verdict}: {judged.sentence}",
    )


def _rule_name(table: str, name: str) -> str:
    return f'{table}."{name}"' if "." in name else f"{table}.{name}"


# ---------------------------------------------------------------- for other tools

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, however escaped."""


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
        suite: name of the whole.
        errors: why an input could not be read, by its name.
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
        for row in rows:
            head = f"    <testcase classname={quoteattr(_clean(name))} name={quoteattr(_clean(row.rule))}"
            message = quoteattr(_clean(row.message))
            if row.skipped:
                lines.append(f"{head}><skipped message={message}/></testcase>")
            elif row.ok:
                lines.append(f"{head}/>")
            else:
                actual = "not known" if row.actual is None else row.actual
                body = escape(_clean(f"actual: {actual}, limit: {row.limit}"))
                lines.append(f'{head}><failure type="limit" message={message}>{body}</failure></testcase>')
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


def github_annotations(results: Mapping[str, Sequence[RuleResult]], *, errors: Mapping[str, str] | None = None) -> str:
    """Writes what was not kept or could not be checked as GitHub workflow commands, one line each.

    Args:
        results: the results by the input's path.
        errors: why an input could not be read, by its path.
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
        lines.append(f"::error file={_property(name)},title={_property('dumpmap: not read')}::{_data(problem)}")
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
