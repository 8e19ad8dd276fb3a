"""JSON Schemas of all documents of the commands; `cli_schemas` has the parts and the larger ones."""

from __future__ import annotations

from pathlib import Path

from dumpmap.analysis.rules import RULES, VERDICT_NAMES
from dumpmap.triage.columns import COLUMNS, STATUSES, TriageColumn
from dumpmap.views.triage import GROUP_FIGURES

from .cli_schemas import (
    ADDRESS,
    BOUND,
    BYTES,
    FIGURES,
    FLAG,
    HEX,
    INFO,
    MODULES,
    OWNERS,
    REGION_GROUPS,
    REGIONS,
    REGIONS_BY_BLOCK,
    STACKS,
    SUMMARY,
    TEXT,
    TIME,
    TYPES,
    WHO,
    Schema,
    head,
    maybe,
    record,
    rows,
)

BASE = str(Path(__file__).parents[1] / "fixtures" / "leak-x64-before.dmp.gz")
RULES_FILE = str(Path(__file__).with_name("schema_rules.toml"))

INT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
STATE: Schema = {"enum": ["out", "low", "ok", "unknown"]}
VERDICT: Schema = {"enum": list(VERDICT_NAMES)}
FINDING_ID: Schema = {"enum": [rule.id for rule in RULES]}
SEVERITY: Schema = {"enum": ["critical", "warning", "info"]}
BLOCK = record(address=HEX, size=BYTES)
FINDINGS = rows(record(id=FINDING_ID, severity=SEVERITY, title=TEXT, detail=TEXT, values={"type": "object"}))

# ---------------------------------------------------------------- heaps and free space

_HEAPS = {
    **head("heaps"),
    "heap_list_captured": maybe(FLAG),
    "heaps": rows(
        record(
            id=BYTES,
            address=HEX,
            bits=maybe({"enum": [32, 64]}),
            kind=TEXT,
            name=maybe(TEXT),
            heap_class=maybe(TEXT),
            is_default=FLAG,
            flags=HEX,
            flag_names=rows(TEXT),
            lfh=maybe(FLAG),
            segments=BYTES,
            large_blocks=BYTES,
            allocations=BYTES,
            reserved=BYTES,
            committed=BYTES,
            uncommitted=BYTES,
            uncommitted_ranges=BYTES,
            largest_uncommitted=BYTES,
            fragmentation=SHARE,
            va_fragmentation=SHARE,
            next_segment=maybe(BYTES),
            free=maybe(BYTES),
            stated_reserved=maybe(BYTES),
            stated_committed=maybe(BYTES),
            stated_segments=maybe(BYTES),
            commit_failures=maybe(BYTES),
            evidence=TEXT,
            inferred=FLAG,
        )
    ),
}
HEAPS = record(**_HEAPS)
HEAPS_IN_FULL = record(
    **_HEAPS,
    ranges=rows(
        record(
            heap=BYTES,
            heap_address=HEX,
            address=HEX,
            size=BYTES,
            role=TEXT,
            allocation=HEX,
            committed=BYTES,
            uncommitted_ranges=BYTES,
            largest_uncommitted=BYTES,
            evidence=TEXT,
            inferred=FLAG,
        )
    ),
    blocks=rows(
        record(
            heap=BYTES,
            heap_address=HEX,
            limit=maybe(BYTES),
            busy_count=BYTES,
            busy_bytes=BYTES,
            free_count=BYTES,
            free_bytes=BYTES,
        )
    ),
    block_problems=rows(TEXT),
)
_NEIGHBOUR = maybe(record(address=HEX, size=BYTES, type={"enum": TYPES}, kind=TEXT, details=TEXT))
FREE = record(
    **head("free"),
    address_space_limit=maybe(
        record(size=maybe(BYTES), name=TEXT, source=TEXT, exact=FLAG, large_address_aware=maybe(FLAG))
    ),
    complete=maybe(FLAG),
    free=maybe(BYTES),
    free_blocks=maybe(BYTES),
    largest_free_block=maybe(BLOCK),
    fragmentation=maybe(SHARE),
    tiny_block_size=maybe(BYTES),
    tiny_blocks=maybe(BYTES),
    unusable=maybe(BYTES),
    crash_reporter_reserve=maybe(BLOCK),
    histogram=maybe(rows(record(min_bytes=BYTES, max_bytes=BYTES, count=BYTES, bytes=BYTES))),
    largest_blocks=maybe(rows(record(address=HEX, size=BYTES, before=_NEIGHBOUR, after=_NEIGHBOUR))),
    unusable_causes=maybe(rows(record(type={"enum": TYPES}, kind=TEXT, size=BYTES, count=BYTES, unusable=BYTES))),
    free_at_most=BOUND,
    largest_free_block_at_most=BOUND,
    fits=rows(
        record(
            size=BYTES,
            alignment=BYTES,
            fits=maybe(FLAG),
            count=maybe(BYTES),
            address=maybe(HEX),
            largest=maybe(BYTES),
            complete=FLAG,
            reason=maybe(TEXT),
            largest_at_most=maybe(BYTES),
        )
    ),
)

