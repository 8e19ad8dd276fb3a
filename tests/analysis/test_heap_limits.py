"""The third axis: what the writer or a runtime states about the limit of its own heap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.cases import roomy
from support.scenes import GB, MB, TB, Scene, commit_at, crash, v8_heap

from dumpmap.analysis.heap_limits import HeapLimit, heap_limits
from dumpmap.analysis.rules import RuleSet
from dumpmap.api import RegionMap
from dumpmap.model.recognised import Found
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.model.snapshot import Counters, Thread
from dumpmap.model.writer import HeapLimitRecord, WriterRecord
from dumpmap.render.markdown import to_markdown
from dumpmap.views.diagnose import diagnosis_document, diagnosis_view
from dumpmap.views.writer import writer_blocks
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict

USED, LIMIT = 4_164_542_836, 4_294_967_296  # a report of Electron
TRAP = crash(0x80000003)


def wide(**facts: object) -> RegionMap:
    """A 64-bit process."""
    return Scene(64).leave(100 * TB).map(**facts)


def with_runtime(region_map: RegionMap, *limits: RuntimeLimit) -> RegionMap:
    """The map as a recogniser leaves it that read the runtime's own variables."""
    structures = replace(region_map.structures, found=(Found(facts=limits),))
    return replace(region_map, structures=structures)


def test_a_recorded_heap_limit_is_a_verdict_of_its_own() -> None:
    region_map = wide(exception=TRAP, writer=v8_heap(USED, LIMIT, "Reached heap limit", True), system=commit_at(0.4))
    judged = verdict(region_map)
    assert judged.verdict == "out-of-heap-limit"
    assert judged.sentence == (
        "Out of heap space, not address space or commit: the V8 heap uses 3.9 GB of its limit of 4 GB (97 %); V8 gave "
        'up at "Reached heap limit". The system\'s commit charge is at 40 % of its limit. Address space is not short: '
        "the largest free block is 100 TB."
    )
    assert judged.heap_limit == {
        "state": "out",
        "runtime": "V8",
        "used": USED,
        "limit": LIMIT,
        "ratio": 0.9696,
        "includes_garbage": False,
        "location": "Reached heap limit",
        "source": "CrashpadInfo",
    }
    assert [(signal.id, signal.strength) for signal in judged.signals] == [("runtime-heap-limit-reached", "recorded")]
    findings = find(region_map)
    assert [finding.id for finding in findings if finding.severity == "critical"] == ["runtime-heap-limit-reached"]
    assert diagnosis_document(region_map, judged, findings)["heap_limit"] == judged.heap_limit
    text = to_markdown(diagnosis_view(region_map, judged, findings))
    assert 'Heap limit: out, V8 3.9 GB of 4 GB (97 %), "Reached heap limit"' in text.replace("**", "")


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        # the place names the limit, so that no figure is needed
        (v8_heap(None, None, "Ineffective mark-compacts near heap limit"), "out-of-heap-limit"),
        (v8_heap(None, None, "CALL_AND_RETRY_LAST", True), "out-of-heap-limit"),
        (v8_heap(95 * MB, 100 * MB, "CALL_AND_RETRY_LAST", True), "out-of-heap-limit"),
        # it gave up, but its heap was not full: the system may have refused memory
        (v8_heap(50 * MB, 100 * MB, "CALL_AND_RETRY_LAST", True), "out-of-memory"),
        (v8_heap(50 * MB, 100 * MB, "CodeRange setup", False), "out-of-memory"),
        (v8_heap(None, None, "Zone"), "out-of-memory"),
        # it did not give up
        (v8_heap(95 * MB, 100 * MB), "heap-limit-near"),
        (v8_heap(50 * MB, 100 * MB), "no-memory-problem-seen"),
        (v8_heap(95 * MB, 0), "no-memory-problem-seen"),
        (v8_heap(None, None), "no-memory-problem-seen"),
    ],
)
def test_what_proves_that_the_heap_was_the_limit(writer: WriterRecord, name: str) -> None:
    judged = verdict(wide(exception=TRAP, writer=writer))
    assert judged.verdict == name, judged.sentence
    assert "None" not in judged.sentence


