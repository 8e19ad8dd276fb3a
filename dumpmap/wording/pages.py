"""The pages of the findings: what `dumpmap explain` shows and, as Markdown, what docs/findings holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dumpmap.analysis.rules import RULE, Rule
from dumpmap.model.values import value_class
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.findings import EXPLANATIONS
from dumpmap.wording.text import sentence
from dumpmap.wording.thresholds import THRESHOLD_COLUMNS, default_text, threshold_row

ABOUT = {
    "address-space": "the address space",
    "commit": "the commit",
    "heap-limit": "the limit of a runtime's own heap",
    "process": "the process",
    "input": "the input",
}


@value_class(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        heading: its heading.
        text: Markdown.
        columns: headings of a table below the text; empty for none.
        rows: the rows of that table.
    """

    heading: str
    text: str
    columns: tuple[str, ...] = ()
    rows: Sequence[Sequence[str]] = ()


def finding_line(rule: Rule) -> str:
    """Identifier, severity, and subject of a finding, as Markdown."""
    return f"`{rule.id}` · {rule.severity} · about {ABOUT[rule.about]}"


def finding_sections(rule: Rule) -> Iterator[Section]:
    """The parts of a finding's page below its title."""
    explanation = EXPLANATIONS[rule.id]
    yield Section("What it means", explanation.meaning)
    yield Section("Why it matters", explanation.why)
    yield Section("How to confirm it", explanation.confirm)
    yield Section("What to do", explanation.advice)
    when = " ".join(_fill(text) for text in (explanation.when, explanation.lower) if text)
    names = threshold_names(explanation)
    if names:
        rows = [threshold_row(name) for name in names]
        yield Section("When it is reported", when, tuple(THRESHOLD_COLUMNS), rows)
    else:
        yield Section("When it is reported", when)
    yield Section("Where this comes from", sentence(explanation.source))


def page_text(rule: Rule | str) -> str:
    """Writes the page of one finding as Markdown."""
    rule = RULE[rule] if isinstance(rule, str) else rule
    parts = [f"# {EXPLANATIONS[rule.id].title}", finding_line(rule)]
    for section in finding_sections(rule):
        parts += [f"## {section.heading}", section.text]
        if section.columns:
            rows = [section.columns, ["---"] * len(section.columns), *section.rows]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
            parts.append("A rules file can change these numbers in its table `[thresholds]`.")
    return "\n\n".join(parts) + "\n"


def threshold_names(explanation: Explanation) -> list[str]:
    """The thresholds that a finding compares with."""
    return list(dict.fromkeys(re.findall(r"\{(\w+)\}", explanation.when + explanation.lower)))


def _fill(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: default_text(match[1]), text)
