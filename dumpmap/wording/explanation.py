"""What is written about a finding: one `Explanation` each, for sentences, reports, and its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class Explanation:
    """The texts of one finding. In `when` and `lower`, `{name}` is the default value of a threshold.

    Attributes:
        title: a headline of a few words.
        meaning: what it means.
        why: why it matters.
        confirm: how to confirm it, with the commands to run; Markdown.
        advice: what to do.
        when: when it is reported.
        source: where the rule comes from.
        detail: makes the sentences about one hit: first the number that matters, then what it means.
        lower: when its severity is below the catalog's; empty if never.
        extra_values: makes the values of a hit that are texts; empty for most.
    """

    title: str
    meaning: str
    why: str
    confirm: str
    advice: str
    when: str
    source: str
    detail: Callable[[Hit, Diagnosis], str]
    lower: str = ""
    extra_values: Callable[[Hit], dict[str, Any]] = lambda hit: {}
