"""The tools: what each answers. To add one, write a function here and add a row to `TOOLS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from dumpmap.errors import DumpmapError
from dumpmap.model.values import value_class
from dumpmap.serving import requests
from dumpmap.serving.batches import Batches
from dumpmap.serving.bounds import answer, page, window
from dumpmap.serving.folders import Folders, Place
from dumpmap.serving.maps import Maps
from dumpmap.views.table import Table, to_records
from dumpmap.wording.text import printable

if TYPE_CHECKING:
    from dumpmap.api import RegionMap

Document = dict[str, Any]

TRIAGE_COLUMNS = (
    *("path", "status", "error", "process", "version", "architecture", "captured_at", "verdict", "severity"),
    *("sentence", "findings", "exception_line", "completeness", "lower_bound", "committed", "largest_free"),
    *("largest_free_at_most", "process_commit", "process_commit_source", "top_owner", "top_owner_size"),
    *("top_owner_committed", "warning"),
)
"""The columns of a row of `triage`; the command line has all."""


@dataclass(frozen=True)
class Desk:
    """What the tools work with: the served folders, and what they keep between calls.

    Attributes:
        folders: the served folders.
        maps: opened inputs.
        batches: triaged files.
    """

    folders: Folders
    maps: Maps = field(default_factory=Maps)
    batches: Batches = field(default_factory=Batches)

    def map_of(self, path: str, owners: str = "structure") -> tuple[Place, RegionMap]:
        """Returns an input and its map."""
        place = self.folders.find_file(path)
        return place, self.maps.open(place, pointers=owners == "full")


@value_class(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: its name.
        help: what it answers, for the client.
        request: its arguments.
        answer: makes the answer.
    """

    name: str
    help: str
    request: type[requests.Request]
    answer: Callable[[Desk, Any], Document]


def call(desk: Desk, name: str, arguments: Document) -> Document:
    """Returns the answer of a tool.

    Raises:
        ValueError: there is no such tool, or its arguments are wrong; the message is one line.
        DumpmapError: an input cannot be read; the message is one line.
    """
    tool = next((tool for tool in TOOLS if tool.name == name), None)
    if tool is None:
        raise ValueError(f"there is no tool {printable(name[:40])!r}; the tools are {', '.join(t.name for t in TOOLS)}")
    return tool.answer(desk, requests.parse(tool.request, arguments))


def error_line(error: Exception) -> str:
    """Returns what a client reads about an error that `call` raised."""
    text = " ".join(printable(" ".join(str(error).split())).split())
    return text if isinstance(error, DumpmapError) else f"wrong arguments: {text}"


# ---------------------------------------------------------------- what documents share


def _served(document: Document, place: Place) -> Document:
    """Returns a document with the input's name instead of its path, and without the command line."""
    source, process = document["source"], document["process"]
    return {
        **document,
        "source": {**source, "path": place.title, "name": place.title},
        "process": {**process, "command_line": None},
        "warnings": [place.renamed(warning) for warning in document["warnings"]],
    }


def _page(request: Any, stamps: Sequence[Any], document: Document, table: Table) -> Document:
    """Returns a document with a page of a table's rows."""
    shown = _window(request, stamps)

    def rows(start: int, stop: int) -> list[Document]:
        return to_records(replace(table, rows=table.rows[start:stop]))

    return page(document, rows, len(table.rows), shown)


def _window(request: Any, stamps: Sequence[Any]) -> Any:
    asked = msgspec.to_builtins(request)
    kept = {name: value for name, value in asked.items() if name not in ("cursor", "limit")}
    return window([type(request).__name__, kept, *stamps], request.limit, request.cursor)


def _evidence(region_map: RegionMap) -> list[Document]:
    """Returns how much of each type rests on which evidence, the largest first."""
    frame = region_map.allocations
    sums = frame.groupby(["type", "evidence", "inferred"], observed=True)["size"].agg(["sum", "count"])
    rows = [
        {"type": type, "evidence": evidence, "inferred": bool(inferred), "size": int(size), "allocations": int(count)}
        for (type, evidence, inferred), size, count in zip(sums.index, sums["sum"], sums["count"], strict=True)
    ]
    return sorted(rows, key=lambda row: -row["size"])


