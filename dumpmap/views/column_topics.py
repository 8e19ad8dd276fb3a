"""The pages of columns and figures. Every text comes from the reference that the table or the document is made from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from dumpmap.analysis.gate_figures import FIGURES
from dumpmap.analysis.heaps import HeapRangeRow, HeapRow
from dumpmap.model.columns import ALLOCATION, LARGEST, REGION_COLUMNS
from dumpmap.model.location import Location
from dumpmap.model.snapshot import Counters
from dumpmap.model.stacks import Stack
from dumpmap.structures.blocks import SizeClass
from dumpmap.triage.columns import COLUMNS
from dumpmap.views.modules import MODULE_COLUMNS
from dumpmap.wording.topics import Topic, short_topic

_ATTRIBUTE = re.compile(r" {4}(\w+): (.*)")

_CLASSES: tuple[tuple[str, type], ...] = (
    ("column of `heaps`", HeapRow),
    ("column of `heaps --segments`", HeapRangeRow),
    ("column of `heaps --blocks`", SizeClass),
    ("column of `stacks`", Stack),
    ("field of `address`", Location),
    ("key of `counters` in JSON", Counters),
)
"""Classes whose attributes are columns or keys."""


def attribute_texts(documented: type) -> dict[str, str]:
    """Reads the attributes of a class and what they mean from its docstring."""
    texts: dict[str, str] = {}
    name = ""
    section = inspect.getdoc(documented) or ""
    for line in section.partition("Attributes:\n")[2].split("\n"):
        match = _ATTRIBUTE.fullmatch(line)
        if match is not None:
            name = match[1]
            texts[name] = match[2]
        elif line.startswith(" " * 8) and name:
            texts[name] += f" {line.strip()}"
        else:
            break
    return texts


def column_topics() -> Iterator[Topic]:
    """The columns of regions, the summary, and triage, the figures of rules files, and the columns of other tables."""
    for column in (ALLOCATION, *REGION_COLUMNS):
        yield short_topic(column.name, "column", "column of `regions` and `export`", column.help)
    yield short_topic(LARGEST.name, "column", "column of `summary`", LARGEST.help)
    for figure in FIGURES:
        yield short_topic(figure.name, "column", f"figure of rules files, {figure.unit}", figure.meaning)
    for triaged in COLUMNS:
        yield short_topic(triaged.name, "column", f"column of `triage`, {triaged.holds}", triaged.meaning)
    for about, documented in _CLASSES:
        for name, meaning in attribute_texts(documented).items():
            yield short_topic(name, "column", about, meaning)
    for shown in MODULE_COLUMNS:
        yield short_topic(shown.name, "column", "column of `modules`", shown.help)
