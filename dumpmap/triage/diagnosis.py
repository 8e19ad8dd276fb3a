"""What triage takes from the analysis of a map: the one place that knows both."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.ntstatus import EXC_CRASH, exception_code
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of one map, as far as a table needs it."""

    verdict: str
    severity: str | None
    critical: int
    findings: tuple[str, ...]
    headline: str | None
    sentence: str
    largest_free: int | None
    fragmentation: float | None


def diagnose(region_map: RegionMap) -> Diagnosis:
    """Finds what is wrong with a process's memory."""
    findings = find(region_map)
    judged = verdict(region_map, findings=findings)
    free = measurements_of(region_map).free
    return Diagnosis(
        verdict=judged.verdict,
        severity=findings[0].severity if findings else None,
        critical=sum(finding.severity == "critical" for finding in findings),
        findings=tuple(finding.id for finding in findings),
        headline=findings[0].title if findings else None,
        sentence=judged.sentence,
        largest_free=None if free is None else free.largest.size if free.largest is not None else 0,
        fragmentation=None if free is None else free.fragmentation,
    )


def exception_name(exception: ExceptionRecord, family: str) -> str:
    """Names an exception, a signal or a Mach exception; the number in hex where it has no name."""
    value = exception.code & 0xFFFFFFFF
    if family == "macos" and value == 0 and exception.parameters[:1] == (EXC_CRASH,):
        # Crashpad records the exception that led to EXC_CRASH. An abort() has none: what is left is EXC_CRASH itself,
        # in the first parameter.
        value = EXC_CRASH
    code = exception_code(value, family)
    return f"0x{value:08x}" if code is None else code.name
