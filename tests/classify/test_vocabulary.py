"""Every kind and every word of evidence in a map is in the tables, once and with a meaning."""

from __future__ import annotations

import pytest
from support.recorded import DUMPS

import dumpmap
from dumpmap.classify.vocabulary import EVIDENCE, KINDS


def test_names_are_unique_and_explained() -> None:
    for names in ([info.name for info in KINDS], [info.name for info in EVIDENCE]):
        assert len(names) == len(set(names))
    assert all(info.meaning.endswith((".", ").")) and info.source.endswith(".") for info in KINDS)
    assert all(info.meaning.endswith(".") for info in EVIDENCE)


@pytest.mark.parametrize("name", DUMPS)
def test_every_label_of_the_recorded_dumps_is_in_the_tables(name: str) -> None:
    region_map = dumpmap.open(DUMPS[name])
    kinds = {info.name: info.type for info in KINDS}
    words = {info.name for info in EVIDENCE}
    for row in region_map.allocations[["type", "kind", "evidence"]].drop_duplicates().to_dict("records"):
        for kind in filter(None, str(row["kind"]).split(", ") if row["kind"] == "PEB, TEB" else [row["kind"]]):
            assert kind in kinds, row
            expected = kinds[kind]
            assert expected is None or expected.label == row["type"], row
        assert set(row["evidence"].split("+")) <= words, row
    images = region_map.structures.images.values()
    sections = {section.name for image in images for section in image.sections}
    for row in region_map.regions[["kind", "evidence"]].drop_duplicates().to_dict("records"):
        assert row["kind"] in kinds or row["kind"] in sections or row["kind"] in ("", "PEB, TEB"), row
        assert set(row["evidence"].split("+")) <= words, row
