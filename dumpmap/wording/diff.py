"""The difference of two maps with the findings and verdicts of both sides, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.analysis.changes import Changes
from dumpmap.analysis.diff import MapDiff, severity_changes
from dumpmap.analysis.rules import RuleSet
from dumpmap.wording.caveats import caveat_texts
from dumpmap.wording.findings import Finding, find
from dumpmap.wording.verdicts import verdict


@dataclass(frozen=True, eq=False, repr=False)
class DiagnosedDiff(MapDiff):
    """The difference of two maps and of their diagnoses.

    Attributes:
        gained: findings that only the second map has, or that became more severe.
        lost: findings that only the first map has, or that became less severe.
        verdicts: the verdicts on both sides.
    """

    gained: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    verdicts: tuple[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the comparison has to know, in sentences."""
        return caveat_texts(self.caveats)


@dataclass(frozen=True, slots=True)
class DiagnosisChange:
    """What changed between the diagnoses of two maps; see `DiagnosedDiff`."""

    gained: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    verdicts: tuple[str, str]


def compare_diagnoses(difference: MapDiff, rules: RuleSet | None = None) -> DiagnosisChange:
    """Diagnoses both sides of a difference and compares the results.

    Args:
        difference: the difference of two maps.
        rules: thresholds and severities for both sides; the defaults otherwise.
    """
    a, b = difference.a, difference.b
    before = {finding.id: finding for finding in find(a, rules)}
    after = {finding.id: finding for finding in find(b, rules)}
    gained, lost = severity_changes(
        {name: finding.severity for name, finding in before.items()},
        {name: finding.severity for name, finding in after.items()},
    )
    return DiagnosisChange(
        gained=tuple(after[name] for name in gained),
        lost=tuple(before[name] for name in lost),
        verdicts=(verdict(a, rules).verdict, verdict(b, rules).verdict),
    )


def change_counts_text(changes: Changes) -> str:
    """Writes how many changes of each status there are: `3 added, 1 grown, 120 same`."""
    counts = [f"{count:,} {status}" for status, count in changes.counts().items() if count]
    return ", ".join(counts) or "no allocations"
