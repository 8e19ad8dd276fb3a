"""What triage takes from the analysis of a map: the one place that knows both."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.analysis.facts import facts_of
from dumpmap.analysis.findings import find
from dumpmap.analysis.verdict import verdict
from dumpmap.ntstatus import exception_code
from dumpmap.regionmap import RegionMap

TOP_FINDINGS = 5
"""Findings that a row names."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of one map, as far as a table needs it."""

    verdict: str
    severity: str | None
    critical: int
    findings: tuple[str, ...]
    headline: str | None
    fragmentation: float | None


def diagnose(region_map: RegionMap) -> Diagnosis:
    """Finds what is wrong with a process's memory."""
    findings = find(region_map)
    free = facts_of(region_map).free
    return Diagnosis(
        verdict=verdict(region_map, findings=findings).verdict,
        severity=findings[0].severity if findings else None,
        critical=sum(finding.severity == "critical" for finding in findings),
        findings=tuple(finding.id for finding in findings[:TOP_FINDINGS]),
        headline=findings[0].title if findings else None,
        fragmentation=None if free is None else free.fragmentation,
    )


def exception_name(value: int, family: str) -> str:
    """Names an exception code or a signal; the number itself where it has no name."""
    code = exception_code(value, family)
    if code is not None:
        return code.name
    return f"0x{value & 0xFFFFFFFF:08x}" if family == "windows" else str(value)
