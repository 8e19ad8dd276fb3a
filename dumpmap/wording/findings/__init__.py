"""Findings in words: the hits of a diagnosis with their sentences, as JSON and the Python API show them.

One module per subject holds the explanations; `dumpmap.wording.pages` makes the page of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.diagnosis import Diagnosis, Hit, diagnose
from dumpmap.analysis.rules import SEVERITIES, RuleSet, Severity
from dumpmap.model.values import value_class
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.findings import address_space, commit, failure, heap_limit, heaps, input, process

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

EXPLANATIONS: Mapping[str, Explanation] = {
    **failure.EXPLANATIONS,
    **address_space.EXPLANATIONS,
    **commit.EXPLANATIONS,
    **heap_limit.EXPLANATIONS,
    **heaps.EXPLANATIONS,
    **process.EXPLANATIONS,
    **input.EXPLANATIONS,
}
"""The explanation of every finding."""

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


@value_class(frozen=True, slots=True)
class Finding:
    """A finding.

    Attributes:
        id: its id; its page is docs/findings/ID.md.
        severity: `critical`, `warning` or `info`.
        title: a headline of a few words.
        detail: what was found, in two or three sentences with their numbers.
        values: the numbers as plain data; sizes are bytes, addresses hex strings.
    """

    id: str
    severity: Severity
    title: str
    detail: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "detail": self.detail,
            "values": self.values,
        }


def find(region_map: RegionMap, rules: RuleSet | None = None) -> list[Finding]:
    """Lists what is wrong with a map: most severe first, findings of one severity in the catalog's order.

    Args:
        region_map: the map.
        rules: thresholds, severities, and disabled findings; the defaults otherwise.
    """
    diagnosis = diagnose(region_map, rules)
    return [finding_of(hit, diagnosis) for hit in diagnosis.hits]


def finding_of(hit: Hit, diagnosis: Diagnosis) -> Finding:
    """Puts a hit into words."""
    explanation = EXPLANATIONS[hit.id]
    return Finding(
        id=hit.id,
        severity=hit.severity,
        title=explanation.title,
        detail=explanation.detail(hit, diagnosis),
        values={**hit.values, **explanation.extra_values(hit)},
    )


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The highest severity among findings; None without findings."""
    return min((finding.severity for finding in findings), key=_RANK.__getitem__, default=None)


def at_least(severity: Severity, level: Severity) -> bool:
    """Whether a severity is as high as another or higher."""
    return _RANK[severity] <= _RANK[level]