def test_the_commit_limit_that_a_code_names_comes_before_the_heap() -> None:
    writer = v8_heap(USED, LIMIT, "Reached heap limit", True)
    assert verdict(wide(exception=crash(0xC000012D), writer=writer)).verdict == "out-of-commit"


def test_the_record_counts_on_every_system_and_without_an_exception() -> None:
    writer = v8_heap(USED, LIMIT, "Reached heap limit", True)
    assert verdict(wide(writer=writer, family="linux", exception=crash(11))).verdict == "out-of-heap-limit"
    assert verdict(wide(writer=writer, partial=True)).verdict == "out-of-heap-limit"


def test_size_0_after_a_heap_limit_is_no_size() -> None:
    region_map = wide(exception=crash(0xE0000008, 0), writer=v8_heap(USED, LIMIT, "Reached heap limit", True))
    judged = verdict(region_map)
    assert judged.verdict == "out-of-heap-limit"
    assert judged.address_space["requested"] is None


def test_the_threshold_can_be_changed() -> None:
    rules = RuleSet(thresholds={**RuleSet().thresholds, "heap_limit_warning": 0.4})
    region_map = wide(writer=v8_heap(50 * MB, 100 * MB))
    assert verdict(region_map, rules).verdict == "heap-limit-near"


# ---------------------------------------------------------------- the variables of runtimes


def test_the_variables_of_runtimes_feed_the_same_axis() -> None:
    small, full = RuntimeLimit("Java", 10 * MB, GB, "HotSpot flags"), RuntimeLimit("V8", 95 * MB, 100 * MB, "V8 heap")
    region_map = with_runtime(roomy(), small, full, RuntimeLimit("Go", None, None, "none"))
    assert [limit.runtime for limit in heap_limits(region_map)] == ["V8", "Java", "Go"]
    judged = verdict(region_map)
    assert judged.verdict == "heap-limit-near"
    assert (judged.heap_limit["runtime"], judged.heap_limit["source"]) == ("V8", "V8 heap")
    assert verdict(with_runtime(roomy(), small)).heap_limit["state"] == "ok"
    assert verdict(roomy()).heap_limit["state"] == "unknown"


def test_a_heap_full_of_what_may_be_garbage_shows_nothing() -> None:
    full = RuntimeLimit("Java", 995 * MB, GB, "HotSpot flags", garbage=True)
    judged = verdict(with_runtime(roomy(), full))
    assert (judged.verdict, judged.heap_limit["state"]) == ("no-memory-problem-seen", "unknown")
    assert judged.heap_limit["includes_garbage"] is True
    failed = verdict(with_runtime(roomy(exception=crash(0xC0000017, MB), system=commit_at(0.3)), full))
    assert failed.verdict != "out-of-heap-limit"
    # Below the threshold even garbage is not enough to fill it; and a heap that shows something comes first.
    half = RuntimeLimit("Java", 500 * MB, GB, "HotSpot flags", garbage=True)
    judged = verdict(with_runtime(roomy(), half))
    assert judged.heap_limit["state"] == "ok"
    text = to_markdown(diagnosis_view(with_runtime(roomy(), half), judged, []))
    assert "Java 500 MB of 1 GB (49 %), garbage included" in text
    v8 = RuntimeLimit("V8", 10 * MB, GB, "V8 heap")
    assert [limit.runtime for limit in heap_limits(with_runtime(roomy(), full, v8))] == ["V8", "Java"]


def test_a_failure_that_nothing_else_explains_is_put_down_to_a_full_heap() -> None:
    full = RuntimeLimit("Java", 995 * MB, GB, "HotSpot flags")
    region_map = with_runtime(roomy(exception=crash(0xC0000017, MB), system=commit_at(0.3)), full)
    judged = verdict(region_map)
    assert judged.verdict == "out-of-heap-limit"
    assert "the cause is inferred" in judged.sentence
    region_map = with_runtime(roomy(exception=crash(0xC0000017, MB), system=commit_at(0.97)), full)
    assert verdict(region_map).verdict == "out-of-commit"


