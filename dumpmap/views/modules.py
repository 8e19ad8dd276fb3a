"""What `modules` shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dumpmap.analysis.module_origin import Origin, module_origin
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Module
from dumpmap.structures.version import VersionTexts, version_texts
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records
from dumpmap.wording.text import count_words

MODULE_COLUMNS = (
    Column("base", "address", help="address that the module is loaded at"),
    Column("end", "address", optional=2, help="first address behind the module"),
    Column("size", "size", help="bytes of the module in memory"),
    Column("committed", "size", help="committed bytes of the module"),
    Column("private", "size", optional=1, help="committed bytes that no other process can share"),
    Column("name", help="file name"),
    Column("version", help="file version"),
    Column("product_version", optional=6, help="product version in the words of its company"),
    Column("timestamp", "hex", optional=3, help="time stamp of the image's header; a hash in reproducible builds"),
    Column("sections", "count", optional=4, help="sections of the image"),
    Column("company", optional=5, help="company in the version resource"),
    Column("path", shown=False, help="path that the module was loaded from"),
    Column("checksum", "hex", shown=False, help="checksum of the image's header"),
    Column("debug_id", shown=False, help="identity of the module's symbols"),
    Column("debug_file", shown=False, help="file of the module's symbols"),
    Column("in_map", "flag", shown=False, help="whether the module is in an allocation of the map"),
    Column(
        "vendor",
        shown=False,
        help="whose it is: `Microsoft`, `third party`, or blank if the input does not say",
    ),
    Column("vendor_source", shown=False, help="what tells the vendor: `company` of the version resource, or `path`"),
)

_MOST_NAMES = 20
"""Most modules of unknown vendor that are named."""


def _version_texts(region_map: RegionMap, module: Module) -> VersionTexts:
    image = region_map.structures.images.get(module.base)
    return VersionTexts() if image is None else version_texts(region_map.snapshot.memory, module.base, image)


def _origin(region_map: RegionMap, module: Module, texts: VersionTexts) -> Origin:
    """Returns whose a module is; on other systems than Windows, Microsoft or not is no question."""
    if region_map.process.os.family != "windows":
        return Origin(None, None)
    return module_origin(module.path, texts.company)


def module_table(region_map: RegionMap, *, third_party: bool = False) -> Table:
    """Returns one row per module, by address; with `third_party` only those that are not Microsoft's."""
    allocations = region_map.allocation_columns
    rows = []
    for module in sorted(region_map.snapshot.modules, key=lambda module: module.base):
        texts = _version_texts(region_map, module)
        origin = _origin(region_map, module, texts)
        if third_party and origin.vendor != "third party":
            continue
        index = region_map.space.index_of(module.base)
        image = region_map.structures.images.get(module.base)
        committed = int(allocations.committed[index]) if index >= 0 else None
        private = int(allocations.private[index]) if index >= 0 and not region_map.partial else None
        rows.append(
            [
                module.base,
                module.base + module.size,
                module.size,
                committed,
                private,
                module.name,
                module.version,
                texts.product_version,
                module.timestamp,
                None if image is None else len(image.sections),
                texts.company,
                module.path,
                module.checksum,
                module.debug_id,
                module.debug_file,
                index >= 0,
                *origin,
            ]
        )
    return Table(MODULE_COLUMNS, rows, region_map.address_width)


def _unknown_vendor(region_map: RegionMap) -> list[str]:
    """Returns the names of the modules that may or may not be Microsoft's."""
    if region_map.process.os.family != "windows":
        return []
    return [
        module.name
        for module in region_map.snapshot.modules
        if _origin(region_map, module, _version_texts(region_map, module)).vendor is None
    ]


def module_document(region_map: RegionMap, *, third_party: bool = False) -> dict[str, Any]:
    """Returns `dumpmap.modules/1`."""
    table = module_table(region_map, third_party=third_party)
    return {
        **head("dumpmap.modules/1", region_map),
        "modules": to_records(table),
        "unknown_vendor": _unknown_vendor(region_map),
    }


def module_view(region_map: RegionMap, *, third_party: bool = False) -> Iterator[Block]:
    """Yields what `modules` shows to people: the table and, with `third_party`, what it rests on."""
    table = module_table(region_map, third_party=third_party)
    if third_party and not table.rows:
        yield Paragraph("No module is known to be a third party's.")
    else:
        yield table
    if not third_party:
        return
    by_path = sum(row[-1] == "path" for row in table.rows)
    unknown = _unknown_vendor(region_map)
    if by_path or unknown:
        yield Blank()
    if by_path:
        yield Paragraph(
            "Listed by path, because the input does not hold the company of the version resource: "
            f"{by_path:,} of {count_words(len(table.rows), 'module')}."
        )
    if unknown:
        more = ", ..." if len(unknown) > _MOST_NAMES else ""
        yield Paragraph(
            f"Not listed, because the input holds neither company nor folder: {count_words(len(unknown), 'module')} "
            f"({', '.join(unknown[:_MOST_NAMES])}{more})."
        )