# ---------------------------------------------------------------- the tools


def _open(desk: Desk, request: requests.OpenRequest) -> Document:
    place = desk.folders.find(request.path) if request.path else None
    if place is None or place.is_folder:
        return _listing(desk, request, place)
    from dumpmap.views.info import info_document

    place, region_map = desk.map_of(request.path)
    document = info_document(region_map)
    # What a crash reporter or a user wrote can hold anything; `dumpmap info` shows it.
    for name in ("comments", "annotations", "writer", "handle_types"):
        del document[name]
    return answer(_served(document, place))


def _listing(desk: Desk, request: requests.OpenRequest, place: Place | None) -> Document:
    folders = desk.folders
    shown = _window(request, ())
    found = folders.all_inputs() if place is None else folders.inputs(place)
    places = list(islice(found, shown.start, shown.start + shown.limit + 1))
    more = len(places) > shown.limit
    rows = [{"path": one.title, "size": one.stamp[2]} for one in places[: shown.limit]]
    document = {"schema": "dumpmap.served/1", "folder": "" if place is None else place.title}
    return page(document, lambda start, stop: rows[: stop - start], shown.start + len(rows) + more, shown)


def _summary(desk: Desk, request: requests.SummaryRequest) -> Document:
    from dumpmap.views.summary import summary_document

    place, region_map = desk.map_of(request.path)
    document = summary_document(region_map, region_map.findings())
    return answer({**_served(document, place), "evidence": _evidence(region_map)})


def _diagnose(desk: Desk, request: requests.DiagnoseRequest) -> Document:
    from dumpmap.views.diagnose import diagnosis_document
    from dumpmap.wording.verdicts import verdict

    place, region_map = desk.map_of(request.path, request.owners)
    findings = region_map.findings()
    judged = verdict(region_map, findings=findings)
    return answer(_served(diagnosis_document(region_map, judged, findings), place))


def _regions(desk: Desk, request: requests.RegionsRequest) -> Document:
    from dumpmap.views.documents import head
    from dumpmap.views.filters import parse_filter
    from dumpmap.views.regions import choose_regions, chosen_table

    filters = (request.type, request.kind, request.state, request.protection, request.module)
    chosen = parse_filter(*filters, request.min_size, request.owner)
    place, region_map = desk.map_of(request.path)
    chosen = chosen.containing(request.at, region_map)
    rows = choose_regions(region_map, chosen, blocks=request.blocks, sort=request.sort)
    document = {**_served(head("dumpmap.regions/1", region_map), place), "blocks": request.blocks}
    return _page(request, (place.stamp,), document, chosen_table(rows))


def _owners(desk: Desk, request: requests.OwnersRequest) -> Document:
    from dumpmap.analysis.owners import find_owners
    from dumpmap.views.documents import head
    from dumpmap.views.filters import parse_types
    from dumpmap.views.owner_records import owner_table
    from dumpmap.views.owner_rows import OwnersBy, OwnersSort

    types = parse_types(request.type)
    place, region_map = desk.map_of(request.path, request.owners)
    found = find_owners(region_map, types)
    document = {
        **_served(head("dumpmap.owners/1", region_map), place),
        "private_committed": found.private_committed,
        "owned_share": found.owned_share,
        "owned_share_facts": found.owned_share_facts,
        "unowned_committed": found.unowned_committed,
    }
    table = owner_table(region_map, found, OwnersBy(request.by), OwnersSort(request.sort))
    return _page(request, (place.stamp,), document, table)


def _heaps(desk: Desk, request: requests.HeapsRequest) -> Document:
    from dumpmap.views.documents import head
    from dumpmap.views.heaps import heap_table, no_heaps_text, range_table, stated_lines

    place, region_map = desk.map_of(request.path)
    document = {
        **_served(head("dumpmap.heaps/1", region_map), place),
        "heap_list_captured": region_map.heap_list_captured,
        "remarks": stated_lines(region_map) if region_map.heaps else [no_heaps_text(region_map)],
    }
    table = range_table(region_map) if request.segments else heap_table(region_map)
    return _page(request, (place.stamp,), document, table)


