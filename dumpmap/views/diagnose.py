"""What `diagnose` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Blank, Block, Entry, Fact, Facts, Paragraph, Style
from dumpmap.views.counters import AT_LEAST
from dumpmap.views.documents import finding_document, head
from dumpmap.views.summary import head_blocks
from dumpmap.views.table import Column, Table
from dumpmap.views.takers import taker_blocks, taker_document
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import percent_text, short_size, size_left, size_most, size_words, sizes_apart

if TYPE_CHECKING:
    from dumpmap.wording.verdicts import Verdict

FINDING_COLUMNS = (
    Column("severity"),
    Column("id", "text", "Finding"),
    Column("title", shown=False),
    Column("detail"),
)

_STATE_STYLE: dict[str, Style] = {"out": "critical", "low": "warning", "ok": "good", "unknown": "muted"}


def finding_table(findings: Sequence[Finding]) -> Table:
    """Returns one row per finding."""
    return Table(
        FINDING_COLUMNS, [[getattr(finding, column.name) for column in FINDING_COLUMNS] for finding in findings]
    )


def diagnosis_document(region_map: RegionMap, verdict: Verdict, findings: Sequence[Finding]) -> dict[str, Any]:
    """Returns `dumpmap.diagnosis/1`."""
    judged = verdict.to_dict()
    del judged["schema"]
    return {
        **head("dumpmap.diagnosis/1", region_map),
        **judged,
        "who_took_it": taker_document(region_map),
        "findings": [finding_document(finding) for finding in findings],
    }


def diagnosis_view(region_map: RegionMap, verdict: Verdict, findings: Sequence[Finding]) -> Iterator[Block]:
    """Yields everything that `diagnose` shows to people: the verdict first, then the findings."""
    yield from head_blocks(region_map)
    yield Blank()
    yield from verdict_blocks(verdict)
    yield from taker_blocks(region_map)
    yield from finding_blocks(findings)


def verdict_blocks(verdict: Verdict) -> Iterator[Block]:
    """Yields the verdict with its three axes, and its sentence."""
    yield Facts(
        [
            Fact("Verdict", verdict.verdict, "strong"),
            *(
                Fact(label, _axis_text(label, axis), _STATE_STYLE.get(str(axis["state"]), "plain"))
                for label, axis in (
                    ("Address space", verdict.address_space),
                    ("Commit", {**verdict.commit, "requested": verdict.address_space["requested"]}),
                    ("Heap limit", verdict.heap_limit),
                )
            ),
        ]
    )
    yield Blank()
    yield Paragraph(verdict.sentence)


def finding_blocks(findings: Sequence[Finding]) -> Iterator[Block]:
    """Yields each finding in full, after a blank line."""
    for finding in findings:
        yield Blank()
        yield Entry(finding.severity, finding.title, finding.id, finding.detail)


def _axis_text(label: str, axis: dict[str, Any]) -> str:
    """Returns the state of one axis with its main figures."""
    parts = [str(axis["state"])]
    if label == "Address space":
        limit = limit_text(axis)
        least = "" if axis.get("complete", True) else AT_LEAST
        if axis.get("free"):
            parts.append(f"{least}{size_left(axis['free'])} free of {limit}")
        largest = axis.get("largest_free_block")
        if largest:
            parts.append(f"largest block {least}{size_left(largest['size'])}")
        elif axis.get("free") is not None and not least:
            parts.append(f"0 bytes free of {limit}")
        parts.extend(_bounds(axis, limit))
        if axis.get("fragmentation") is not None and not least:
            parts.append(f"{percent_text(axis['fragmentation'])} fragmented")
    elif label == "Heap limit":
        parts.extend(_heap_limit_figures(axis))
    else:
        if axis.get("system_ratio") is not None:
            least = AT_LEAST if axis.get("system_total_is_lower_bound") else ""
            parts.append(
                f"system {least}{short_size(axis['system_total'])} of {short_size(axis['system_limit'])} "
                f"({percent_text(axis['system_ratio'])})"
                + (", by the writer of the dump" if axis.get("source") == "writer" else "")
            )
            if axis["state"] == "low" and (axis["requested"] or 0) > axis["system_limit"] - axis["system_total"]:
                parts.append("less left than was requested")
        if axis.get("process_private") is not None:
            parts.append(f"process {short_size(axis['process_private'])}")
        if axis.get("job_limit") is not None:
            parts.append(f"job {short_size(axis.get('job_usage') or 0)} of {short_size(axis['job_limit'])}")
    return ", ".join(parts)


def limit_text(axis: dict[str, Any]) -> str:
    """Returns the limit of the address space, as an upper bound if nothing proves it."""
    name = axis.get("limit_name") or "its limit"
    return f"at most {name} (inferred)" if axis.get("limit_at_most") else str(name)


def _bounds(axis: dict[str, Any], limit: str) -> Iterator[str]:
    """Yields what is known of the free space of a partial map: upper bounds, or what is in use or available."""
    free, largest = axis.get("free_at_most"), axis.get("largest_free_block_at_most")
    used, available = axis.get("used_by_counter"), axis.get("available_by_writer")
    if free:
        yield f"at most {size_most(free['size'])} free of {limit}"
    elif used is not None:
        yield f"{sizes_apart((used, 'nearest'), (axis['limit'], 'nearest'))[0]} of {limit} in use"
    elif available is not None:
        yield f"{size_words(available)} of {limit} available, by the writer of the dump"
    if largest:
        of = "" if free or used is not None else f" of {limit}"
        yield f"largest block at most {size_most(largest['size'])}{of}"


def _heap_limit_figures(axis: dict[str, Any]) -> Iterator[str]:
    """Yields the figures of a runtime's heap."""
    if axis.get("used") is not None and axis.get("limit"):
        share = f" ({percent_text(axis['ratio'])})" if axis.get("ratio") is not None else ""
        garbage = ", garbage included" if axis.get("includes_garbage") else ""
        used, limit = sizes_apart((axis["used"], "nearest"), (axis["limit"], "nearest"))
        over = ", over its limit" if axis["used"] > axis["limit"] else ""
        yield f"{axis['runtime']} {used} of {limit}{share}{garbage}{over}"
    elif axis.get("limit"):
        yield f"{axis['runtime']} limit {short_size(axis['limit'])}, use not recorded"
    elif axis.get("runtime"):
        yield str(axis["runtime"])
    if axis.get("location"):
        yield f'"{axis["location"]}"'
