"""The diagnosis on the page: the verdict with its three axes, and every finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class
from dumpmap.render.html.overview import UNKNOWN
from dumpmap.render.html.proofs import Proof, proofs
from dumpmap.views.counters import AT_LEAST
from dumpmap.views.diagnose import limit_text
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.findings import EXPLANATIONS, Finding
from dumpmap.wording.text import percent_text, short_size, size_left, size_most, size_words, sizes_apart
from dumpmap.wording.verdicts import VERDICTS, Verdict

Level = Literal["critical", "warning", "ok", "info"]


@value_class(frozen=True, slots=True)
class AxisLine:
    """A limit that a process can reach: its state, and its figures as label and text."""

    title: str
    state: str
    figures: tuple[tuple[str, str], ...]


@value_class(frozen=True, slots=True)
class FindingCard:
    """A finding with its explanation, how it supports the verdict (empty where it does not), and links to its rows."""

    finding: Finding
    explanation: Explanation
    strength: str
    proofs: tuple[Proof, ...] = ()


@value_class(frozen=True, slots=True)
class DiagnosisCard:
    """The verdict and the findings as the page shows them."""

    level: Level
    title: str
    meaning: str
    sentence: str
    axes: tuple[AxisLine, ...]
    findings: tuple[FindingCard, ...]


def diagnosis_card(judged: Verdict, findings: Sequence[Finding], region_map: RegionMap | None = None) -> DiagnosisCard:
    """Puts the verdict and the findings together.

    Args:
        judged: the verdict.
        findings: the findings.
        region_map: the map whose rows findings link to; without it they have no links.
    """
    strengths = {signal.id: signal.strength for signal in judged.signals}
    return DiagnosisCard(
        level=verdict_level(judged.verdict),
        title=verdict_title(judged.verdict),
        meaning=VERDICTS[judged.verdict],
        sentence=judged.sentence,
        axes=(
            AxisLine("Address space", judged.address_space["state"], tuple(_space_figures(judged.address_space))),
            AxisLine("Commit", judged.commit["state"], tuple(_commit_figures(judged.commit))),
            AxisLine("Heap limit", judged.heap_limit["state"], tuple(_heap_limit_figures(judged.heap_limit))),
        ),
        findings=tuple(
            FindingCard(
                finding,
                EXPLANATIONS[finding.id],
                strengths.get(finding.id, ""),
                () if region_map is None else proofs(finding, region_map),
            )
            for finding in findings
        ),
    )


def verdict_title(verdict: str) -> str:
    """Returns a verdict's ID as words: `out-of-commit` as `Out of commit`."""
    return verdict.replace("-", " ").capitalize()


def verdict_level(verdict: str) -> Level:
    """Returns how bad a verdict is."""
    if verdict.startswith("out-of-"):
        return "critical"
    if verdict.endswith(("-low", "-near")):
        return "warning"
    return "ok" if verdict == "no-memory-problem-seen" else "info"


def _space_figures(axis: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if axis.get("free") is not None:
        yield "free", f"{size_left(axis['free'])} of {limit_text(axis)}"
    if axis.get("free_at_most"):
        yield "free", f"at most {size_most(axis['free_at_most']['size'])} of {limit_text(axis)}"
    elif axis.get("used_by_counter") is not None:
        yield "in use", f"{short_size(axis['used_by_counter'])} of {limit_text(axis)}, by the counters"
    elif axis.get("available_by_writer") is not None:
        yield "available", f"{size_words(axis['available_by_writer'])} of {limit_text(axis)}, by the writer of the dump"
    if axis.get("largest_free_block_at_most"):
        yield "largest block", f"at most {size_most(axis['largest_free_block_at_most']['size'])}"
    if axis.get("largest_free_block"):
        yield "largest block", size_left(axis["largest_free_block"]["size"])
    if axis.get("fragmentation") is not None:
        yield "fragmentation", percent_text(axis["fragmentation"])
    if axis.get("requested") is not None:
        yield "requested", short_size(axis["requested"])


def _commit_figures(axis: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if axis.get("system_ratio") is not None:
        share = percent_text(axis["system_ratio"])
        least = AT_LEAST if axis.get("system_total_is_lower_bound") else ""
        source = ", by the writer of the dump" if axis.get("source") == "writer" else ""
        yield (
            "system",
            f"{least}{short_size(axis['system_total'])} of {short_size(axis['system_limit'])}, {share}{source}",
        )
    if axis.get("process_private") is not None:
        yield "process", short_size(axis["process_private"])
    if axis.get("job_limit") is not None:
        usage = UNKNOWN if axis.get("job_usage") is None else short_size(axis["job_usage"])
        yield "job", f"{usage} of {short_size(axis['job_limit'])}"


def _heap_limit_figures(axis: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if axis.get("runtime") is None:
        return
    yield "runtime", axis["runtime"]
    used, limit = axis.get("used"), axis.get("limit")
    used_words, limit_words = sizes_apart((used or 0, "nearest"), (limit or used or 0, "nearest"))
    if used is not None:
        yield "used, garbage included" if axis["includes_garbage"] else "used", used_words
    if limit is not None:
        share = "" if axis.get("ratio") is None else f", {percent_text(axis['ratio'])} used"
        yield "limit", f"{limit_words}{share}"
