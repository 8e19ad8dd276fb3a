"""The page of a batch: what ran out, when, in which program, and every dump in a table with its findings."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from dumpmap.analysis.rules import RULES, VERDICT_NAMES
from dumpmap.model.types import TYPES
from dumpmap.model.values import value_class
from dumpmap.render.html.assets import render_page
from dumpmap.render.html.compressed import compressed_json, pack_lists, pack_texts
from dumpmap.render.html.diagnosis import verdict_level
from dumpmap.render.html.writer import plain_table
from dumpmap.triage.columns import BY_NAME, TYPE_COLUMNS, TriageRow
from dumpmap.triage.rows import RANKS, rank_of
from dumpmap.views.table import LowerBound, Table, UpperBound, shown_columns
from dumpmap.views.triage import bounded_committed, bounded_largest_free
from dumpmap.wording.findings import EXPLANATIONS
from dumpmap.wording.verdicts import VERDICTS

_TEXTS = (
    "status",
    "error",
    "warning",
    "completeness",
    "format",
    "process",
    "version",
    "architecture",
    "os",
    "exception",
    "exception_line",
    "verdict",
    "sentence",
    "headline",
    "process_commit_source",
    "top_owner",
)
_NUMBERS = (
    "size",
    "warnings",
    "pid",
    "oom_size",
    "total_size",
    "committed",
    "private",
    "free_size",
    "fragmentation",
    "process_commit",
    "top_owner_size",
    "top_owner_committed",
    "owned_share",
    "threads",
    "heaps",
    "modules",
    "private_usage",
    "working_set",
    "commit_total",
    "commit_limit",
)
"""Columns in the page. Not `writer_message`: it can hold user data, which pages leave out."""

_TYPES = tuple((region_type, name) for region_type, figure, name in TYPE_COLUMNS if figure == "committed")
"""The types that can be committed, and their columns."""

_FACETS = (
    ("rank", "Severity"),
    ("verdict", "Verdict"),
    ("finding", "Finding"),
    ("process", "Process"),
    ("version", "Process and version"),
    ("owner", "Top owner"),
)
"""The lists of the page, with their titles."""

_NO_BOUND, _AT_LEAST, _AT_MOST = range(3)


@value_class(frozen=True, slots=True)
class _Heading:
    """A column of the table on the page."""

    name: str
    holds: Literal["rank", "text", "size", "count", "time"]
    title: str
    help: str
    left: bool = False


_HEADINGS = (
    _Heading("rank", "rank", "Severity", "severity of the worst finding, or why there is none"),
    _Heading("verdict", "text", "Verdict", BY_NAME["verdict"].meaning),
    _Heading("process", "text", "Process", BY_NAME["process"].meaning),
    _Heading("version", "text", "Version", BY_NAME["version"].meaning),
    _Heading("captured_at", "time", "Captured (UTC)", BY_NAME["captured_at"].meaning),
    _Heading("process_commit", "size", "Process commit", BY_NAME["process_commit"].meaning),
    _Heading("committed", "size", "Committed", BY_NAME["committed"].meaning),
    _Heading("largest_free", "size", "Largest free", BY_NAME["largest_free"].meaning, left=True),
    _Heading("top_owner", "text", "Top owner", "owner with the most private memory, by the resource that ran out"),
    _Heading("exception", "text", "Exception", BY_NAME["exception"].meaning),
    _Heading("headline", "text", "Worst finding", BY_NAME["headline"].meaning),
    _Heading("path", "text", "File", BY_NAME["path"].meaning),
)


def render_triage(
    rows: Iterable[TriageRow],
    *,
    conditions: Sequence[str] = (),
    undecided: int = 0,
    groups: Callable[[], Table] | None = None,
) -> str:
    """Returns the page of a batch.

    Args:
        rows: the rows, filtered and in order.
        conditions: what the rows were selected by, as texts.
        undecided: of how many rows a bound does not tell whether they are selected.
        groups: makes the table of groups to show beside the rows, when all rows are read.
    """
    packed = _Packed()
    for row in rows:
        packed.add(row)
    parts = render_page(
        "triage",
        [compressed_json(packed.document())],
        packed=True,
        name="Triage",
        count=packed.count,
        ranks=[(rank, name, packed.ranks[rank]) for rank, name in enumerate(RANKS)],
        verdicts=[
            (name, verdict_level(name), VERDICTS[name], packed.verdicts[name])
            for name in VERDICT_NAMES
            if packed.verdicts[name]
        ],
        verdict_colors=[
            (name or "no map", index) for index, name in enumerate((*VERDICT_NAMES, None)) if packed.verdicts[name]
        ],
        facets=_FACETS,
        span=packed.span(),
        conditions=conditions,
        undecided=undecided,
        groups=None if groups is None else plain_table(shown_columns(groups())),
        columns=_HEADINGS,
        types=[info for info in TYPES if info.type in {region_type for region_type, _ in _TYPES}],
    )
    return "".join(parts)


class _Packed:
    """The rows of a batch by column, as the page holds them."""

    def __init__(self) -> None:
        self.count = 0
        self.ranks: Counter[int] = Counter()
        self.verdicts: Counter[str | None] = Counter()
        self._paths: list[str] = []
        self._rank: list[int] = []
        self._time: list[int | None] = []
        self._findings: list[list[str]] = []
        self._bounds: dict[str, list[int]] = {"committed": [], "largest_free": []}
        self._free: list[int | None] = []
        self._texts: dict[str, list[str | None]] = {name: [] for name in _TEXTS}
        self._numbers: dict[str, list[Any]] = {name: [] for name in (*_NUMBERS, *(name for _, name in _TYPES))}

    def add(self, row: TriageRow) -> None:
        """Adds a row."""
        rank, free = rank_of(row), bounded_largest_free(row)
        self.count += 1
        self.ranks[rank] += 1
        self.verdicts[row["verdict"]] += 1
        self._paths.append(row["path"])
        self._rank.append(rank)
        self._time.append(_seconds(row["captured_at"]))
        self._findings.append(row["findings"] or [])
        self._free.append(free)
        self._bounds["committed"].append(_bound(bounded_committed(row)))
        self._bounds["largest_free"].append(_bound(free))
        for name, texts in self._texts.items():
            texts.append(row[name])
        for name, numbers in self._numbers.items():
            numbers.append(row[name])

    def span(self) -> tuple[str, str] | None:
        """The first and the last day of the dumps; None if no dump has a time."""
        known = [time for time in self._time if time is not None]
        if not known:
            return None
        first, last = (dt.datetime.fromtimestamp(time, dt.UTC).date().isoformat() for time in (min(known), max(known)))
        return first, last

    def document(self) -> dict[str, Any]:
        """The data of the page. Its shape is not an interface."""
        prefix = _folder(self._paths)
        findings = pack_lists(self._findings)
        return {
            "types": [info.name for info in TYPES],
            "type_columns": {name: int(region_type) for region_type, name in _TYPES},
            "ranks": list(RANKS),
            "verdicts": _verdict_texts(),
            "findings": {name: _finding_texts(name) for name in findings["values"]},
            "columns": [
                {"name": one.name, "holds": one.holds, "title": one.title, "help": one.help, "left": one.left}
                for one in _HEADINGS
            ],
            "count": self.count,
            "prefix": prefix,
            "paths": [path[len(prefix) :] for path in self._paths],
            "rank": self._rank,
            "time": self._time,
            "found": findings,
            "bounds": self._bounds,
            "texts": {name: pack_texts(texts) for name, texts in self._texts.items()},
            "numbers": {
                name: numbers if any(value is not None for value in numbers) else None
                for name, numbers in {**self._numbers, "largest_free": self._free}.items()
            },
        }


def _bound(value: int | None) -> int:
    return _AT_LEAST if isinstance(value, LowerBound) else _AT_MOST if isinstance(value, UpperBound) else _NO_BOUND


def _seconds(time: str | None) -> int | None:
    return None if time is None else int(dt.datetime.fromisoformat(time).timestamp())


def _folder(paths: Sequence[str]) -> str:
    """The folder that all paths begin with, with its separator; blank if there is none."""
    first, last = min(paths, default=""), max(paths, default="")
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: max(first.rfind("/", 0, same), first.rfind("\\", 0, same)) + 1]


def _verdict_texts() -> Mapping[str, dict[str, str]]:
    return {name: {"level": verdict_level(name), "meaning": VERDICTS[name]} for name in VERDICT_NAMES}


_SEVERITY = {rule.id: rule.severity for rule in RULES}


def _finding_texts(name: str) -> dict[str, str]:
    """What the page says of a finding; only its id of one that this version does not know."""
    texts = EXPLANATIONS.get(name)
    if texts is None:
        return {"title": name, "severity": "info", "meaning": "", "why": "", "confirm": "", "advice": ""}
    return {
        "title": texts.title,
        "severity": _SEVERITY[name],
        "meaning": texts.meaning,
        "why": texts.why,
        "confirm": texts.confirm,
        "advice": texts.advice,
    }
