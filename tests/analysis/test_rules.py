"""Rules files: what they may hold, and errors that name the key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import KB, MB, Scene, crash, v8_heap

from dumpmap.analysis.gate_figures import FIGURES, Measured, all_figures, find_figure, measure
from dumpmap.analysis.rules import DEFAULT_RULES, THRESHOLDS, RulesError, RuleSet
from dumpmap.analysis.rules_file import parse_amount, parse_limit, parse_rules
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.cli.common import load_rules
from dumpmap.errors import DumpmapError
from dumpmap.model.snapshot import Counters, Module, RecordedHeap, RecordedRange, System, Thread

WHOLE = """
disable = ["many-heaps"]
unknown = "skip"

[thresholds]
largest_free_critical = "16MB"
commit_warning = "80%"
commit_reached = 0.9
many_threads = 500

[severity]
executable-writable-memory = "warning"

[limits]
"Heap.committed" = "<= 200MB"
largest_free_block = ">= 64 MB"
fragmentation = "< 80%"
threads = "<= 100"

[findings]
forbid = ["largest-free-block-small"]
max_severity = "warning"

[verdict]
forbid = ["out-of-address-space", "out-of-commit"]

[deltas]
"Heap.committed" = "<= +10%"
"Private Data.size" = "<= +1.5MB"
"""


def test_a_whole_file() -> None:
    rules = parse_rules(WHOLE, name="rules.toml")
    assert rules.disabled == {"many-heaps"}
    assert rules.unknown == "skip"
    assert rules.thresholds["largest_free_critical"] == 16 << 20
    assert rules.thresholds["commit_warning"] == pytest.approx(0.8)
    assert rules.thresholds["commit_reached"] == pytest.approx(0.9)
    assert rules.thresholds["many_threads"] == 500
    assert rules.thresholds["largest_free_warning"] == 64 << 20
    assert rules.severity == {"executable-writable-memory": "warning"}
    assert rules.limits["Heap.committed"].value == 200 << 20
    assert rules.limits["fragmentation"].percent
    assert rules.forbidden_findings == ("largest-free-block-small",)
    assert rules.max_severity == "warning"
    assert rules.forbidden_verdicts == ("out-of-address-space", "out-of-commit")
    assert (rules.deltas["Heap.committed"].value, rules.deltas["Heap.committed"].percent) == (10, True)
    assert rules.deltas["Private Data.size"].value == 3 << 19
    assert rules.name == "rules.toml"
    assert rules.has_gates


def test_an_empty_file_is_the_defaults() -> None:
    rules = parse_rules("")
    assert rules == RuleSet()
    assert rules == DEFAULT_RULES
    assert not rules.has_gates
    assert set(rules.thresholds) == {threshold.name for threshold in THRESHOLDS}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tresholds = {}", "tresholds"),
        ("[thresholds]\nlargest_free = 1", "thresholds.largest_free"),
        ('[thresholds]\nlargest_free_critical = "many"', "thresholds.largest_free_critical"),
        ('[thresholds]\nlargest_free_critical = "10%"', "thresholds.largest_free_critical"),
        ("[thresholds]\nlargest_free_critical = -1", "thresholds.largest_free_critical"),
        ("[thresholds]\ncommit_warning = 90", "thresholds.commit_warning"),
        ('[thresholds]\ncommit_warning = "150%"', "thresholds.commit_warning"),
        ("[thresholds]\ncommit_warning = true", "thresholds.commit_warning"),
        ("thresholds = 5", "thresholds"),
        ('[severity]\nno-such-finding = "info"', "severity.no-such-finding"),
        ('[severity]\npage-heap-on = "fatal"', "severity.page-heap-on"),
        ('disable = ["no-such-finding"]', "disable"),
        ('disable = "page-heap-on"', "disable"),
        ("disable = [1]", "disable"),
        ('unknown = "ignore"', "unknown"),
        ('[limits]\n"Heap.commited" = "<= 1"', 'limits."Heap.commited"'),
        ('[limits]\n"Heep.committed" = "<= 1"', 'limits."Heep.committed"'),
        ('[limits]\nlargest = "<= 1"', "limits.largest"),
        ('[limits]\n"counters.memory" = "<= 1"', 'limits."counters.memory"'),
        ('[limits]\n"system.memory" = "<= 1"', 'limits."system.memory"'),
        ('[limits]\nthreads = "100"', "limits.threads"),
        ("[limits]\nthreads = 100", "limits.threads"),
        ('[limits]\nthreads = "<= lots"', "limits.threads"),
        ('[limits]\nthreads = "<= 10%"', "limits.threads"),
        ('[limits]\nthreads = "<= 1MB"', "limits.threads"),
        ('[limits]\n"Heap.blocks" = "<= 64 KiB"', 'limits."Heap.blocks"'),
        ('[limits]\nfragmentation = "<= 200MB"', "limits.fragmentation"),
        ('[limits]\nfragmentation = "<= 75"', "limits.fragmentation"),
        ('[limits]\ncommit_ratio = "<= 1 b"', "limits.commit_ratio"),
        ('[deltas]\nhandles = "<= +1KB"', "deltas.handles"),
        ('[deltas]\nfragmentation = "<= +5"', "deltas.fragmentation"),
        ('[thresholds]\nmany_threads = "64KB"', "thresholds.many_threads"),
        ('[thresholds]\ncommit_warning = "1 bytes"', "thresholds.commit_warning"),
        ('[thresholds]\nlargest_free_critical = "65MB"', "thresholds.largest_free_critical"),
        ('[thresholds]\nlargest_free_warning = "16MB"', "thresholds.largest_free_warning"),
        ('[thresholds]\nfree_total_warning = "1MB"', "thresholds.free_total_warning"),
        ('[thresholds]\ncommit_warning = "96%"', "thresholds.commit_warning"),
        ("[thresholds]\ncommit_reached = 0.5", "thresholds.commit_reached"),
        ('[findings]\nforbidden = ["page-heap-on"]', "findings.forbidden"),
        ('[findings]\nforbid = ["page-heap"]', "findings.forbid"),
        ('[findings]\nmax_severity = "bad"', "findings.max_severity"),
        ('[verdict]\nforbid = ["out-of-luck"]', "verdict.forbid"),
        ('[verdict]\nonly = ["cannot-tell"]', "verdict.only"),
        ('[deltas]\n"Heap.size" = "10%"', 'deltas."Heap.size"'),
    ],
)
def test_errors_name_the_key(text: str, place: str) -> None:
    with pytest.raises(RulesError) as raised:
        parse_rules(text, name="rules.toml")
    assert raised.value.place == place
    assert raised.value.source == "rules.toml"
    assert str(raised.value).startswith("rules.toml: ")
    assert place in str(raised.value)
    assert raised.value.exit_code == 2
    assert isinstance(raised.value, DumpmapError)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [("threads = '<= 5MB'", "a count: write a number without a unit"), ("commit_ratio = '<= 5MB'", "a share: write")],
)
def test_a_size_where_a_number_belongs(limit: str, wanted: str) -> None:
    with pytest.raises(RulesError, match=wanted):
        parse_rules(f"[limits]\n{limit}")


def test_what_makes_sense_is_taken() -> None:
    rules = parse_rules(
        "[thresholds]\nlargest_free_warning = 1048576\nlargest_free_critical = '1MB'\ncommit_reached = '90%'\n"
        "[limits]\nfragmentation = '<= 75%'\ncommit_ratio = '<= 120%'\n'Heap.committed' = '<= 1000000'\n"
        "[deltas]\nthreads = '<= +200%'\nfragmentation = '<= 0.1'"
    )
    assert rules.thresholds["largest_free_warning"] == rules.thresholds["largest_free_critical"]
    assert rules.limits["commit_ratio"].value == 120
    with pytest.raises(RulesError, match="largest_free_critical must not exceed largest_free_warning, which is 64 MB"):
        parse_rules("[thresholds]\nlargest_free_critical = '65MB'")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"missing\.toml"):
        load_rules(tmp_path / "missing.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(RulesError, match="not UTF-8"):
        load_rules(bad)
    bad.write_text("a = [", "utf-8")
    with pytest.raises(RulesError, match="not valid TOML"):
        load_rules(bad)
    good = tmp_path / "good.toml"
    good.write_text(WHOLE, "utf-8")
    assert load_rules(good).limits["threads"].value == 100


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("65536", (65536, False)),
        ("64KB", (65536, False)),
        ("64 kib", (65536, False)),
        ("1.5 GB", (3 << 29, False)),
        ("+10%", (10, True)),
        ("-5%", (-5, True)),
        ("-1MB", (-(1 << 20), False)),
        ("1,024", (1024, False)),
        ("10_000", (10000, False)),
        ("0.5", (0.5, False)),
        ("2 TB", (2 << 40, False)),
        ("12 bytes", (12, False)),
        (7, (7, False)),
    ],
)
def test_amounts(text: object, amount: tuple[float, bool]) -> None:
    assert parse_amount(text, "key") == amount


@pytest.mark.parametrize("text", ["", "MB", "1 XB", "1 2", "--1", "0x10", "1e5", None, [1]])
def test_other_texts_are_refused(text: object) -> None:
    with pytest.raises(RulesError):
        parse_amount(text, "key")


@pytest.mark.parametrize(
    ("text", "below", "at", "above"),
    [
        ("<= 5", True, True, False),
        ("< 5", True, False, False),
        (">= 5", False, True, True),
        (">5", False, False, True),
        ("== 5", False, True, False),
        ("!= 5", True, False, True),
    ],
)
def test_limits(text: str, below: bool, at: bool, above: bool) -> None:
    limit = parse_limit(text, "key")
    assert (limit.holds(4), limit.holds(5), limit.holds(6)) == (below, at, above)


def test_every_figure_can_be_asked_for() -> None:
    from support.scenes import recorded

    region_map = recorded("layout-x86")
    for name, figure in all_figures().items():
        assert find_figure(name) is figure
        assert measure(region_map, name).exact == measure(region_map, name).value
        assert figure.meaning
    names = [item.name for item in FIGURES]
    names += ["Total.size", "Free.largest", "private data.committed", "counters.private_usage", "system.commit_limit"]
    not_recorded = {"handles", "oom_size", "heap_limit", "heap_limit_used", "heap_limit_ratio"}
    assert {name for name in names if measure(region_map, name).value is None} == not_recorded
    assert measure(region_map, "Mapped File.size").value is None
    assert measure(region_map, "Unknown.size").value == 0
    assert measure(region_map, "Total.size").value == region_map.total.size
    assert find_figure("TOTAL.size").name == "Total.size"
    assert find_figure("Heap.blocks").unit == "count"


def test_the_example_in_the_documentation_is_a_valid_file() -> None:
    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text("utf-8")
    example = text.split("```toml\n", 1)[1].split("```", 1)[0]
    rules = parse_rules(example)
    assert rules.has_gates
    assert rules.thresholds["commit_warning"] == pytest.approx(0.85)


def test_all_mistakes_are_reported_at_once() -> None:
    text = """
        unknown = "maybe"
        colour = "red"
        disable = ["no-such-finding"]
        [thresholds]
        largest_free_critical = "many"
        [severity]
        many-heaps = "grave"
        [limits]
        "Heap.committed" = "200MB"
        threads = "<= 5MB"
        [verdict]
        forbid = ["out-of-luck"]
        [deltas]
        "Heep.size" = "<= 10%"
    """
    with pytest.raises(RulesError) as raised:
        parse_rules(text, name="rules.toml")
    said = str(raised.value)
    assert said.startswith("rules.toml: 9 mistakes. ")
    places = ("unknown", "colour", "disable", "thresholds.largest_free_critical", "severity.many-heaps", "threads",
              'limits."Heap.committed"', "verdict.forbid", 'deltas."Heep.size"')  # fmt: skip
    assert [place for place in places if f"{place}: " not in said] == []


def built() -> RegionMap:
    """A 32-bit process with three free blocks, and 64 KB of which an allocation leaves 60 KB that nobody can use."""
    scene = Scene()
    scene.allocate(4 * KB, base=0x10000)
    at = 0x20000
    for free in (40 * MB, 30 * MB, 512 * KB):
        scene.allocate(MB, base=at, commit=64 * KB)
        at += MB + free
    scene.allocate(scene.top - at, base=at, commit=0)
    heap = RecordedHeap(1, "NT heap", address=0x20000, ranges=(RecordedRange(0x20000, MB, 64 * KB, "segment"),))
    one = scene.snapshot(
        counters=Counters(private_usage=5 * MB),
        system=System(commit_limit=800 * MB, commit_total=200 * MB),
        threads=[Thread(1), Thread(2)],
        modules=[Module(0x20000 + MB, 0, "a.dll")],
        heaps=[heap],
        exception=crash(0xC0000017, 12345),
        writer=v8_heap(75 * MB, 100 * MB),
    )
    return map_snapshot(replace(one, handle_count=7))


FREE = 70 * MB + 512 * KB


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("largest_free_block", 40 * MB),
        ("largest_free_block_at_most", 40 * MB),
        ("free", FREE),
        ("free_blocks", 3),
        ("fragmentation", 1 - 40 * MB / FREE),
        ("tiny_block_size", 512 * KB),
        ("unusable", 60 * KB),
        ("threads", 2),
        ("modules", 1),
        ("heaps", 1),
        ("handles", 7),
        ("allocations", 5),
        ("commit_ratio", 0.25),
        ("process_commit", 5 * MB),
        ("oom_size", 12345),
        ("heap_limit_used", 75 * MB),
        ("heap_limit", 100 * MB),
        ("heap_limit_ratio", 0.75),
        ("counters.private_usage", 5 * MB),
        ("counters.virtual_size", None),
        ("system.commit_total", 200 * MB),
        ("system.physical_total", None),
        ("Total.committed", 4 * KB + 192 * KB),
        ("Heap.size", MB),
        ("Heap.committed", 64 * KB),
        ("heap.blocks", 2),
        ("Image.size", 0),
        ("Free.size", FREE + 64 * KB),  # and the 64 KB at 0
    ],
)
def test_a_figure_is_what_the_process_was_built_to_have(name: str, value: float | None) -> None:
    assert measure(built(), name) == Measured(value)


def test_every_figure_with_a_name_of_its_own_is_measured() -> None:
    one = built()
    assert [figure.name for figure in FIGURES if measure(one, figure.name).exact is None] == []


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("", False),
        ('disable = ["many-heaps"]', False),
        ("[thresholds]\nmany_threads = 5", False),
        ('[limits]\nthreads = "<= 5"', True),
        ('[findings]\nforbid = ["many-heaps"]', True),
        ('[findings]\nmax_severity = "warning"', True),
        ('[verdict]\nforbid = ["out-of-commit"]', True),
        ('[deltas]\nthreads = "<= +5"', True),
    ],
)
def test_each_kind_of_gate_is_one(text: str, checks: bool) -> None:
    assert parse_rules(text).has_gates is checks


@pytest.mark.parametrize(
    ("value", "good"),
    [("<= 1", True), ("<= 0.9", True), ("<= 90%", True), ("<= 101%", True), ("<= 1.01", False), ("<= 1KB", False)],
)
def test_a_share_is_at_most_one(value: str, good: bool) -> None:
    text = f'[limits]\nfragmentation = "{value}"'
    if good:
        assert parse_rules(text).has_gates
    else:
        with pytest.raises(RulesError, match=r"write 0\.9 or 90%"):
            parse_rules(text)


def test_a_count_has_no_unit() -> None:
    with pytest.raises(RulesError, match="is a size; this key needs a count: write a number without a unit"):
        parse_rules('[limits]\nthreads = "<= 5KB"')
