"""Dumps that others recorded: no false alarm, and every verdict and finding looked at once."""

from __future__ import annotations

from pathlib import Path

import pytest

import dumpmap
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict

pytestmark = pytest.mark.corpus

CRITICAL = {
    # Really ran to the end of its stack.
    "google_breakpad__stack_exhaustion.dmp": {"stack-overflow"},
}

HEALTHY_BY_COUNTERS = {
    "electron_node-minidump__windows.dmp",
    "getsentry_sentry-native__minidump.dmp",
    "google_breakpad__thread_name_list.dmp",
    "google_breakpad__tiny-exe-fastfail.dmp",
    "google_breakpad__tiny-exe-with-cet-xsave-x86.dmp",
    "google_breakpad__tiny-exe-with-cet-xsave.dmp",
    "google_breakpad__write_av_non_canonical.dmp",
    "rust-minidump_rust-minidump__invalid-parameter.dmp",
}
"""Windows dumps with a list of regions, or whose counters show commit and virtual size far from their limits."""


def test_no_false_alarm(corpus: Path) -> None:
    seen = 0
    for path in sorted(corpus.glob("*.dmp")):
        try:
            region_map = dumpmap.open(path)
        except dumpmap.DumpmapError:
            continue
        seen += 1
        findings = find(region_map)
        critical = {finding.id for finding in findings if finding.severity == "critical"}
        assert critical == CRITICAL.get(path.name, set()), path.name
        warnings = {finding.id for finding in findings if finding.severity == "warning"}
        assert warnings <= {"input-damaged"}, path.name
        judged = verdict(region_map, findings=findings)
        if region_map.process.os.family == "windows":
            wanted = "no-memory-problem-seen" if path.name in HEALTHY_BY_COUNTERS else "cannot-tell"
            assert judged.verdict == wanted, path.name
        else:
            wanted = "cannot-tell" if region_map.partial else "no-memory-problem-seen"
            assert judged.verdict == wanted, path.name
    assert seen > 50