def test_the_hard_limit_of_net_explains_its_own_exception() -> None:
    thrown = crash(0xE0434352, 0x8007000E)
    full = RuntimeLimit(".NET", 995 * MB, GB, "GCHeapHardLimit")
    region_map = with_runtime(roomy(exception=thrown, system=commit_at(0.97)), full)
    assert verdict(region_map).verdict == "out-of-heap-limit"
    other = RuntimeLimit("Java", 995 * MB, GB, "HotSpot flags")
    assert verdict(with_runtime(roomy(exception=thrown, system=commit_at(0.97)), other)).verdict == "out-of-commit"


def test_hostile_figures_are_only_figures() -> None:
    for used, limit in ((-5, -1), (1 << 70, 1), (0, 0), (1, None)):
        heap = HeapLimitRecord("V8", "x", used=used, limit=limit, location="heap limit " * 100, is_oom=True)
        judged = verdict(wide(exception=TRAP, writer=WriterRecord("Crashpad", heap_limit=heap)))
        assert judged.verdict == "out-of-heap-limit"
        assert len(judged.sentence) < 600
    assert HeapLimit("V8", 1, 0, "x").ratio is None


# ---------------------------------------------------------------- failures without a proved limit


UNREAL = WriterRecord(
    "Unreal Engine 4.24",
    crash_type="Assert",
    message="Assertion failed: Ran out of memory allocating 8172146688 bytes with alignment 0",
    out_of_memory=True,
    requested=8_172_146_688,
    memory={"TotalVirtual": 128 * TB, "AvailableVirtual": 128 * TB - 40 * GB},
    crashed_thread=12916,
    thread_names=((12916, "GameThread"),),
)


def test_a_recorded_failure_without_a_limit_is_critical_and_says_what_is_known() -> None:
    region_map = wide(exception=crash(0x4000, thread=10372), writer=UNREAL, partial=True)
    judged = verdict(region_map)
    assert judged.verdict == "out-of-memory"
    assert judged.sentence == (
        "Out of memory: Unreal Engine 4.24 recorded a failed allocation of 7.6 GB in thread 12916 (GameThread), but "
        "the dump does not show which limit was reached. Address space: the writer recorded 128 TB of address space as "
        "available; commit: not recorded; heap limit: not recorded. More likely (inferred): commit, because a 64-bit "
        "process hardly ever runs out of address space."
    )
    finding = find(region_map)[0]
    assert (finding.id, finding.severity) == ("writer-recorded-out-of-memory", "critical")
    assert finding.values == {
        "writer": "Unreal Engine 4.24",
        "crash_type": "Assert",
        "thread_id": 12916,
        "requested": 8_172_146_688,
        "axis": "unknown",
        "strength": "inferred",
        "likelier": "commit",
    }
    assert 'The message: "Assertion failed: Ran out of memory allocating 8172146688 bytes' in finding.detail
    assert judged.signals[0].strength == "recorded"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"memory": {"AvailableVirtual": 5 * GB}}, "commit, because the request exceeds the 5 GB that the writer"),
        ({"memory": {"AvailablePageFile": 5 * GB}}, "commit, because the request exceeds the 5 GB that the writer"),
        ({"memory": {"AvailableVirtual": 20 * GB}}, "commit, because a 64-bit process hardly ever"),
    ],
)
def test_the_likelier_axis_of_a_wide_process(facts: dict[str, object], said: str) -> None:
    writer = replace(UNREAL, **facts)  # type: ignore[arg-type]
    assert (
        f"More likely (inferred): {said}"
        in verdict(wide(exception=crash(0x4000), writer=writer, partial=True)).sentence
    )


def test_the_likelier_axis_by_the_counters() -> None:
    low = wide(exception=crash(0x4000), writer=UNREAL, partial=True, system=commit_at(0.6))
    assert "More likely (inferred): commit, because the request exceeds the 6.4 GB" in verdict(low).sentence
    small = replace(UNREAL, requested=MB)
    enough = wide(exception=crash(0x4000), writer=small, partial=True, system=commit_at(0.3))
    assert "More likely (inferred): the limit of a heap, a runtime, or a job" in verdict(enough).sentence
    narrow = roomy(exception=crash(0x4000), writer=replace(UNREAL, requested=64 * MB, memory={}), partial=True)
    assert "More likely (inferred): address space, because a 32-bit process" in verdict(narrow).sentence
    unclear = roomy(exception=crash(0x4000), writer=replace(UNREAL, requested=None, memory={}), partial=True)
    assert "Likelier" not in verdict(unclear).sentence
    assert "recorded that memory ran out in thread 12916" in verdict(unclear).sentence