def _address(desk: Desk, request: requests.AddressRequest) -> Document:
    from dumpmap.views.address import location_document
    from dumpmap.views.filters import parse_address

    place, region_map = desk.map_of(request.path, request.owners)
    wanted = [parse_address(text, region_map) for text in request.addresses]
    document = location_document(region_map, [(address, region_map.at(address)) for address in wanted])
    for found in document["addresses"]:
        del found["bytes"]  # answers carry no content of memory
    return answer(_served(document, place))


def _diff(desk: Desk, request: requests.DiffRequest) -> Document:
    from dumpmap.api import diff
    from dumpmap.views.diff import change_table, diff_document

    before, a = desk.map_of(request.before)
    after, b = desk.map_of(request.after)
    difference = diff(a, b)
    document = diff_document(difference, 0)
    del document["allocations"]  # they are the rows
    for side, place in (("a", before), ("b", after)):
        document[side] = {**document[side], "path": place.title, "name": place.title}
    return _page(request, (before.stamp, after.stamp), document, change_table(difference))


def _triage(desk: Desk, request: requests.TriageRequest) -> Document:
    from dumpmap.triage.groups import Grouping
    from dumpmap.triage.selection import select
    from dumpmap.views.triage import GROUP_FIGURES, group_records

    figures = [figure.name for figure in GROUP_FIGURES]
    selection = select(
        request.where, severity=request.severity, sort=request.sort, group_by=request.group_by, figures=figures
    )
    grouping = Grouping(request.group_by) if request.group_by else None
    folders = desk.folders
    places = [folders.find(request.path)] if request.path else folders.places
    finished = desk.batches.triage(folders, places)
    rows, left = finished.rows, finished.left
    kept = [row for row in rows if selection.keeps(row)]
    document = {
        "schema": "dumpmap.triage/1",
        "files": len(rows),
        "files_left": left,
        "hint": f"{left:,} files are not read yet: ask the same again" if left else None,
        "undecided": sum(selection.judge(row) is None for row in rows),
    }
    if grouping is None:
        ordered = list(selection.order(kept, lambda row: row[selection.sort_column or "path"]))
        records = [{name: row[name] for name in TRIAGE_COLUMNS} for row in ordered]
    else:
        for row in kept:
            grouping.add(row)
        records = list(group_records(grouping.chosen(selection), request.group_by).records)
    shown = _window(request, (len(rows), left))
    return page(document, lambda start, stop: records[start:stop], len(records), shown)


TOOLS = (
    Tool(
        "open",
        "List the dumps that are served, or say what one contains: process, exception, streams, how complete it is, "
        "and what a better dump would add. Begin here.",
        requests.OpenRequest,
        _open,
    ),
    Tool(
        "summary",
        "What took the memory, by VMMap's types, with the evidence of each, the largest free block, and the findings.",
        requests.SummaryRequest,
        _summary,
    ),
    Tool(
        "diagnose",
        "Whether the process ran out of address space, of commit, or of a runtime's heap limit, with the figures and "
        "the source of each, and who took the memory.",
        requests.DiagnoseRequest,
        _diagnose,
    ),
    Tool(
        "regions",
        "The allocations or regions of the address space with size, protection, owner, and evidence; filters and "
        "sorting.",
        requests.RegionsRequest,
        _regions,
    ),
    Tool(
        "owners",
        "Who took the memory: runtimes (V8, Java, .NET, Go, Python), allocators, heaps, modules, and groups of equal "
        "allocations without an owner, with evidence and what is inferred.",
        requests.OwnersRequest,
        _owners,
    ),
    Tool("heaps", "The heaps or their segments, with fragmentation and evidence.", requests.HeapsRequest, _heaps),
    Tool(
        "address",
        "What is at an address: allocation, region, section, thread, heap, owner, and the proof. No bytes.",
        requests.AddressRequest,
        _address,
    ),
    Tool(
        "diff",
        "What changed between two inputs: types, owners, findings, and allocations.",
        requests.DiffRequest,
        _diff,
    ),
    Tool(
        "triage",
        "One row for each dump of a folder, the worst first, or counts by columns. Large folders take several calls: "
        "`files_left` says how many files are left.",
        requests.TriageRequest,
        _triage,
    ),
)
"""Every tool, in the order in which a client lists them."""
