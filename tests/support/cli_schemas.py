"""JSON Schemas of the documents that scripts rely on, written from the contract and not from the code.

Nothing may be missing and nothing may be there besides: a key that comes or goes is a change of the contract, and
belongs into the schema's version.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

HEX: Schema = {"type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]{0,15})$"}
BYTES: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}

TYPES = [
    "Image",
    "Mapped File",
    "Shareable",
    "Heap",
    "Managed Heap",
    "Stack",
    "Private Data",
    "Page Table",
    "Unusable",
    "Free",
    "Unknown",
]
WORKING_SET = ["total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws"]


def maybe(schema: Schema) -> Schema:
    """The value, or null where it is not known."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(**members: Schema) -> Schema:
    """An object with exactly these members."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def rows(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


SOURCE = {
    "path": maybe(TEXT),
    "name": TEXT,
    "kind": {"enum": ["minidump", "live", "vmmap"]},
    "size": maybe(BYTES),
    "container": maybe({"enum": ["gzip", "zstd", "zip"]}),
    "captured_at": maybe(TIME),
    "flags": maybe(HEX),
    "streams": rows(TEXT),
}
PROCESS = record(
    pid=maybe(BYTES),
    name=maybe(TEXT),
    path=maybe(TEXT),
    command_line=maybe(TEXT),
    architecture=TEXT,
    pointer_size={"enum": [4, 8]},
    wow64=maybe(FLAG),
    os=record(
        family={
            "enum": [
                *("windows", "linux", "android", "macos", "ios", "solaris", "ps3", "nacl", "fuchsia", "unix", "other"),
            ]
        },
        version=maybe(TEXT),
        build=maybe(BYTES),
        service_pack=maybe(TEXT),
        product_type={"enum": ["workstation", "domain-controller", "server", None]},
    ),
    created_at=maybe(TIME),
)
EXCEPTION = maybe(
    record(
        thread_id=maybe(BYTES),
        code=HEX,
        name=maybe(TEXT),
        flags=BYTES,
        address=maybe(HEX),
        parameters=rows(HEX),
        access=maybe({"enum": ["read", "write", "execute"]}),
        target=maybe(HEX),
        module=maybe(TEXT),
        module_offset=maybe(HEX),
        thread_name=maybe(TEXT),
        stack_thread_id=maybe(BYTES),
        target_region=maybe(
            record(
                state=maybe({"enum": ["free", "reserved", "committed", "outside"]}),
                type=maybe({"enum": TYPES}),
                kind=maybe(TEXT),
                protection=TEXT,
                guard=maybe(FLAG),
                address=maybe(HEX),
                size=maybe(BYTES),
                module=maybe(TEXT),
                thread_id=maybe(BYTES),
                heap=maybe(TEXT),
                past=maybe(
                    record(
                        what={"enum": ["stack", "heap"]},
                        thread_id=maybe(BYTES),
                        heap=maybe(TEXT),
                        distance={"type": "integer"},
                    )
                ),
            )
        ),
    )
)


def head(name: str, source: dict[str, Schema] | None = None) -> dict[str, Schema]:
    """What every document begins with."""
    return {
        "schema": {"const": f"dumpmap.{name}/1"},
        "source": record(**(source or SOURCE)),
        "process": PROCESS,
        "completeness": {"enum": ["full", "map", "partial"]},
        "warnings": rows(TEXT),
        "notes": rows(TEXT),
    }


BOUND = maybe(
    record(
        size=BYTES,
        evidence={
            "oneOf": [
                record(source={"const": "known-ranges"}, limit=BYTES, start=HEX, end=HEX, ranges=BYTES),
                record(source={"const": "virtual-size"}, limit=BYTES, virtual_size=BYTES),
                record(source={"const": "writer"}, limit=BYTES, name=TEXT, writer=TEXT),
            ]
        },
    )
)

FIGURES = {name: maybe(BYTES) for name in ("size", "committed", "private", *WORKING_SET, "blocks")}

GROUP = {
    "address": HEX,
    "type": {"enum": TYPES},
    "size_each": BYTES,
    "state": {"enum": ["committed", "partly committed", "reserved"]},
    "protection": maybe(TEXT),
    "count": {"type": "integer", "minimum": 1},
}
_TAKER = record(
    name={"type": "string", "minLength": 1},
    owner=maybe(TEXT),
    group=maybe(record(**GROUP)),
    size=BYTES,
    committed=BYTES,
    reserved=BYTES,
)
WHO = maybe(
    record(
        committed={"type": "array", "items": _TAKER, "maxItems": 5},
        reserved={"type": "array", "items": _TAKER, "maxItems": 5},
    )
)

HELD = record(
    allocation=HEX,
    size=BYTES,
    module=maybe(TEXT),
    **{"class": maybe(TEXT)},
    pointer=HEX,
    place=TEXT,
    rule={"enum": ["module-pointer-pair", "module-pointer", "thread-pointer", "object-pointer"]},
    hits=BYTES,
)

OWNERS = record(
    **head("owners"),
    owners=rows(
        record(
            owner={"type": "string", "minLength": 1},
            module=maybe(TEXT),
            version=maybe(TEXT),
            instance=maybe(TEXT),
            size=BYTES,
            committed=BYTES,
            allocations=BYTES,
            inferred=FLAG,
            inferred_committed=BYTES,
            evidence={"type": "array", "items": TEXT, "minItems": 1},
            facts=record(heap_used=maybe(BYTES), heap_limit=maybe(BYTES)),
            parts=rows(
                record(kind=TEXT, size=BYTES, committed=BYTES, count=BYTES, inferred=FLAG, inferred_committed=BYTES)
            ),
        )
    ),
    groups=rows(record(**GROUP, size=BYTES, committed=BYTES)),
    unowned=record(size=BYTES, committed=BYTES, allocations=BYTES),
    private_committed=BYTES,
    owned_share=maybe({"type": "number", "minimum": 0, "maximum": 1}),
    owned_share_facts=maybe({"type": "number", "minimum": 0, "maximum": 1}),
    pointers=maybe(
        record(
            candidates=BYTES,
            ambiguous=BYTES,
            searched=BYTES,
            missing=BYTES,
            complete=FLAG,
            found=rows(HELD),
        )
    ),
)

SUMMARY = record(
    **head("summary"),
    address_space=maybe(record(start={"const": "0x0"}, end=HEX)),
    total=record(**FIGURES),
    lower_bounds=rows(TEXT),
    stated_heaps=maybe(
        record(
            heaps=BYTES,
            stated_reserved=BYTES,
            stated_committed=BYTES,
            not_captured=BYTES,
            not_captured_committed=BYTES,
        )
    ),
    types=rows(record(type={"enum": TYPES}, **FIGURES, largest=maybe(BYTES))),
    largest_free_block=maybe(record(address=HEX, size=BYTES)),
    free_at_most=BOUND,
    largest_free_block_at_most=BOUND,
    counters=record(
        private_usage=maybe(BYTES),
        working_set=maybe(BYTES),
        peak_working_set=maybe(BYTES),
        private_working_set=maybe(BYTES),
        pagefile_usage=maybe(BYTES),
        peak_pagefile_usage=maybe(BYTES),
        virtual_size=maybe(BYTES),
        peak_virtual_size=maybe(BYTES),
        shared_commit_usage=maybe(BYTES),
        page_table=maybe(BYTES),
        job_private_commit_usage=maybe(BYTES),
        job_peak_private_commit_usage=maybe(BYTES),
        job_private_commit_limit=maybe(BYTES),
        job_total_commit_limit=maybe(BYTES),
    ),
    system=record(
        page_size=BYTES,
        allocation_granularity=BYTES,
        min_address=maybe(HEX),
        max_address=maybe(HEX),
        processors=maybe(BYTES),
        commit_limit=maybe(BYTES),
        commit_total=maybe(BYTES),
        commit_peak=maybe(BYTES),
        physical_total=maybe(BYTES),
        physical_available=maybe(BYTES),
    ),
    exception=EXCEPTION,
    who_took_it=WHO,
    findings=rows(
        record(
            id={"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
            severity={"enum": ["critical", "warning", "info"]},
            title=TEXT,
            detail=TEXT,
            values={"type": "object"},
        )
    ),
)

_ROW = {
    "address": HEX,
    "type": {"enum": TYPES},
    "size": {"type": "integer", "minimum": 1},
    "committed": maybe(BYTES),
    "private": maybe(BYTES),
    **{name: maybe(BYTES) for name in WORKING_SET},
    "blocks": maybe(BYTES),
    "protection": TEXT,
    "details": TEXT,
    "kind": TEXT,
    "evidence": {"type": "string", "minLength": 1},
    "inferred": FLAG,
    "owner": TEXT,
    "owner_module": TEXT,
}

REGIONS = record(**head("regions"), blocks={"const": False}, regions=rows(record(**_ROW)))
REGIONS_BY_BLOCK = record(**head("regions"), blocks={"const": True}, regions=rows(record(allocation=HEX, **_ROW)))

REGION_GROUPS = record(
    **head("region-groups"),
    blocks=FLAG,
    by=rows(TEXT),
    groups=rows(
        record(
            owner=TEXT,
            state={"enum": ["committed", "reserved", "free"]},
            size=BYTES,
            count=BYTES,
            total_size=BYTES,
            committed=maybe(BYTES),
            private=maybe(BYTES),
        )
    ),
)

ADDRESS = record(
    **head("address"),
    addresses=rows(
        record(
            address=HEX,
            found=maybe(
                record(
                    address=HEX,
                    type={"enum": TYPES},
                    kind=TEXT,
                    details=TEXT,
                    evidence=TEXT,
                    inferred=FLAG,
                    allocation=maybe(HEX),
                    allocation_size=maybe(BYTES),
                    block=HEX,
                    block_size=BYTES,
                    state={"enum": ["Committed", "Reserved", "Free"]},
                    protection=TEXT,
                    offset=maybe(BYTES),
                    module=maybe(TEXT),
                    section=maybe(TEXT),
                    thread_id=maybe(BYTES),
                    heap=maybe(TEXT),
                    in_file=BYTES,
                    allocation_unknown=maybe(TEXT),
                    owner=maybe(
                        record(
                            owner={"type": "string", "minLength": 1},
                            module=maybe(TEXT),
                            instance=maybe(TEXT),
                            inferred=FLAG,
                            evidence=TEXT,
                            proof=TEXT,
                            proof_address=maybe(HEX),
                            others=rows(TEXT),
                        )
                    ),
                )
            ),
            held_by=maybe(HELD),
            bytes=maybe({"type": "string", "pattern": "^([0-9a-f]{2})+$"}),
        )
    ),
)

STACKS = record(
    **head("stacks"),
    stacks=rows(
        record(
            thread_id=BYTES,
            name=maybe(TEXT),
            bits=maybe({"enum": [32, 64]}),
            base=maybe(HEX),
            end=maybe(HEX),
            reserve=maybe(BYTES),
            committed=maybe(BYTES),
            in_use=maybe(BYTES),
            guard=maybe(BYTES),
            stack_pointer=maybe(HEX),
            headroom=maybe(BYTES),
            name_evidence=maybe(TEXT),
            teb=maybe(HEX),
            evidence=maybe(TEXT),
            inferred=maybe(FLAG),
            exited=FLAG,
        )
    ),
)

MODULES = record(
    **head("modules"),
    modules=rows(
        record(
            base=HEX,
            end={"type": "string", "pattern": "^0x[0-9a-f]{1,17}$"},
            size=BYTES,
            committed=maybe(BYTES),
            private=maybe(BYTES),
            name=TEXT,
            version=maybe(TEXT),
            product_version=maybe(TEXT),
            timestamp=maybe(HEX),
            sections=maybe(BYTES),
            company=maybe(TEXT),
            path=TEXT,
            checksum=maybe(HEX),
            debug_id=maybe({"type": "string", "pattern": "^[0-9A-F]{33,}$"}),
            debug_file=maybe(TEXT),
            in_map=FLAG,
            vendor=maybe({"enum": ["Microsoft", "third party"]}),
            vendor_source=maybe({"enum": ["company", "path"]}),
        )
    ),
    unknown_vendor=rows(TEXT),
)

WRITER = record(
    writer=TEXT,
    source=maybe(TEXT),
    crash_type=maybe(TEXT),
    message=maybe(TEXT),
    out_of_memory=maybe(FLAG),
    requested=maybe(BYTES),
    alignment=maybe(BYTES),
    memory={"type": "object", "additionalProperties": BYTES},
    heap_limit=maybe(
        record(
            runtime=TEXT,
            source=TEXT,
            used=maybe(BYTES),
            total=maybe(BYTES),
            limit=maybe(BYTES),
            available=maybe(BYTES),
            is_oom=maybe(FLAG),
            location=maybe(TEXT),
            detail=maybe(TEXT),
        )
    ),
    crashed_thread=maybe(BYTES),
    thread_names=rows(record(id=BYTES, name=TEXT)),
    product=maybe(TEXT),
    version=maybe(TEXT),
    process_type=maybe(TEXT),
    uptime=maybe(BYTES),
    annotations=rows(record(source=TEXT, name=TEXT, value=maybe(TEXT), module=maybe(TEXT))),
    soft_errors=rows(TEXT),
    texts_omitted=FLAG,
)

INFO = record(
    **head(
        "info",
        {
            **SOURCE,
            "streams": rows(record(type=HEX, name=TEXT, offset=HEX, size=BYTES, status=TEXT)),
            "flag_names": rows(TEXT),
        },
    ),
    exception=EXCEPTION,
    counts=record(
        regions=maybe(BYTES),
        threads=BYTES,
        modules=BYTES,
        unloaded_modules=BYTES,
        stacks=BYTES,
        heaps=BYTES,
        handles=maybe(BYTES),
    ),
    bytes_captured=BYTES,
    heap_list_captured=maybe(FLAG),
    handle_types={"type": "object", "additionalProperties": BYTES},
    comments=rows(TEXT),
    omitted_texts=BYTES,
    annotations={"type": "object", "additionalProperties": TEXT},
    writer=maybe(WRITER),
    advice=rows(record(missing=TEXT, adds=TEXT, how=TEXT)),
)