def test_a_size_that_no_process_could_have_is_said_beside_the_record() -> None:
    writer = replace(UNREAL, requested=1 << 60)
    judged = verdict(wide(exception=crash(0x4000), writer=writer, partial=True))
    assert judged.verdict == "out-of-memory"  # the writer states it
    assert "No process could have satisfied the request" in judged.sentence


def test_what_the_writer_recorded_of_the_memory_is_used_although_it_did_not_run_out() -> None:
    figures = {"TotalVirtual": 128 * TB, "AvailableVirtual": 127 * TB, "UsedVirtual": 3 * GB}
    writer = replace(UNREAL, out_of_memory=False, requested=None, memory=figures)
    judged = verdict(wide(exception=TRAP, writer=writer, partial=True))
    assert (judged.verdict, judged.address_space["state"]) == ("cannot-tell", "ok")
    assert judged.address_space["available_by_writer"] == 127 * TB
    assert "not record" not in judged.sentence
    assert judged.sentence.endswith(
        "it has no list of memory regions. The writer recorded 127 TB of address space as available. By the same "
        "record, the process commits 3 GB. Unreal Engine 4.24 recorded that memory did not run out."
    )
    text = to_markdown(diagnosis_view(wide(exception=TRAP, writer=writer, partial=True), judged, []))
    assert "ok, 127 TB of 128 TB available, by the writer of the dump" in text.replace("**", "")
    # Later versions record the page file there, which says nothing about the address space.
    judged = verdict(
        wide(exception=TRAP, writer=replace(writer, memory={**figures, "AvailableVirtual": 5 * GB}), partial=True)
    )
    assert judged.address_space["state"] == "unknown"
    assert "The writer recorded 5 GB of physical memory and page file as available." in judged.sentence


def test_a_wide_space_far_from_its_end_is_ok_although_nothing_measures_it() -> None:
    region_map = wide(counters=Counters(virtual_size=811 * MB), partial=True, system=commit_at(0.59))
    judged = verdict(region_map)
    assert (judged.verdict, judged.address_space["state"]) == ("no-memory-problem-seen", "ok")
    text = to_markdown(diagnosis_view(region_map, judged, []))
    assert "Address space: ok, 811 MB of 128 TB in use" in text.replace("**", "")
    judged = verdict(wide(counters=Counters(virtual_size=125 * TB), partial=True, system=commit_at(0.59)))
    assert (judged.verdict, judged.address_space["state"]) == ("cannot-tell", "unknown")


def test_a_writer_that_records_no_shortage_changes_nothing() -> None:
    for out_of_memory in (None, False):
        writer = replace(UNREAL, out_of_memory=out_of_memory)
        assert verdict(roomy(exception=TRAP, writer=writer)).verdict == "no-memory-problem-seen"
        assert verdict(wide(exception=TRAP, writer=writer, partial=True)).verdict == "cannot-tell"


def test_a_thread_is_named_by_the_dump_where_the_writer_has_no_name() -> None:
    writer = replace(UNREAL, thread_names=())
    region_map = wide(exception=TRAP, writer=writer, partial=True, threads=[Thread(12916, "Main")])
    assert "in thread 12916 (Main)" in verdict(region_map).sentence


def test_what_was_measured_comes_before_what_is_only_recorded() -> None:
    counters = Counters(job_private_commit_usage=99 * MB, job_private_commit_limit=100 * MB)
    judged = verdict(wide(exception=crash(0x4000), writer=UNREAL, partial=True, counters=counters))
    assert judged.verdict == "out-of-commit"
    assert "Unreal Engine 4.24 recorded a failed allocation" in judged.sentence


# ---------------------------------------------------------------- figures that are not filled in, or that no heap has


