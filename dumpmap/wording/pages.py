"""The pages of the findings (Markdown): what `dumpmap explain` prints and docs/findings holds."""

from __future__ import annotations

import re

from dumpmap.analysis.rules import RULE, Rule
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


def page_text(rule: Rule | str) -> str:
    """Writes the page of one finding."""
    rule = RULE[rule] if isinstance(rule, str) else rule
    explanation = EXPLANATIONS[rule.id]
    parts = [
        f"# {explanation.title}",
        f"`{rule.id}` · {rule.severity} · about {ABOUT[rule.about]}",
        "## What it means",
        explanation.meaning,
        "## Why it matters",
        explanation.why,
        "## How to confirm it",
        explanation.confirm,
        "## What to do",
        explanation.advice,
        "## When it is reported",
        " ".join(_fill(text) for text in (explanation.when, explanation.lower) if text),
        *_threshold_parts(explanation),
        "## Where this comes from",
        sentence(explanation.source),
    ]
    return "\n\n".join(parts) + "\n"


def _threshold_parts(explanation: Explanation) -> list[str]:
    names = threshold_names(explanation)
    if not names:
        return []
    rows = [THRESHOLD_COLUMNS, ["---"] * len(THRESHOLD_COLUMNS), *map(threshold_row, names)]
    return [
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        "A rules file can change these numbers in its table `[thresholds]`.",
    ]


def threshold_names(explanation: Explanation) -> list[str]:
    """The thresholds that a finding compares with."""
    return list(dict.fromkeys(re.findall(r"\{(\w+)\}", explanation.when + explanation.lower)))


def _fill(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: default_text(match[1]), text)
