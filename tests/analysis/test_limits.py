"""How large the address space is, and by what evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import CHARACTERISTICS, GB, LARGE_ADDRESS_AWARE, MB, TB, TOP_2GB, TOP_4GB, TOP_128TB, Scene, program
from synth.minidump import MEM_IMAGE, PAGE_READONLY
from synth.process import TOP_8TB, ProcessBuilder

import dumpmap
from dumpmap.analysis.free import free_space
from dumpmap.analysis.limits import AddressLimit, _recorded_size, address_limit
from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.snapshot import SummaryRow, System
from dumpmap.model.types import RegionType
from dumpmap.model.writer import WriterRecord
from dumpmap.render.markdown import to_markdown
from dumpmap.views.diagnose import diagnosis_view
from dumpmap.wording.verdicts import verdict


def limit_of(
    bits: int, *, aware: bool | None = None, top: int | None = None, partial: bool = False, **facts: object
) -> AddressLimit:
    """The limit of a small process."""
    scene = Scene(bits, top)
    scene.allocate(0x10000, base=0x400000, protect=PAGE_READONLY, type=MEM_IMAGE)
    if aware is not None:
        module, header = program(bits, aware=aware)
        facts |= {"modules": [module], "memory": [(0x400000, header)]}
    return address_limit(scene.map(partial=partial, **facts))


@pytest.mark.parametrize(
    ("highest", "bits", "name"),
    [
        (0x7FFEFFFF, 32, "2 GB"),
        (0xBFFEFFFF, 32, "3 GB"),
        (0xFFFEFFFF, 32, "4 GB"),
        (0x7FFFFFEFFFF, 64, "8 TB"),
        (0x7FFFFFFEFFFF, 64, "128 TB"),
    ],
)
def test_the_system_says_it_exactly(highest: int, bits: int, name: str) -> None:
    limit = limit_of(bits, system=System(max_address=highest), partial=True)
    assert (limit.size, limit.name, limit.source, limit.exact) == (highest + 1, name, "SystemMemoryInfo", True)
    assert limit.narrow == (bits == 32)


@pytest.mark.parametrize(("top", "bits", "name"), [(TOP_2GB, 32, "2 GB"), (TOP_4GB, 32, "4 GB"), (TOP_8TB, 64, "8 TB")])
def test_the_list_of_regions_ends_there(top: int, bits: int, name: str) -> None:
    limit = limit_of(bits, top=top)
    assert (limit.size, limit.name, limit.source, limit.reached) == (top, name, "memory list", True)


def test_the_highest_address_of_a_64_bit_system_is_not_a_32_bit_processs() -> None:
    limit = limit_of(32, system=System(max_address=0x7FFFFFFEFFFF))
    assert (limit.name, limit.source) == ("2 GB", "memory list")


@pytest.mark.parametrize(
    ("aware", "wow64", "name", "exact"),
    [
        (False, True, "2 GB", True),
        (False, False, "2 GB", True),
        (True, True, "4 GB", True),
        # Whether 32-bit Windows was started with 3 GB is not recorded.
        (True, False, "3 GB", False),
    ],
)
def test_without_a_list_the_programs_flag_says_it(aware: bool, wow64: bool, name: str, exact: bool) -> None:
    limit = limit_of(32, aware=aware, partial=True, wow64=wow64)
    assert (limit.name, limit.source, limit.exact) == (name, "large-address-aware flag", exact)
    assert limit.size == int(name[0]) * GB - 0x10000  # the last 64 KB belong to no program
    assert limit.large_address_aware is aware
    assert not limit.reached


@pytest.mark.parametrize(("aware", "limit", "top"), [(False, "2 GB", TOP_2GB), (True, "4 GB", TOP_4GB)])
def test_a_32_bit_process_dumped_by_a_64_bit_writer_is_judged_by_its_own_flag(
    aware: bool, limit: str, top: int
) -> None:
    process = ProcessBuilder("x64", wow64=True, large_address_aware=aware).furnish()
    region_map = dumpmap.open(process.to_minidump().build())
    assert region_map.end is not None
    assert region_map.end > 1 << 40  # what the writer sees
    found = address_limit(region_map)
    assert (found.name, found.size, found.source) == (limit, top, "large-address-aware flag")
    assert found.large_address_aware is aware
    space = free_space(region_map)
    assert space is not None
    assert space.largest is not None
    assert space.complete
    assert space.total < top
    assert space.largest.address + space.largest.size <= top


def test_a_64_bit_program_that_is_not_large_address_aware_has_2_gb() -> None:
    limit = limit_of(64, aware=False, system=System(max_address=0x7FFFFFFEFFFF))
    assert (limit.name, limit.source, limit.narrow) == ("2 GB", "large-address-aware flag", True)


@pytest.mark.parametrize(("build", "name"), [(7601, "8 TB"), (9200, "8 TB"), (9600, "128 TB"), (22631, "128 TB")])
def test_the_version_of_windows_says_it(build: int, name: str) -> None:
    limit = limit_of(64, partial=True, build=build)
    assert (limit.name, limit.source) == (name, "Windows version")
    assert limit.size == int(name.split()[0]) * TB - 0x10000


def test_without_any_evidence_it_is_at_most_what_a_pointer_reaches() -> None:
    narrow, wide = limit_of(32, partial=True, wow64=None), limit_of(64, partial=True, build=None)
    assert (narrow.size, narrow.exact, narrow.source) == (4 * GB, False, "pointer size")
    assert (narrow.at_most, narrow.words) == (True, "at most 4 GB")
    assert (wide.size, wide.exact, wide.source) == (128 * TB, False, "pointer size")


def test_the_process_itself_comes_before_whoever_wrote_the_dump() -> None:
    # A writer that is large address aware, of a process that is not; and the other way round.
    limit = limit_of(32, top=TOP_2GB, system=System(max_address=0xFFFEFFFF))
    assert (limit.name, limit.source, limit.reached) == ("2 GB", "memory list", True)
    limit = limit_of(32, top=TOP_4GB, system=System(max_address=0x7FFEFFFF))
    assert (limit.name, limit.source, limit.reached) == ("4 GB", "memory list", True)
    limit = limit_of(32, aware=False, partial=True, system=System(max_address=0xFFFEFFFF))
    assert (limit.name, limit.source) == ("2 GB", "large-address-aware flag")
    limit = limit_of(32, aware=True, wow64=False, partial=True, system=System(max_address=0x7FFEFFFF))
    assert (limit.name, limit.source) == ("2 GB", "SystemMemoryInfo")


def test_a_total_that_the_writer_recorded_comes_after_the_system_and_the_program() -> None:
    total = WriterRecord("Crashpad", memory={"TotalVirtualMemory": 4 * GB - 0x20000})
    assert limit_of(32, wow64=True, partial=True, writer=total).source == "the writer's TotalVirtualMemory"
    limit = limit_of(32, partial=True, writer=total, system=System(max_address=0x7FFEFFFF))
    assert (limit.name, limit.source) == ("2 GB", "SystemMemoryInfo")
    limit = limit_of(32, aware=False, partial=True, writer=total)
    assert (limit.name, limit.source) == ("2 GB", "large-address-aware flag")
    # 32-bit Windows gives no program 4 GB.
    limit = limit_of(32, wow64=False, partial=True, writer=total)
    assert (limit.name, limit.source, limit.size) == ("3 GB", "Windows version", 3 * GB - 0x10000)


def test_a_list_that_ends_in_the_middle_is_no_evidence() -> None:
    limit = limit_of(32, end=0x500000, wow64=None)
    assert (limit.size, limit.source, limit.exact, limit.reached) == (4 * GB, "pointer size", False, False)


def test_linux_has_no_flag_and_no_commit_of_this_kind() -> None:
    limit = limit_of(64, family="linux")
    assert not limit.windows
    assert limit.large_address_aware is None
    assert limit.reached


def test_the_program_is_the_one_that_the_peb_names() -> None:
    process = ProcessBuilder("x86").furnish()
    limit = address_limit(dumpmap.open(process.to_minidump().build()))
    assert limit.to_dict() == {
        "size": TOP_2GB,
        "name": "2 GB",
        "source": "memory list",
        "exact": True,
        "large_address_aware": False,
    }
    assert TOP_2GB > 2 * GB - MB
    flags = process.read_number(0x400000 + CHARACTERISTICS, 2)
    process.number(0x400000 + CHARACTERISTICS, flags | LARGE_ADDRESS_AWARE, 2)
    assert address_limit(dumpmap.open(process.to_minidump().build())).large_address_aware is True


@pytest.mark.parametrize(
    ("wow64", "build", "known", "words", "source"),
    [
        # Windows XP is a 32-bit system: 2 GB, or 3 GB if it was started so.
        (None, 2600, 0x7C900000, "at most 3 GB", "Windows version"),
        (False, 7601, 0x77000000, "at most 3 GB", "Windows version"),
        # The XP for x64 has a build of its own, and later builds exist in both widths.
        (None, 3790, 0x77000000, "at most 4 GB", "pointer size"),
        (True, 7601, 0x77000000, "at most 4 GB", "pointer size"),
        # Only 64-bit Windows has ranges there, and only for a program that is large address aware.
        (None, 7601, 0xC0010000, "4 GB", "known ranges"),
        (True, 7601, 0x90000000, "4 GB", "known ranges"),
        (None, 7601, 0x90000000, "at most 4 GB", "pointer size"),
    ],
)
def test_without_proof_the_limit_of_a_32_bit_process_is_an_upper_bound(
    wow64: bool | None, build: int, known: int, words: str, source: str
) -> None:
    region_map = Scene(32).map(partial=True, wow64=wow64, build=build, captured=[(known, 0x1000)])
    limit = address_limit(region_map)
    assert (limit.words, limit.source) == (words, source)
    judged = verdict(region_map)
    assert judged.address_space["limit_at_most"] == words.startswith("at most")
    if words.startswith("at most"):
        assert f"in an address space of {words} (inferred from the {source})" in judged.sentence
        text = to_markdown(diagnosis_view(region_map, judged, []))
        assert f"of {words} (inferred)" in text


@pytest.mark.parametrize(("short", "reached"), [(0, True), (MB - 0x10000, True), (MB, True), (MB + 0x10000, False)])
def test_a_list_may_end_a_megabyte_below_the_highest_address(short: int, reached: bool) -> None:
    # 1.5 GB are no end that a user space can have, so the system's figure counts.
    top = 0x60000000
    scene = Scene()
    scene.allocate(0x10000, base=top - short - 0x10000)
    limit = address_limit(scene.map(end=top - short, system=System(max_address=top - 1)))
    assert (limit.size, limit.source, limit.reached) == (top, "SystemMemoryInfo", reached)


@pytest.mark.parametrize("base", [TOP_2GB - 0x10000, TOP_2GB, TOP_2GB + 0x10000])
def test_what_begins_at_the_limit_is_not_the_processs_own(base: int) -> None:
    scene = Scene(32, top=TOP_128TB)  # as a 64-bit writer sees it
    scene.allocate(0x10000, base=0x400000, protect=PAGE_READONLY, type=MEM_IMAGE)
    scene.allocate(0x10000, base=base)
    module, header = program(32, aware=False)
    region_map = scene.map(modules=[module], memory=[(0x400000, header)], wow64=True)
    m = measurements_of(region_map)
    assert m.limit.size == TOP_2GB
    assert m.used.get(RegionType.PRIVATE_DATA, 0) == (0x10000 if base < TOP_2GB else 0)
    assert m.used_total == 0x10000 + (0x10000 if base < TOP_2GB else 0)


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        ({"Total": 5 * GB, "Free": 3 * GB, "Page Table": MB}, 8 * GB - MB),
        ({"Total": 5 * GB, "Free": 3 * GB, "Page Table": None}, 8 * GB),
        ({"Total": 5 * GB, "Free": 3 * GB}, 8 * GB),
        ({"Total": 5 * GB}, None),
        ({"Free": 3 * GB}, None),
        ({"Total": 5 * GB, "Free": None}, None),
        ({}, None),
    ],
)
def test_the_size_by_the_totals_of_a_file(rows: dict[str, int | None], size: int | None) -> None:
    one = Scene(64).map(partial=True)
    summary = tuple(SummaryRow(name, {"size": value} if value is not None else {}) for name, value in rows.items())
    assert _recorded_size(replace(one, snapshot=replace(one.snapshot, recorded_summary=summary))) == size