# ---------------------------------------------------------------- verdicts

DIAGNOSIS = record(
    **head("diagnosis"),
    verdict=VERDICT,
    sentence=TEXT,
    signals=rows(
        record(
            id=FINDING_ID,
            about=TEXT,
            strength={"enum": ["recorded", "measured", "inferred"]},
            text=TEXT,
            values={"type": "object"},
        )
    ),
    address_space=record(
        state=STATE,
        limit=maybe(BYTES),
        limit_name=maybe(TEXT),
        limit_source=TEXT,
        limit_at_most=FLAG,
        large_address_aware=maybe(FLAG),
        complete=FLAG,
        used=maybe(BYTES),
        used_by_counter=maybe(BYTES),
        available_by_writer=maybe(BYTES),
        free=maybe(BYTES),
        largest_free_block=maybe(BLOCK),
        free_at_most=BOUND,
        largest_free_block_at_most=BOUND,
        fragmentation=maybe(SHARE),
        requested=maybe(BYTES),
    ),
    commit=record(
        state=STATE,
        system_total=maybe(BYTES),
        system_total_is_lower_bound=FLAG,
        system_limit=maybe(BYTES),
        system_ratio=maybe(NUMBER),
        process_private=maybe(BYTES),
        process_share=maybe(NUMBER),
        job_usage=maybe(BYTES),
        job_limit=maybe(BYTES),
        source=maybe(TEXT),
    ),
    heap_limit=record(
        state=STATE,
        runtime=maybe(TEXT),
        used=maybe(BYTES),
        limit=maybe(BYTES),
        ratio=maybe(NUMBER),
        includes_garbage=FLAG,
        location=maybe(TEXT),
        source=maybe(TEXT),
    ),
    who_took_it=WHO,
    findings=FINDINGS,
)
_SORTS = ["finding", "verdict", "type", "kind", "owner", "evidence", "term", "code", "column"]
EXPLAIN = record(
    schema={"const": "dumpmap.explain/1"},
    topics=rows(
        record(
            name=TEXT,
            sort={"enum": _SORTS},
            title=TEXT,
            sections=rows(
                record(
                    heading=TEXT, text=TEXT, rows=rows({"type": "object", "additionalProperties": {"type": "string"}})
                )
            ),
        )
    ),
)
CHECK = record(
    schema={"const": "dumpmap.check/1"},
    ok=FLAG,
    inputs=rows(
        record(
            schema={"const": "dumpmap.check/1"},
            input=TEXT,
            ok=FLAG,
            error=maybe(TEXT),
            failed=BYTES,
            results=rows(
                record(
                    rule=TEXT,
                    ok=FLAG,
                    skipped=FLAG,
                    actual={"type": ["number", "string", "null"]},
                    limit=TEXT,
                    message=TEXT,
                )
            ),
        )
    ),
)

# ---------------------------------------------------------------- several inputs

_CHANGE = record(a=maybe(NUMBER), b=maybe(NUMBER), delta=maybe(NUMBER))
_SIDE = record(
    path=maybe(TEXT),
    name=TEXT,
    captured_at=maybe(TIME),
    process=maybe(TEXT),
    pid=maybe(BYTES),
    completeness={"enum": ["full", "map", "partial"]},
)
DIFF = record(
    schema={"const": "dumpmap.diff/1"},
    a=_SIDE,
    b=_SIDE,
    same_process=FLAG,
    notes=rows(TEXT),
    types=rows(record(type={"enum": ["Total", *TYPES]}, **dict.fromkeys((*FIGURES, "largest"), _CHANGE))),
    owners=rows(
        record(
            owner=maybe(TEXT),
            module=maybe(TEXT),
            instance_a=maybe(TEXT),
            instance_b=maybe(TEXT),
            match=maybe(TEXT),
            size=_CHANGE,
            committed=_CHANGE,
            parts=rows(
                record(
                    kind=maybe(TEXT),
                    type=maybe({"enum": TYPES}),
                    size_each=maybe(BYTES),
                    size=_CHANGE,
                    committed=_CHANGE,
                    count=_CHANGE,
                )
            ),
        )
    ),
    lower_bounds=record(a=rows(TEXT), b=rows(TEXT)),
    free=record(
        **dict.fromkeys(
            ("free", "free_blocks", "largest_free_block", "fragmentation", "tiny_block_size", "unusable"), _CHANGE
        )
    ),
    counters={"type": "object", "additionalProperties": _CHANGE},
    verdicts=record(a=VERDICT, b=VERDICT),
    findings=record(gained=FINDINGS, lost=FINDINGS),
    counts=record(**dict.fromkeys(("added", "removed", "grown", "shrunk", "changed", "moved", "same"), BYTES)),
    allocations=rows(
        record(
            status={"enum": ["added", "removed", "grown", "shrunk", "changed", "moved"]},
            match=TEXT,
            type={"enum": TYPES},
            kind=TEXT,
            details=TEXT,
            address_a=maybe(HEX),
            address_b=maybe(HEX),
            **{
                f"{figure}_{suffix}": maybe(INT)
                for figure in ("size", "committed", "private")
                for suffix in ("a", "b", "delta")
            },
        )
    ),
)


