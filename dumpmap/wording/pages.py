"""The pages of the findings (Markdown): what `dumpmap explain` prints and docs/findings holds."""

from __future__ import annotations

import re

from dumpmap.analysis.rules import RULE, RULES, THRESHOLDS, Rule
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.findings import EXPLANATIONS
from dumpmap.wording.text import sentence
from dumpmap.wording.thresholds import THRESHOLD_TEXTS, default_text

_ABOUT = {
    "address-space": "the address space",
    "commit": "the commit",
    "process": "the process",
    "input": "the input",
}


def page_text(rule: Rule | str) -> str:
    """Writes the page of one finding."""
    rule = RULE[rule] if isinstance(rule, str) else rule
    explanation = EXPLANATIONS[rule.id]
    parts = [
        f"# {explanation.title}",
        f"`{rule.id}` · {rule.severity} · about {_ABOUT[rule.about]}",
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
    rows = "\n".join(_threshold_row(name) for name in names)
    return [
        f"| threshold | default | what it decides | where the number comes from |\n|---|---|---|---|\n{rows}",
        "A rules file can change them in its table `[thresholds]`.",
    ]


def threshold_names(explanation: Explanation) -> list[str]:
    """The thresholds that a finding compares with."""
    return list(dict.fromkeys(re.findall(r"\{(\w+)\}", explanation.when + explanation.lower)))


def _fill(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: default_text(match[1]), text)


def _threshold_row(name: str) -> str:
    text = THRESHOLD_TEXTS[name]
    return f"| `{name}` | {default_text(name)} | {text.meaning} | {text.source} |"


def index_text() -> str:
    """Writes the list of all findings."""
    rows = [
        f"| [`{rule.id}`]({rule.id}.md) | {rule.severity} | {_ABOUT[rule.about]} | {EXPLANATIONS[rule.id].title} |"
        for rule in RULES
    ]
    return "\n".join(["# Findings", "", "| finding | severity | about | headline |", "|---|---|---|---|", *rows]) + "\n"


def threshold_table() -> str:
    """Writes the table of all thresholds."""
    lines = ["| threshold | default | what it decides | where the number comes from |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_threshold_row(threshold.name) for threshold in THRESHOLDS)]) + "\n"
