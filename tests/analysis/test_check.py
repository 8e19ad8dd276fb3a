"""The gate: every kind of rule kept and not kept, and the two formats for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.scenes import FIXTURES, MB, Scene, cut_list, recorded, v8_heap
from typer.testing import CliRunner

from dumpmap.analysis.rules_file import parse_rules
from dumpmap.api import RegionMap
from dumpmap.cli.app import whole_app
from dumpmap.model.snapshot import Counters, Module, System
from dumpmap.model.writer import WriterRecord
from dumpmap.views.blocks import Paragraph
from dumpmap.views.check import check_document, check_view
from dumpmap.wording.gate import RuleResult, check, passed
from dumpmap.writers.ci_reports import github_annotations, junit_xml


def process(private: int = 100 * MB, **facts: object) -> RegionMap:
    """A process with this much private memory, and a lot of room."""
    scene = Scene()
    scene.allocate(private, base=0x10000)
    return scene.map(**facts)


def results(text: str, region_map: RegionMap | None = None, baseline: RegionMap | None = None) -> list[RuleResult]:
    """The results of a rules file."""
    return check(region_map or process(), parse_rules(text), baseline)


@pytest.mark.parametrize(
    ("rule", "ok"),
    [
        ('"Private Data.committed" = "<= 100MB"', True),
        ('"Private Data.committed" = "< 100MB"', False),
        ('"Total.blocks" = "== 1"', True),
        ('largest_free_block = ">= 64MB"', True),
        ('largest_free_block = ">= 4GB"', False),
        ('fragmentation = "< 1%"', True),
        ('fragmentation = "<= 0.01"', True),
        ('threads = "<= 0"', True),
        ('"counters.private_usage" = "<= 1MB"', False),  # not known: a gate that could not look must not pass
    ],
)
def test_limits(rule: str, ok: bool) -> None:
    (result,) = results(f"[limits]\n{rule}")
    assert result.ok == ok
    assert result.rule.startswith("limits.")
    assert passed([result]) == ok


def test_a_value_that_is_not_known_can_be_let_pass() -> None:
    (result,) = results('unknown = "skip"\n[limits]\n"counters.private_usage" = "<= 1MB"')
    assert result.ok
    assert result.skipped
    assert result.actual is None
    assert "unknown in this input" in result.message


@pytest.mark.parametrize(
    ("limit", "ok"),
    [
        ("<= 99MB", False),
        ("< 100MB", False),
        ("== 99MB", False),
        (">= 100MB", True),
        ("> 99MB", True),
        ("!= 99MB", True),
        ("<= 100MB", None),
        ("< 200MB", None),
        (">= 101MB", None),
        ("> 100MB", None),
        ("== 100MB", None),
        ("!= 100MB", None),
    ],
)
def test_a_lower_bound_proves_what_it_can(limit: str, ok: bool | None) -> None:
    rules = parse_rules(f'[limits]\n"Total.size" = "{limit}"')
    assert rules.limits["Total.size"].holds_from(100 * MB) is ok


def partial_map(size: int = 4 * MB) -> RegionMap:
    """A dump without a list of regions that shows a module of this size."""
    return Scene().map(partial=True, modules=[Module(0x10000, size, "C:\\app\\app.exe")])


def test_a_map_without_a_list_of_regions_proves_no_upper_limit() -> None:
    for name, limit in (("Total.size", "<= 1TB"), ("Image.size", "<= 1TB"), ("Image.blocks", "<= 5")):
        for unknown, ok in (("fail", False), ("skip", True)):
            text = f'unknown = "{unknown}"\n[limits]\n"{name}" = "{limit}"'
            (result,) = results(text, partial_map())
            assert (result.ok, result.skipped, result.actual) == (ok, ok, None), name
            assert "does not show whether" in result.message or "unknown" in result.message
    (result,) = results('[limits]\n"Total.size" = "<= 1MB"', partial_map())
    assert (result.ok, result.message.split(" (")[0]) == (False, "Total.size is at least 4 MB")
    assert results('[limits]\n"Image.size" = ">= 4MB"', partial_map())[0].ok
    (result,) = results('[limits]\n"Unknown.size" = "<= 1MB"', partial_map())
    assert not result.ok


def test_deltas_with_a_side_that_is_not_whole_are_not_known() -> None:
    text = '[deltas]\n"Total.size" = "<= +1000%"'
    for now, before in ((partial_map(), process()), (process(), partial_map()), (partial_map(), partial_map())):
        (result,) = results(text, now, before)
        assert not result.ok
        assert "unknown in" in result.message


@pytest.mark.parametrize(
    ("rule", "ok", "known"),
    [
        ('largest_free_block = ">= 16MB"', True, True),
        ('largest_free_block = ">= 64MB"', False, False),
        ('largest_free_block = "<= 64MB"', False, False),
        ('largest_free_block = "<= 16MB"', False, True),
        ('free = ">= 100MB"', True, True),
        ('free = "<= 1GB"', False, False),
        ('fragmentation = "<= 99%"', False, False),
        ('tiny_block_size = ">= 0"', False, False),
        ('"Total.size" = "<= 4GB"', False, False),
        ('"Total.size" = ">= 1GB"', True, True),
        ('allocations = "<= 100000"', False, False),
        ('modules = "<= 100"', True, True),
    ],
)
def test_a_list_of_regions_that_is_cut_off_gives_lower_bounds(rule: str, ok: bool, known: bool) -> None:
    (result,) = results(f"[limits]\n{rule}", cut_list())
    assert (result.ok, result.actual is not None) == (ok, known), result.message


FAILED = WriterRecord("Unreal Engine 4.24", out_of_memory=True, requested=300 * MB)


@pytest.mark.parametrize(
    ("region_map", "rule", "actual", "ok"),
    [
        (process(writer=FAILED), 'oom_size = "<= 1GB"', 300 * MB, True),
        (process(writer=FAILED), 'oom_size = "<= 100MB"', 300 * MB, False),
        (process(), 'oom_size = "<= 1GB"', None, False),
        (process(counters=Counters(private_usage=107 * MB)), 'process_commit = "<= 108MB"', 107 * MB, True),
        (process(counters=Counters(private_usage=7 * MB)), 'process_commit = "<= 8MB"', 100 * MB, False),
        (process(), 'process_commit = "<= 8MB"', 100 * MB, False),
        (partial_map(), 'process_commit = "<= 1TB"', None, False),
        (process(writer=v8_heap(900 * MB, 1000 * MB, "Reached heap limit")), 'heap_limit_ratio = "< 80%"', 0.9, False),
        (
            process(writer=v8_heap(900 * MB, 1000 * MB, "Reached heap limit")),
            'heap_limit = "<= 1000MB"',
            1000 * MB,
            True,
        ),
        (
            process(writer=v8_heap(900 * MB, 1000 * MB, "Reached heap limit")),
            'heap_limit_used = "<= 1000MB"',
            900 * MB,
            True,
        ),
        (process(), 'heap_limit_ratio = "< 80%"', None, False),
        (process(), 'largest_free_block_at_most = ">= 64MB"', 0x7FFE0000 - 100 * MB, True),
        (cut_list(), 'largest_free_block_at_most = "<= 4GB"', None, False),
    ],
)
def test_figures_of_the_failure_and_its_limits(
    region_map: RegionMap, rule: str, actual: float | None, ok: bool
) -> None:
    (result,) = results(f"[limits]\n{rule}", region_map)
    assert (result.actual, result.ok) == (actual, ok), result.message


def test_the_upper_bound_of_a_partial_map_can_break_a_gate() -> None:
    known = [(start, 0x1000) for start in range(0x10000, 0x7FFF0000, 32 * MB)]
    narrow = Scene().map(partial=True, captured=known, wow64=False, system=System(max_address=0x7FFEFFFF))
    for limit, ok in (("<= 32MB", True), (">= 64MB", False)):
        (result,) = results(f'[limits]\nlargest_free_block_at_most = "{limit}"', narrow)
        assert result.ok is ok, result.message
        assert result.actual == 32 * MB - 0x10000
        (plain,) = results(f'[limits]\nlargest_free_block = "{limit}"', narrow)
        assert plain.actual is None


def test_messages_say_what_is_and_what_must_be() -> None:
    (result,) = results('[limits]\n"Private Data.committed" = "<= 90MB"')
    assert result.message == "Private Data.committed is 100 MB (104,857,600 bytes), but must be <= 90MB"
    assert result.actual == 100 * MB
    assert result.limit == "<= 90MB"


def test_forbidden_findings() -> None:
    text = '[findings]\nforbid = ["largest-free-block-small", "page-heap-on"]'
    fragmented = Scene().leave(*[18 * MB] * 20).map()
    small, page_heap = results(text, fragmented)
    assert (small.ok, small.actual, small.limit) == (False, "critical", "absent")
    assert "18 MB" in small.message
    assert (page_heap.ok, page_heap.actual) == (True, "absent")
    assert passed(results(text))


@pytest.mark.parametrize(("level", "ok"), [("critical", True), ("warning", False), ("info", False)])
def test_the_worst_severity(level: str, ok: bool) -> None:
    fragmented = Scene().leave(*[18 * MB] * 20).map()
    (result,) = results(f'[findings]\nmax_severity = "{level}"', fragmented)
    assert result.ok == ok
    assert result.actual == "critical"
    (result,) = results(f'[findings]\nmax_severity = "{level}"')
    assert result.ok


def test_the_verdict() -> None:
    text = '[verdict]\nforbid = ["out-of-address-space", "cannot-tell"]'
    (result,) = results(text, Scene().leave(MB).map())
    assert (result.ok, result.actual) == (False, "out-of-address-space")
    (result,) = results(text)
    assert (result.ok, result.actual) == (True, "no-memory-problem-seen")


@pytest.mark.parametrize(
    ("limit", "now", "ok"),
    [
        ("<= +10%", 110 * MB, True),
        ("<= +10%", 111 * MB, False),
        ("<= +10%", 50 * MB, True),
        ("<= 0", 100 * MB, True),
        ("<= 0", 101 * MB, False),
        ("<= +5MB", 105 * MB, True),
        ("<= +5MB", 106 * MB, False),
        (">= -10%", 90 * MB, True),
        (">= -10%", 89 * MB, False),
        ("== 0%", 100 * MB, True),
        ("<= +10%", 110 * MB + 4096, False),
        (">= -10%", 90 * MB - 4096, False),
        ("== 0%", 100 * MB + 4096, False),
        ("== 0%", 100 * MB - 4096, False),
    ],
)
def test_deltas(limit: str, now: int, ok: bool) -> None:
    (result,) = results(f'[deltas]\n"Private Data.committed" = "{limit}"', process(now), process())
    assert result.ok == ok
    assert result.actual == now - 100 * MB


def test_growth_from_nothing_is_more_than_any_percentage() -> None:
    text = '[deltas]\n"counters.private_usage" = "<= +1000%"'
    nothing = process(counters=Counters(private_usage=0))
    (result,) = results(text, process(counters=Counters(private_usage=1)), nothing)
    assert not result.ok
    (result,) = results(text, nothing, nothing)
    assert result.ok


def test_deltas_without_a_baseline_fail() -> None:
    (result,) = results('[deltas]\n"Private Data.committed" = "<= +10%"')
    assert not result.ok
    assert "no baseline" in result.message
    (result,) = results('[deltas]\n"counters.private_usage" = "<= +10%"', process(), process())
    assert not result.ok
    assert "unknown in the baseline" in result.message


def test_what_one_delta_lacks_does_not_end_the_others() -> None:
    text = '[deltas]\n"counters.private_usage" = "<= +10%"\n"Private Data.committed" = "<= +10%"'
    assert [result.ok for result in results(text)] == [False, False]  # no baseline
    assert [result.ok for result in results(text, process(), process())] == [False, True]


def test_recorded_leak_against_its_baseline() -> None:
    before, after = recorded("leak-x64-before"), recorded("leak-x64-after")
    text = '[deltas]\n"Private Data.committed" = "<= +10%"\n"Image.size" = "<= 0"'
    private, image = check(after, parse_rules(text), before)
    assert (private.ok, image.ok) == (False, True)
    assert "went from" in private.message


def test_document() -> None:
    rows = results('[limits]\nthreads = "<= 0"\nmodules = ">= 1"')
    document = check_document({"a.dmp": rows}, {})
    assert (document["schema"], document["ok"]) == ("dumpmap.check/1", False)
    (read,) = document["inputs"]
    assert (read["schema"], read["input"], read["ok"], read["failed"]) == ("dumpmap.check/1", "a.dmp", False, 1)
    assert json.loads(json.dumps(document)) == document


# ---------------------------------------------------------------- formats

NASTY = 'a"<&>\x00\x1b\ud800 :: 100%,\r\nsecond'


def outcome(name: str = "dump.dmp") -> dict[str, list[RuleResult]]:
    """Results of each kind, with a message full of what needs care."""
    return {
        name: [
            RuleResult("limits.threads", True, 1, "<= 5", "fine"),
            RuleResult("limits.modules", False, 9, "<= 5", NASTY),
            RuleResult("limits.handles", True, None, "<= 5", "unknown", skipped=True),
        ]
    }


def test_junit_is_well_formed_xml() -> None:
    text = junit_xml(outcome('C:\\a<b>"&.dmp'), suite='my "suite" \x01')
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "1")
    (suite,) = root
    assert suite.get("name") == 'C:\\a<b>"&.dmp'
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    good, bad, skipped = suite
    assert list(good) == []
    failure = bad.find("failure")
    assert failure is not None
    assert "100%" in (failure.get("message") or "")
    assert failure.text == "actual: 9, limit: <= 5"
    assert skipped.find("skipped") is not None


def test_junit_of_nothing() -> None:
    assert ElementTree.fromstring(junit_xml({})).get("tests") == "0"


def test_an_unknown_figure_is_not_none() -> None:
    text = junit_xml({"a": [RuleResult("limits.handles", False, None, "<= 5", "unknown")]})
    failure = ElementTree.fromstring(text).find(".//failure")
    assert failure is not None
    assert failure.text == "actual: unknown, limit: <= 5"


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([(True, False)], "a: the rule is met"),
        ([(True, False)] * 2, "a: all 2 rules are met"),
        ([(True, False), (True, True)], "a: 1 rule is met, 1 could not be checked"),
        ([(True, True)], "a: no rule was checked: 1 could not be checked"),
    ],
)
def test_the_last_line_counts_well(rows: list[tuple[bool, bool]], line: str) -> None:
    results = {"a": [RuleResult("r", ok, 1, "l", "m", skipped) for ok, skipped in rows]}
    assert list(check_view(results, verbose=False))[-1] == Paragraph(line, "good")


def test_an_input_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    rules, bad, junit = tmp_path / "rules.toml", tmp_path / "bad.dmp", tmp_path / "out.xml"
    rules.write_text('[limits]\nmodules = ">= 1"\n', "utf-8")
    bad.write_bytes(b"no dump at all")
    good = str(FIXTURES / "layout-x86.dmp.gz")
    arguments = ["check", str(bad), good, "--rules", str(rules)]
    result = CliRunner().invoke(whole_app(), [*arguments, "--junit", str(junit), "--github"])
    assert result.exit_code == 3
    assert f"{good}: the rule is met" in result.stdout.replace("\n", "")
    assert result.stderr.count(str(bad)) == 1
    assert result.stdout.count("::error ") == 1
    root = ElementTree.fromstring(junit.read_text("utf-8"))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "1")
    (error,) = root.iter("error")
    assert "bad.dmp" in (error.get("message") or "")
    document = json.loads(CliRunner().invoke(whole_app(), [*arguments, "--format", "json"]).stdout)
    assert document["ok"] is False
    by_input = {one["input"]: one for one in document["inputs"]}
    assert by_input[good]["ok"] is True
    assert by_input[str(bad)]["ok"] is False
    assert by_input[str(bad)]["error"]
    rules.write_text('[limits]\nmodules = "<= 1"\n', "utf-8")
    assert CliRunner().invoke(whole_app(), arguments).exit_code == 3
    assert CliRunner().invoke(whole_app(), ["check", good, "--rules", str(rules)]).exit_code == 1


def test_github_annotations_stay_on_their_line() -> None:
    lines = github_annotations(outcome("a,b:c.dmp")).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("::error file=a%2Cb%3Ac.dmp,title=dumpmap%3A limits.modules::")
    assert lines[0].endswith("100%25,%0D%0Asecond")
    assert lines[1].startswith("::notice ")
    assert github_annotations({"a": [RuleResult("r", True, 1, "l", "m")]}) == ""
