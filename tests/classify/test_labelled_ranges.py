"""Ranges of recognisers in a map: what changes the type, what only names, and what stays as it is."""

from __future__ import annotations

import numpy as np

from dumpmap.classify.labels import Labels, start_labels
from dumpmap.classify.recognised import label_ranges
from dumpmap.classify.space import group_allocations
from dumpmap.model.recognised import LabelledRange
from dumpmap.model.snapshot import Process, Snapshot, Source, make_regions
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType

COMMIT, PRIVATE, MAPPED, READWRITE = 0x1000, 0x20000, 0x40000, 4
BASE, SIZE = 0x100000, 0x10000


def labelled(*ranges: LabelledRange, kind: int = PRIVATE) -> tuple[AllocationSpace, Labels]:
    regions = make_regions([(BASE, BASE, READWRITE, SIZE, COMMIT, READWRITE, kind)])
    space = group_allocations(regions)
    snapshot = Snapshot(source=Source(kind="minidump", name="x"), process=Process(), regions=regions)
    labels = start_labels(snapshot, space)
    label_ranges(ranges, space, labels)
    return space, labels


def marks(labels: Labels) -> list[tuple[int, int, str, RegionType | None]]:
    return [(mark.start - BASE, mark.end - BASE, mark.label.kind, mark.label.type) for mark in labels.marks]


def test_a_range_without_a_type_only_names() -> None:
    part = LabelledRange(BASE + 0x1000, 0xC000, "V8 old space", "v8-page-header", details="isolate 1", owner="V8")
    _, labels = labelled(part)
    assert marks(labels) == [(0x1000, 0xD000, "V8 old space", None)]
    assert labels.types.tolist() == [RegionType.PRIVATE_DATA]
    assert labels.texts.text(int(labels.kinds[0])) == "V8 old space"
    assert labels.texts.text(int(labels.details[0])) == "isolate 1"


def test_a_small_range_leaves_the_allocation_alone() -> None:
    part = LabelledRange(BASE, SIZE // 2, "part", "word", RegionType.MANAGED_HEAP)
    _, labels = labelled(part)
    assert marks(labels) == [(0, SIZE // 2, "part", RegionType.MANAGED_HEAP)]
    assert not labels.claimed.any()
    assert labels.types.tolist() == [RegionType.PRIVATE_DATA]


def test_an_allocation_that_ranges_fill_is_theirs_and_the_rest_is_private_data() -> None:
    parts = [
        LabelledRange(BASE, 0x4000, "tables", "word", RegionType.MANAGED_HEAP, module="rt.dll"),
        LabelledRange(
            BASE + 0x8000, 0x6000, "young", "word", RegionType.MANAGED_HEAP, module="rt.dll", whole_kind="GC"
        ),
    ]
    _, labels = labelled(*parts)
    assert labels.types.tolist() == [RegionType.MANAGED_HEAP]
    assert labels.texts.text(int(labels.kinds[0])) == "GC"
    assert labels.texts.text(int(labels.details[0])) == "rt.dll"
    assert marks(labels)[2:] == [
        (0x4000, 0x8000, "", RegionType.PRIVATE_DATA),
        (0xE000, 0x10000, "", RegionType.PRIVATE_DATA),
    ]


def test_ranges_of_two_owners_do_not_add_up() -> None:
    parts = [LabelledRange(BASE + at, 0x5000, "part", "word", owner=f"owner {at}") for at in (0, 0x8000)]
    _, labels = labelled(*parts)
    assert len(labels.marks) == 2
    assert not labels.claimed.any()


def test_a_range_in_a_mapped_view_is_not_labelled() -> None:
    _, labels = labelled(LabelledRange(BASE, SIZE, "part", "word"), kind=MAPPED)
    assert not labels.marks
    assert np.array_equal(labels.types, [RegionType.SHAREABLE])


def test_a_reported_range_takes_its_allocation() -> None:
    part = LabelledRange(
        BASE, 0x1000, "Gen2", "managed-heap", RegionType.MANAGED_HEAP, takes_allocation=True, whole_kind="GC"
    )
    _, labels = labelled(part)
    assert marks(labels) == [(0, 0x1000, "Gen2", RegionType.MANAGED_HEAP)]
    assert labels.types.tolist() == [RegionType.MANAGED_HEAP]
    assert labels.texts.text(int(labels.kinds[0])) == "GC"
