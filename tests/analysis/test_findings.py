"""Every finding holds where it should, and not where it only just should not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cases import CASES, Case
from support.scenes import MB, Scene, commit_at, crash, recorded

from dumpmap.analysis.rules import SEVERITIES, THRESHOLDS, RuleSet
from dumpmap.wording.findings import (
    FINDING_COLUMNS,
    RULE,
    RULES,
    at_least,
    find,
    page_text,
    pages,
    thresholds_text,
    worst,
)
from dumpmap.wording.verdicts import VERDICTS

DOCS = Path(__file__).parents[2] / "docs" / "findings"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.finding}: {case.label}")
def test_a_finding_holds_exactly_where_it_should(case: Case) -> None:
    found = {finding.id: finding for finding in find(case.make())}
    finding = found.get(case.finding)
    assert (finding.severity if finding else None) == case.severity


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_finding_has_an_input_and_a_near_miss(rule: object) -> None:
    name = getattr(rule, "id", "")
    outcomes = {case.severity is not None for case in CASES if case.finding == name}
    assert outcomes == {True, False}
    # The severity of the table is the highest that it can have, and it has it somewhere.
    severities = [case.severity for case in CASES if case.finding == name and case.severity]
    assert min(severities, key=SEVERITIES.index) == RULE[name].severity


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.finding}: {case.label}")
def test_every_finding_carries_its_numbers_as_plain_data(case: Case) -> None:
    for finding in find(case.make()):
        assert json.loads(json.dumps(finding.to_dict())) == finding.to_dict()
        assert finding.detail.endswith(".")
        assert "None" not in finding.detail
        assert finding.title == RULE[finding.id].title


def test_the_most_severe_come_first() -> None:
    findings = find(recorded("exhaust-x86"))
    ranks = [SEVERITIES.index(finding.severity) for finding in findings]
    assert ranks == sorted(ranks)
    assert findings[0].id == "out-of-memory-exception"
    assert worst(findings) == "critical"
    assert worst([]) is None
    assert at_least("critical", "warning")
    assert not at_least("info", "warning")


def test_a_healthy_process_has_no_finding_above_info() -> None:
    region_map = Scene().leave(600 * MB, 200 * MB, commit=100 * MB).map(system=commit_at(0.4))
    assert worst(find(region_map)) in (None, "info")


def test_thresholds_severities_and_disabled_findings_can_be_changed() -> None:
    region_map = Scene().leave(*[40 * MB] * 10).map()
    before = {finding.id: finding.severity for finding in find(region_map)}
    assert before["largest-free-block-small"] == "warning"
    rules = RuleSet(
        thresholds={**RuleSet().thresholds, "largest_free_critical": 50 * MB},
        severity={"type-dominates": "warning"},
        disabled=frozenset({"address-space-fragmented"}),
    )
    after = {finding.id: finding.severity for finding in find(region_map, rules)}
    assert after["largest-free-block-small"] == "critical"
    assert after["type-dominates"] == "warning"
    assert "address-space-fragmented" in before
    assert "address-space-fragmented" not in after


def test_the_method_of_the_map_is_the_same() -> None:
    region_map = recorded("fragment-x86")
    assert region_map.findings() == find(region_map)


# ---------------------------------------------------------------- what the details say


def detail(finding: str, label: str = "holds") -> str:
    """The detail of a finding in one of the cases."""
    case = next(case for case in CASES if case.finding == finding and case.label == label)
    return next(found.detail for found in find(case.make()) if found.id == finding)


def test_a_recorded_failure_is_judged_by_what_was_asked_for() -> None:
    region_map = Scene().leave(*[18 * MB] * 20).map(exception=crash(0xE0000008, 64 * MB), system=commit_at(0.97))
    finding = find(region_map)[0]
    assert finding.id == "out-of-memory-exception"
    assert finding.values["axis"] == "address-space"
    assert finding.values["strength"] == "measured"
    assert "64 MB was asked for, and the largest block that could be had is 18 MB" in finding.detail


def test_details_name_the_numbers() -> None:
    assert "900 KB of 1 MB" in detail("stack-commit-failure")
    assert "15.8 MB" in detail("heap-segment-will-not-fit")
    assert "201 threads" in detail("many-threads")
    assert "1,100 allocations of 4 KB" in detail("unusable-space")
    assert "16 MB at a time" in detail("gc-segment-will-not-fit", "workstation collector")
    assert "no proof" in detail("commit-limit-reached", "no failure")
    assert "no proof" not in detail("commit-limit-reached", "with a failure")
    assert "C:\\data.bin in 2 views" in detail("file-mapped-repeatedly")


def test_a_finding_says_how_a_better_dump_is_taken() -> None:
    case = next(case for case in CASES if case.finding == "dump-too-small" and case.severity)
    finding = next(found for found in find(case.make()) if found.id == "dump-too-small")
    assert "MiniDumpWithFullMemoryInfo" in finding.detail
    assert finding.values["missing"]


# ---------------------------------------------------------------- the table and its pages


def test_the_table_is_sound() -> None:
    assert len(RULE) == len(RULES)
    names = {threshold.name for threshold in THRESHOLDS}
    used = set()
    for rule in RULES:
        assert re.fullmatch(r"[a-z][a-z-]+", rule.id)
        assert rule.title
        assert rule.meaning.endswith(".")
        assert rule.when.endswith(".")
        assert rule.advice.endswith(".")
        assert rule.source
        referred = set(re.findall(r"\{(\w+)\}", rule.when + rule.lower))
        assert referred <= names
        used |= referred
    # Every threshold is explained by a rule that uses it.
    assert names == used
    assert len({threshold.name for threshold in THRESHOLDS}) == len(THRESHOLDS)
    assert FINDING_COLUMNS == ("severity", "id", "title", "detail")


def test_the_pages_are_in_step_with_the_table() -> None:
    wanted = pages()
    have = {path.name: path.read_text("utf-8") for path in DOCS.glob("*.md")}
    assert have == wanted, "run: python -m dumpmap.wording.findings --docs docs/findings"


def test_a_page_says_all_that_the_table_does() -> None:
    text = page_text(RULE["largest-free-block-small"])
    assert "32 MB" in text
    assert "64 MB" in text
    assert "`largest_free_critical`" in text
    assert "{" not in text


def test_pages_are_written_and_stale_ones_removed(tmp_path: Path) -> None:
    from dumpmap.wording.findings import _main

    _main(["--docs", str(tmp_path)])
    stale = tmp_path / "gone.md"
    stale.write_text(page_text(RULES[0]), "utf-8")
    own = tmp_path / "notes.md"
    own.write_text("mine", "utf-8")
    _main(["--docs", str(tmp_path)])
    assert not stale.exists()
    assert own.exists()
    assert {path.name for path in tmp_path.iterdir()} == {*pages(), "notes.md"}


def test_the_description_of_the_diagnosis_is_in_step() -> None:
    text = (DOCS.parent / "diagnosis.md").read_text("utf-8")
    assert thresholds_text() in text
    for name, meaning in VERDICTS.items():
        assert f"| `{name}` | {meaning} |" in text