def _timeline(unit: str) -> Schema:
    """A timeline whose inputs have times, or one of samples."""
    per = ("second", "hour") if unit == "seconds" else ("sample",)
    slopes = {f"{name}_per_{one}": maybe(NUMBER) for name in ("slope", "slope_low", "slope_high") for one in per}
    series = {
        "name": maybe(TEXT),
        "type": maybe(TEXT),
        "metric": TEXT,
        "count": maybe(BYTES),
        "values": rows(maybe(NUMBER)),
        "lower_bounds": rows(maybe(NUMBER)),
        "first": maybe(NUMBER),
        "last": maybe(NUMBER),
        "delta": maybe(NUMBER),
        "grows": FLAG,
        "sparkline": rows(maybe(SHARE)),
        **slopes,
    }
    forecast = {"figure": TEXT, "left": NUMBER}
    forecast |= {f"{word}_{unit}": NUMBER for word in ("expected", "earliest", "latest")}
    return record(
        schema={"const": "dumpmap.timeline/1"},
        unit={"const": unit},
        confidence=SHARE,
        notes=rows(TEXT),
        points=rows(record(name=TEXT, captured_at=maybe(TIME), at=NUMBER)),
        types=rows(record(**series)),
        events=rows(record(point=BYTES, kind={"enum": ["exception", "restart"]}, name=TEXT)),
        figures=rows(record(**series)),
        groups=rows(record(**series)),
        owners=rows(record(owner=maybe(TEXT), module=maybe(TEXT), kind=maybe(TEXT), **series)),
        growing=rows(record(**series)),
        forecasts=rows(record(**forecast)),
    )


TIMELINE: Schema = {"anyOf": [_timeline("seconds"), _timeline("samples")]}

_HOLDS: dict[str, Schema] = {
    "text": TEXT,
    "texts": rows(TEXT),
    "size": BYTES,
    "count": BYTES,
    "share": SHARE,
    "seconds": {"type": "number", "minimum": 0},
    "flag": FLAG,
    "time": TIME,
}


def _column(column: TriageColumn) -> Schema:
    """A column of a row: every value can be unknown, except for the file and what became of it."""
    if column.name == "status":
        return {"enum": list(STATUSES)}
    if column.name == "verdict":
        return maybe(VERDICT)
    schema = {**_HOLDS[column.holds], "description": column.meaning}
    return schema if column.name == "path" else maybe(schema)


_GROUP = {
    figure.name: FLAG if figure.holds == "flag" else TEXT if figure.holds == "text" else maybe(BYTES)
    for figure in GROUP_FIGURES
}
_TRIAGE = {
    "schema": {"const": "dumpmap.triage/1"},
    "tool": TEXT,
    "counts": record(
        **dict.fromkeys(("found", "done", "cached", "errors", "skipped", "critical", "warning", "info"), BYTES)
    ),
    "selection": record(
        where=rows(TEXT), severity=maybe(SEVERITY), sort=maybe(TEXT), top=maybe(BYTES), undecided=BYTES
    ),
    "rows": rows(record(**{column.name: _column(column) for column in COLUMNS})),
}
TRIAGE = record(**_TRIAGE, group_by={"const": []}, groups={"type": "null"})
TRIAGE_GROUPS = record(
    **_TRIAGE,
    group_by=rows(TEXT),
    # Besides these figures, a group has the values of the columns that it is of.
    groups=rows({"type": "object", "properties": _GROUP, "required": list(_GROUP)}),
)

SCHEMAS: dict[str, tuple[list[str], Schema]] = {
    "summary": (["summary"], SUMMARY),
    "regions": (["regions"], REGIONS),
    "regions by block": (["regions", "--blocks"], REGIONS_BY_BLOCK),
    "region groups": (["regions", "--group-by", "owner,state,size"], REGION_GROUPS),
    "address": (["address"], ADDRESS),
    "owners": (["owners"], OWNERS),
    "heaps": (["heaps"], HEAPS),
    "heaps in full": (["heaps", "--segments", "--blocks"], HEAPS_IN_FULL),
    "stacks": (["stacks"], STACKS),
    "modules": (["modules"], MODULES),
    "free": (["free", "--fit", "64MB"], FREE),
    "info": (["info"], INFO),
    "diagnosis": (["diagnose"], DIAGNOSIS),
    "explain": (["explain"], EXPLAIN),
    "diff": (["diff", BASE], DIFF),
    "timeline": (["timeline", BASE], TIMELINE),
    "triage": (["triage", "--engine", "serial"], TRIAGE),
    "triage groups": (["triage", "--engine", "serial", "--group-by", "verdict,finding"], TRIAGE_GROUPS),
    "check": (["check", "--rules", RULES_FILE, "--baseline", BASE], CHECK),
}
"""A command line without its file, and the schema of what it writes as JSON."""

OF_INPUTS = [name for name, (words, _) in SCHEMAS.items() if words != ["explain"]]
"""The documents about inputs."""
