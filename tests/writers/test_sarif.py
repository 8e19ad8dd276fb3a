"""SARIF and the step summary of `check`."""

from __future__ import annotations

import json
from pathlib import Path

from support.cli import run
from support.cli_inputs import FIXTURES

from dumpmap.wording.gate import RuleResult
from dumpmap.writers.sarif import sarif_json

DUMP = str(FIXTURES / "leak-x64-after.dmp.gz")


def test_broken_and_skipped_rules_and_unreadable_inputs_are_results() -> None:
    rows = [
        RuleResult("limits.a", True, 1, "<= 2", "kept"),
        RuleResult("limits.b", False, 3, "<= 2", "broken \x1b[31m"),
        RuleResult("deltas.c", True, None, "<= 2", "unknown", skipped=True),
    ]
    document = json.loads(sarif_json({"a b/x.dmp": rows}, errors={"y.dmp": "no minidump"}))
    assert document["version"] == "2.1.0"
    (ran,) = document["runs"]
    assert [(one["ruleId"], one["level"]) for one in ran["results"]] == [
        ("limits.b", "error"),
        ("deltas.c", "note"),
        ("input", "error"),
    ]
    assert [rule["id"] for rule in ran["tool"]["driver"]["rules"]] == ["limits.b", "deltas.c", "input"]
    where = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in ran["results"]]
    assert where == ["a%20b/x.dmp", "a%20b/x.dmp", "y.dmp"]
    assert "\x1b" not in ran["results"][0]["message"]["text"]


def test_the_command_writes_both(tmp_path: Path) -> None:
    rules, sarif, summary = tmp_path / "rules.toml", tmp_path / "x.sarif", tmp_path / "summary.md"
    rules.write_text('[limits]\n"Heap.committed" = "<= 1KB"\n')
    summary.write_text("before\n")
    options = ("--rules", str(rules), "--sarif", str(sarif), "--github")
    ran = run("check", DUMP, *options, GITHUB_STEP_SUMMARY=str(summary))
    assert ran.code == 1
    assert json.loads(sarif.read_text())["runs"][0]["results"][0]["ruleId"] == 'limits."Heap.committed"'
    assert summary.read_text().startswith("before\n### dumpmap check\n\n| File |")
    assert "FAILED" in summary.read_text()


def test_two_reports_do_not_mix_on_standard_output(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[limits]\nthreads = '<= 5'\n")
    out = str(tmp_path / "out.txt")
    ran = run("check", DUMP, "--rules", str(rules), "-o", out, "--sarif", "-", "--junit", "-")
    assert ran.code == 2
    assert "both write to standard output" in ran.err
