"""Every finding is reported where it should be, and not where it barely should not."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from support.cases import CASES, Case
from support.scenes import FIXTURES, MB, Scene, commit_at, crash, map_of, recorded, with_errors
from typer.testing import CliRunner

from dumpmap.analysis.diagnosis import CONDITIONS, diagnose
from dumpmap.analysis.rules import RULE, RULES, SEVERITIES, THRESHOLDS, Rule, RuleSet
from dumpmap.cli.app import whole_app
from dumpmap.wording.findings import EXPLANATIONS, at_least, find, worst
from dumpmap.wording.pages import page_text, threshold_names
from dumpmap.wording.thresholds import THRESHOLD_TEXTS

RECORDED = str(FIXTURES / "fragment-x86.dmp.gz")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.finding}: {case.label}")
def test_a_finding_holds_exactly_where_it_should(case: Case) -> None:
    found = {finding.id: finding for finding in find(case.make())}
    finding = found.get(case.finding)
    assert (finding.severity if finding else None) == case.severity


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_finding_has_an_input_and_a_near_miss(rule: Rule) -> None:
    name = rule.id
    outcomes = {case.severity is not None for case in CASES if case.finding == name}
    assert outcomes == {True, False}
    # The severity of the catalog is the highest that a finding can have, and some input gives it.
    severities = [case.severity for case in CASES if case.finding == name and case.severity]
    assert min(severities, key=SEVERITIES.index) == RULE[name].severity


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.finding}: {case.label}")
def test_every_finding_carries_its_numbers_as_plain_data(case: Case) -> None:
    for finding in find(case.make()):
        assert json.loads(json.dumps(finding.to_dict())) == finding.to_dict()
        assert finding.detail.endswith(".")
        assert "None" not in finding.detail
        assert finding.title == EXPLANATIONS[finding.id].title


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


def test_a_map_is_diagnosed_once() -> None:
    region_map = recorded("fragment-x86")
    rules = RuleSet(disabled=frozenset({"type-dominates"}))
    diagnosis = diagnose(region_map)
    assert diagnose(region_map) is diagnosis
    # What the rules disable is not reported, but is evidence.
    other = diagnose(region_map, rules)
    assert diagnose(region_map, rules) is other
    assert other.evidence == diagnosis.evidence
    assert other.has("type-dominates")
    assert "type-dominates" not in [hit.id for hit in other.hits]
    assert diagnose(region_map).hits == diagnosis.hits


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
    assert "64 MB was requested, and the largest allocation that fits is 18 MB" in finding.detail


def test_details_name_the_numbers() -> None:
    assert "900 KB of 1 MB" in detail("stack-commit-failure")
    assert "15.8 MB" in detail("heap-segment-will-not-fit")
    assert "201 threads" in detail("many-threads")
    assert "1,100 allocations of 4 KB" in detail("unusable-space")
    assert "16 MB at a time" in detail("gc-segment-will-not-fit", "workstation collector")
    assert "does not prove a failure" in detail("commit-limit-reached", "no failure")
    assert "prove" not in detail("commit-limit-reached", "with a failure")
    assert "C:\\data.bin in 2 views" in detail("file-mapped-repeatedly")


def test_a_finding_says_how_to_capture_a_better_dump() -> None:
    case = next(case for case in CASES if case.finding == "dump-too-small" and case.severity)
    finding = next(found for found in find(case.make()) if found.id == "dump-too-small")
    assert "MiniDumpWithFullMemoryInfo" in finding.detail
    assert finding.values["missing"]


@pytest.mark.parametrize(
    ("others", "said"),
    [(0, ""), (1, ", as 1 other thread does"), (2, ", as 2 other threads do"), (5, ", as 5 other threads do")],
)
def test_the_threads_beside_the_one_that_crashed_are_counted(others: int, said: str) -> None:
    region_map = map_of(with_errors(*[(8, 0)] * (1 + others)))
    finding = next(found for found in find(region_map) if found.id == "last-error-out-of-memory")
    assert finding.values["count"] == 1 + others
    first, _, _ = finding.detail.partition(".")
    assert first.endswith(f"ERROR_NOT_ENOUGH_MEMORY{said}")


# ---------------------------------------------------------------- the catalog and its pages


def test_every_finding_has_a_condition_and_an_explanation() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert set(CONDITIONS) == set(EXPLANATIONS) == set(ids)
    for id in ids:
        assert re.fullmatch(r"[a-z][a-z-]+", id)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_explanation_is_whole(rule: Rule) -> None:
    explanation = EXPLANATIONS[rule.id]
    for text in (explanation.meaning, explanation.why, explanation.confirm, explanation.advice, explanation.when):
        assert text.endswith(".")
        assert text[0].isupper() or text[0] in "`1{" or text.startswith("dumpmap")
    assert not explanation.title.endswith(".")
    assert "`" in explanation.confirm  # something to run or to look up
    assert "{" not in page_text(rule)


def test_every_threshold_is_explained_by_a_finding_that_uses_it() -> None:
    names = [threshold.name for threshold in THRESHOLDS]
    assert len(set(names)) == len(names)
    assert {name for explanation in EXPLANATIONS.values() for name in threshold_names(explanation)} == set(names)
    assert set(THRESHOLD_TEXTS) == set(names)


def test_a_page_answers_every_question() -> None:
    text = page_text("largest-free-block-small")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "What it means",
        "Why it matters",
        "How to confirm it",
        "What to do",
        "When it is reported",
        "Where this comes from",
    ]
    assert "below 32 MB. From there up to 64 MB, the severity is warning." in text
    assert "| `largest_free_critical` | 32 MB |" in text


def quoted_commands() -> list[str]:
    """Every command of dumpmap that an explanation names, with files and values in place of its placeholders."""
    values = {"FILE": RECORDED, "FILE...": f"{RECORDED} {RECORDED}", "OLD": RECORDED, "NEW": RECORDED}
    values |= {"SIZE": "1MB", "TYPE": "heap"}
    texts = [text for one in EXPLANATIONS.values() for text in (one.confirm, one.advice)]
    found = {command for text in texts for command in re.findall(r"`dumpmap ([^`]+)`", text)}
    return sorted(" ".join(values.get(word, word) for word in command.split(" ")) for command in found)


@pytest.mark.parametrize("command", quoted_commands())
def test_the_commands_that_pages_name_can_be_run(command: str) -> None:
    result = CliRunner().invoke(whole_app(), shlex.split(command))
    assert result.exit_code in (0, 1), result.output  # 1: `free --fit` where nothing fits
