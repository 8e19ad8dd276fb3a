"""The verdict: recorded failures before inferences, the two axes apart, and no false alarm for a healthy process."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.cases import dotnet, heap_and_room, job, roomy, stack_fault
from support.recorded import truth
from support.scenes import GB, KB, MB, TB, TOP_2GB, Scene, commit_at, crash, map_of, recorded, with_errors
from synth.process import ProcessBuilder

from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.rules import VERDICT_NAMES, RuleSet, VerdictName
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.snapshot import Counters, System
from dumpmap.model.types import RegionType
from dumpmap.render.markdown import to_markdown
from dumpmap.views.diagnose import diagnosis_view
from dumpmap.wording.findings import find
from dumpmap.wording.text import size_left
from dumpmap.wording.verdicts import VERDICTS, verdict


def fragmented(**facts: object) -> RegionMap:
    """20 blocks of 18 MB."""
    return Scene().leave(*[18 * MB] * 20).map(**facts)


def wide(**facts: object) -> RegionMap:
    """A 64-bit process."""
    return Scene(64).leave(100 * TB).map(**facts)


def test_sentences_promise_no_more_than_there_is() -> None:
    block = 18 * MB + 192 * KB  # 18.1875 MB
    region_map = Scene().leave(block, block).map(exception=crash(0xC0000017, 64 * MB), system=commit_at(0.97))
    judged = verdict(region_map)
    details = {finding.id: finding.detail for finding in find(region_map)}
    assert (
        "64 MB was requested, and the largest allocation that fits is 18.1 MB; 36.3 MB is free in total"
        in judged.sentence
    )
    assert details["largest-free-block-small"].startswith("The largest free block is 18.1 MB, at ")
    assert "although 36.3 MB is free in total" in details["largest-free-block-small"]
    assert "largest block 18.1 MB" in to_markdown(diagnosis_view(region_map, judged, []))
    left = measurements_of(region_map).commit.left
    assert left is not None
    assert f"{size_left(left)} is left." in details["commit-limit-reached"]
    assert verdict(Scene(64).leave(128 * TB - 1024 * MB).map()).sentence.startswith(
        "No memory problem found: the largest free block is 127 TB of 128 TB"
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [
        # recorded failures
        (lambda: fragmented(exception=crash(0xC0000017, 64 * MB)), "out-of-address-space"),
        (lambda: roomy(exception=crash(0xC000012D)), "out-of-commit"),
        (lambda: fragmented(exception=crash(0xC000012D)), "out-of-commit"),
        # the request fits, the commit is at its limit
        (lambda: fragmented(exception=crash(0xE0000008, MB), system=commit_at(0.97)), "out-of-commit"),
        # the request does not fit, and the commit is at its limit too: what was measured decides
        (lambda: fragmented(exception=crash(0xE0000008, 64 * MB), system=commit_at(0.97)), "out-of-address-space"),
        # a small request that fits somewhere, in a space that is nearly gone
        (lambda: fragmented(exception=crash(0xC0000017, 100), system=commit_at(0.3)), "out-of-address-space"),
        (lambda: fragmented(exception=crash(0xC0000017)), "out-of-address-space"),
        # neither axis is short
        (lambda: roomy(exception=crash(0xC0000017, MB), system=commit_at(0.3)), "out-of-memory"),
        (lambda: wide(exception=crash(0xE0000008, 12 * MB), system=commit_at(0.3)), "out-of-memory"),
        (lambda: wide(exception=crash(0xE0000008, 12 * MB)), "out-of-memory"),
        (lambda: wide(exception=crash(0xE0000008, 12 * MB), system=commit_at(0.92)), "out-of-commit"),
        (lambda: wide(exception=crash(0xC0000017, 1 << 60)), "cannot-tell"),
        (lambda: roomy(exception=crash(0xC0000017), partial=True), "out-of-memory"),
        (lambda: roomy(exception=crash(0xC0000017), partial=True, system=commit_at(0.99)), "out-of-commit"),
        (lambda: stack_fault(900 * 1024), "cannot-tell"),  # its system's commit is at 40 %
        (lambda: stack_fault(8 * 1024), "no-memory-problem-seen"),
        # the last error of the crashing thread
        (lambda: map_of(with_errors((1455, 0))), "out-of-commit"),
        (lambda: map_of(with_errors((8, 0))), "cannot-tell"),
        (lambda: map_of(with_errors((0, 0), (1455, 0))), "no-memory-problem-seen"),
        # no failure recorded
        (fragmented, "out-of-address-space"),
        (lambda: Scene().leave(40 * MB).map(), "out-of-address-space"),
        (lambda: Scene().leave(*[40 * MB] * 10).map(), "address-space-low"),
        (lambda: Scene().leave(150 * MB).map(), "address-space-low"),
        (lambda: dotnet(40 * MB, ".NET Server GC"), "address-space-low"),
        (lambda: roomy(system=commit_at(0.96)), "commit-low"),
        (lambda: roomy(system=commit_at(0.91)), "commit-low"),
        (lambda: job(10 * MB), "out-of-commit"),
        (lambda: job(90 * MB), "commit-low"),
        (lambda: roomy(system=commit_at(0.5)), "no-memory-problem-seen"),
        (roomy, "no-memory-problem-seen"),
        (wide, "no-memory-problem-seen"),
        (lambda: wide(family="linux", system=commit_at(1.4)), "no-memory-problem-seen"),
        # little to go by
        (lambda: roomy(partial=True), "cannot-tell"),
        (lambda: roomy(partial=True, system=commit_at(0.5)), "cannot-tell"),
        (lambda: roomy(partial=True, system=commit_at(0.96)), "commit-low"),
        (lambda: wide(partial=True), "cannot-tell"),
        (lambda: wide(partial=True, system=commit_at(0.5)), "cannot-tell"),
        (lambda: wide(partial=True, counters=Counters(virtual_size=2 * TB)), "cannot-tell"),
        (
            lambda: wide(partial=True, system=commit_at(0.5), counters=Counters(virtual_size=2 * TB)),
            "no-memory-problem-seen",
        ),
        (lambda: wide(partial=True, system=commit_at(0.5), counters=Counters(virtual_size=125 * TB)), "cannot-tell"),
        (
            lambda: roomy(
                partial=True, counters=Counters(virtual_size=1950 * MB), system=System(max_address=TOP_2GB - 1)
            ),
            "address-space-low",
        ),
    ],
)
def test_verdicts(make: object, name: VerdictName) -> None:
    judged = verdict(make())  # type: ignore[operator]
    assert judged.verdict == name, judged.sentence


def test_a_size_that_no_process_could_have_is_a_fault_of_the_size() -> None:
    judged = verdict(fragmented(exception=crash(0xC0000017, 0xFFFFFFF0)))
    assert judged.verdict == "cannot-tell"
    assert judged.sentence == (
        "The allocation could not have succeeded in any process: 4.0 GB was requested, more than the whole address "
        "space of 2 GB. The size is wrong, not the memory."
    )
    assert "allocation-request-impossible" in [signal.id for signal in judged.signals]


def with_commit(system: System, counters: Counters | None = None) -> RegionMap:
    """A stack with 900 KB left that could not grow, beside this state of the commit."""
    snapshot = stack_fault(900 * 1024).snapshot
    return map_snapshot(replace(snapshot, system=system, counters=counters or Counters()))


def test_a_stack_that_could_not_grow_is_out_of_commit_unless_there_is_plenty() -> None:
    assert verdict(with_commit(System())).verdict == "out-of-commit"
    assert verdict(with_commit(commit_at(0.97))).verdict == "out-of-commit"
    job = Counters(job_private_commit_usage=95 * MB, job_private_commit_limit=100 * MB)
    assert verdict(with_commit(commit_at(0.4), job)).verdict == "out-of-commit"
    far = Counters(job_private_commit_usage=5 * MB, job_private_commit_limit=100 * MB)
    for counters, said in ((None, "no job limit is recorded"), (far, "the job is not near its limit")):
        region_map = with_commit(commit_at(0.4), counters)
        judged = verdict(region_map)
        assert judged.verdict == "cannot-tell"
        assert "the system's commit charge is at 40 % of its limit" in judged.sentence
        assert said in judged.sentence
        finding = next(one for one in find(region_map) if one.id == "stack-commit-failure")
        assert "The counters contradict that: the system's commit charge is at 40 %" in finding.detail


def test_an_unknown_limit_names_what_is_not_recorded() -> None:
    region_map = roomy(exception=crash(0xC0000017), partial=True)
    finding = next(one for one in find(region_map) if one.id == "out-of-memory-exception")
    assert (
        "The limit that failed is unknown: the dump does not record the free address space or the system's commit"
    ) in finding.detail


def test_the_table_of_verdicts_is_complete() -> None:
    assert tuple(VERDICTS) == VERDICT_NAMES


def test_the_fragmented_program_says_its_own_largest_block() -> None:
    judged = verdict(recorded("fragment-x86"))
    assert judged.verdict == "out-of-address-space"
    assert judged.address_space["largest_free_block"]["size"] == 18 * MB
    assert "the largest block is 18 MB" in judged.sentence
    assert judged.sentence.startswith("Out of address space, not memory")
    assert "No failed allocation is recorded." in judged.sentence
    assert "address-space-fragmented" in [signal.id for signal in judged.signals]
    assert "address-space-exhausted" not in [signal.id for signal in judged.signals]
    assert judged.commit["state"] == "ok"


def test_the_exhausted_program_gives_the_same_for_the_other_reason() -> None:
    judged = verdict(recorded("exhaust-x86"))
    assert judged.verdict == "out-of-address-space"
    signals = {signal.id: signal for signal in judged.signals}
    assert signals["out-of-memory-exception"].strength == "recorded"
    assert "address-space-exhausted" in signals
    assert "address-space-fragmented" not in signals
    assert "1 MB was requested" in judged.sentence
    assert judged.address_space["requested"] == MB


@pytest.mark.parametrize("name", ["starve-x64", "starve-x86"])
def test_the_starved_program_ran_out_of_commit(name: str) -> None:
    region_map, facts = recorded(name), truth(name)["facts"]
    judged = verdict(region_map)
    assert judged.verdict == "out-of-commit"
    assert judged.sentence.startswith("Out of commit, not address space")
    assert (judged.commit["state"], judged.address_space["state"]) == ("out", "ok")
    assert judged.commit["job_limit"] == facts["job_limit"]
    signals = {signal.id: signal for signal in judged.signals}
    assert signals["out-of-memory-exception"].strength == "recorded"
    assert "job-commit-limit-near" in signals
    # The program reserved as much as it could not commit.
    assert judged.address_space["requested"] == facts["asked"]
    room = region_map.at(facts["reserved"])
    assert facts["committed"] == 0
    assert room is not None
    assert (room.state, room.allocation_size) == ("Reserved", facts["asked"])


@pytest.mark.parametrize(
    "name", ["layout-x86", "layout-x64", "layout-wow64", "layout-x64-private", "leak-x64-before", "leak-x64-after"]
)
def test_healthy_programs_are_healthy(name: str) -> None:
    region_map = recorded(name)
    assert verdict(region_map).verdict == "no-memory-problem-seen"
    assert [finding.id for finding in find(region_map) if finding.severity != "info"] == []


def test_the_sentence_names_the_needs_and_the_holders() -> None:
    judged = verdict(heap_and_room(16 * MB - 0x50000))
    assert judged.verdict == "out-of-address-space"
    assert "requests 15.8 MB when it grows" in judged.sentence
    assert "In use:" in judged.sentence
    assert "workstation garbage collector requests 16 MB when it grows" in verdict(dotnet(8 * MB)).sentence


def test_axes_are_stated_apart() -> None:
    judged = verdict(fragmented(system=commit_at(0.97)))
    assert (judged.verdict, judged.address_space["state"], judged.commit["state"]) == (
        "out-of-address-space",
        "out",
        "low",
    )
    judged = verdict(roomy(exception=crash(0xC000012D), system=commit_at(0.5)))
    assert (judged.verdict, judged.address_space["state"], judged.commit["state"]) == ("out-of-commit", "ok", "out")
    judged = verdict(roomy(partial=True))
    assert (judged.address_space["state"], judged.commit["state"]) == ("unknown", "unknown")
    assert judged.address_space["free"] is None


def test_a_finding_that_is_not_wanted_is_evidence_all_the_same() -> None:
    rules = RuleSet(disabled=frozenset({"largest-free-block-small"}), severity={"largest-free-block-small": "info"})
    assert verdict(fragmented(), rules).verdict == "out-of-address-space"


def test_findings_that_are_there_already_are_used() -> None:
    region_map = fragmented()
    assert verdict(region_map, findings=find(region_map)) == verdict(region_map)


def test_a_32_bit_process_in_a_64_bit_dump() -> None:
    process = ProcessBuilder("x64", wow64=True, large_address_aware=True).furnish()
    for region in list(process.regions(TOP_2GB)):
        start = -(-region.base // 0x10000) * 0x10000
        end = min(region.end, TOP_2GB) // 0x10000 * 0x10000
        if region.state == 0x10000 and end - start > 18 * MB:
            process.allocate(end - start - 18 * MB, base=start + 18 * MB, commit=0)
    # The program is large address aware by its header, so it has 4 GB on 64-bit Windows: fill those, too.
    for region in list(process.regions(4 * GB)):
        start, end = max(-(-region.base // 0x10000) * 0x10000, TOP_2GB), min(region.end, 4 * GB - 0x10000)
        if region.state == 0x10000 and end - start > 18 * MB:
            process.allocate(end - start - 18 * MB, base=start + 18 * MB, commit=0)
    region_map = map_of(process)
    assert (region_map.line(RegionType.FREE).largest or 0) > TB
    assert region_map.largest_free_block is not None
    assert region_map.largest_free_block.size == 18 * MB
    judged = verdict(region_map)
    assert judged.verdict == "out-of-address-space"
    assert judged.address_space["limit_name"] == "4 GB"


def test_plain_data() -> None:
    for region_map in (recorded("exhaust-x86"), roomy(partial=True), wide(exception=crash(0xE0000008, 5))):
        document = verdict(region_map).to_dict()
        assert document["schema"] == "dumpmap.verdict/1"
        assert json.loads(json.dumps(document)) == document


def test_every_sentence_is_one() -> None:
    from support.cases import CASES

    for case in CASES:
        sentence = verdict(case.make()).sentence
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert ".." not in sentence
        assert "None" not in sentence
        assert "  " not in sentence