@pytest.mark.parametrize("location", [None, "Zone"])
def test_a_use_of_0_beside_a_limit_is_not_recorded(location: str | None) -> None:
    region_map = wide(exception=TRAP, writer=v8_heap(0, 4 * GB, location), system=commit_at(0.4))
    judged = verdict(region_map)
    assert (judged.heap_limit["state"], judged.heap_limit["used"], judged.heap_limit["limit"]) == (
        "unknown",
        None,
        4 * GB,
    )
    text = to_markdown(diagnosis_view(region_map, judged, find(region_map))) + judged.sentence
    assert "V8 limit 4 GB, use not recorded" in text
    assert "(0 %)" not in text
    assert "0 %" not in writer_text(region_map)
    assert "limit 4,294,967,296 bytes (4 GB), use not recorded" in writer_text(region_map)


@pytest.mark.parametrize(("used", "limit"), [(9_999_999_999, 1), (9_999_999_999, 4095), (5 * GB, GB), (None, 1)])
def test_figures_that_no_heap_has_prove_nothing_and_are_noted(used: int | None, limit: int) -> None:
    region_map = wide(exception=TRAP, writer=v8_heap(used, limit), system=commit_at(0.4))
    judged = verdict(region_map)
    assert judged.verdict == "no-memory-problem-seen"
    assert (judged.heap_limit["used"], judged.heap_limit["limit"], judged.heap_limit["ratio"]) == (None, None, None)
    (note,) = [note for note in region_map.notes if "no heap has such figures" in note]
    assert "1 bytes" not in note + writer_text(region_map)
    # What the writer said in words still counts.
    stated = wide(exception=TRAP, writer=v8_heap(used, limit, "Reached heap limit", True), system=commit_at(0.4))
    assert verdict(stated).verdict == "out-of-heap-limit"
    assert "%" not in verdict(stated).sentence.split("V8 gave up")[0]


def test_a_heap_over_its_limit_is_not_called_near() -> None:
    used = 64 * MB + 1600 * 1024
    region_map = wide(writer=v8_heap(used, 64 * MB), system=commit_at(0.4))
    judged = verdict(region_map)
    assert judged.verdict == "heap-limit-near"
    assert judged.sentence.startswith(
        "A heap is over its own limit, but nothing shows that it ran out: the V8 heap uses 65.6 MB, over its limit of "
        "64 MB (102 %)."
    )
    text = to_markdown(diagnosis_view(region_map, judged, find(region_map)))
    assert "V8 65.6 MB of 64 MB (102 %), over its limit" in text
    # As many decimals as it takes to see it.
    assert "uses 64.01 MB, over its limit of 64 MB" in verdict(wide(writer=v8_heap(64 * MB + 8192, 64 * MB))).sentence


def writer_text(region_map: RegionMap) -> str:
    """What `info` says that the writer recorded."""
    return to_markdown(writer_blocks(region_map))


@pytest.mark.parametrize(
    ("used", "limit", "garbage", "near", "below"),
    [
        (74, 100, False, False, True),
        (75, 100, False, True, False),
        (76, 100, False, True, False),
        (75, 100, True, False, False),  # what may be garbage proves nothing
        (74, 100, True, False, True),
        (0, 100, False, False, True),
        (None, 100, False, False, False),
        (75, None, False, False, False),
        (75, 0, False, False, False),
    ],
)
def test_the_share_in_use(used: int | None, limit: int | None, garbage: bool, near: bool, below: bool) -> None:
    heap = HeapLimit("V8", used, limit, "CrashpadInfo", garbage=garbage)
    assert (heap.is_near(0.75), heap.is_known_below(0.75)) == (near, below)


@pytest.mark.parametrize(
    ("recorded", "failed", "location", "used", "proved"),
    [
        (True, True, None, 75, True),
        (True, True, None, 74, False),  # V8 gave up below its limit
        (True, True, None, None, True),
        (True, None, None, 75, False),
        (True, False, "Reached heap limit", 99, False),
        (True, None, "Reached heap limit", 1, True),
        (True, None, "Ineffective mark-compacts", 99, False),
        (False, True, "Reached heap limit", 99, False),
    ],
)
def test_what_proves_that_a_limit_was_reached(
    recorded: bool, failed: bool | None, location: str | None, used: int | None, proved: bool
) -> None:
    heap = HeapLimit("V8", used, 100, "CrashpadInfo", recorded=recorded, failed=failed, location=location)
    assert heap.proves_failure(0.75) is proved
