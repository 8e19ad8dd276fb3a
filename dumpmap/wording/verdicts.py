"""The verdict: out of address space, out of commit, short of one of them, or neither.

What was recorded at the failure decides; what the map and the counters show comes after it. The two axes are judged
and stated apart. Every verdict lists the signals that led to it, so that the reasoning stays visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dumpmap.analysis.judgement import Judgement, Strength, job_is_short, judge_failure
from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.rules import DEFAULT_RULES, RuleSet
from dumpmap.model.types import RegionType
from dumpmap.wording.findings import RULE, Finding, find
from dumpmap.wording.numbers import count_words, list_words, percent_words, size_left, size_words

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

VerdictName = Literal[
    "out-of-address-space",
    "out-of-commit",
    "address-space-low",
    "commit-low",
    "no-memory-problem-seen",
    "cannot-tell",
]

VERDICTS: Mapping[VerdictName, str] = {
    "out-of-address-space": "No free block was large enough, or hardly anything is free.",
    "out-of-commit": "The system, or the process's job, would not promise more memory.",
    "address-space-low": "Address space is short; nothing proves that it ran out.",
    "commit-low": "Commit is short; nothing proves that it ran out.",
    "no-memory-problem-seen": "Nothing that the input knows points to a shortage.",
    "cannot-tell": "The input does not hold what it takes to tell, or a failure has another cause than these two.",
}
"""Every verdict and what it says."""

_RECORDED = ("out-of-memory-exception", "stack-commit-failure", "last-error-out-of-memory")
_SIGNALS = (
    *_RECORDED,
    "allocation-request-impossible",
    "stack-overflow",
    "address-space-exhausted",
    "largest-free-block-small",
    "address-space-fragmented",
    "address-space-low",
    "heap-segment-will-not-fit",
    "gc-segment-will-not-fit",
    "commit-limit-reached",
    "commit-limit-near",
    "job-commit-limit-near",
    "cpp-exception-unreadable",
)
"""Findings that a verdict looks at."""

State = Literal["out", "low", "ok", "unknown"]


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that the verdict rests on.

    Attributes:
        id: the finding's id.
        about: the axis or what else it is about.
        strength: `recorded`, `measured` or `inferred`.
        text: the finding's detail.
        values: its numbers.
    """

    id: str
    about: str
    strength: Strength
    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "about": self.about,
            "strength": self.strength,
            "text": self.text,
            "values": self.values,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a map.

    Attributes:
        verdict: one of `VERDICTS`.
        signals: what led to it.
        sentence: the statement for the engineer.
        address_space: the axis's state (`out`, `low`, `ok`, `unknown`) and figures.
        commit: the same of the other axis.
    """

    verdict: VerdictName
    signals: tuple[Signal, ...]
    sentence: str
    address_space: dict[str, Any]
    commit: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, schema `dumpmap.verdict/1`."""
        return {
            "schema": "dumpmap.verdict/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "signals": [signal.to_dict() for signal in self.signals],
            "address_space": self.address_space,
            "commit": self.commit,
        }


def verdict(region_map: RegionMap, rules: RuleSet | None = None, *, findings: list[Finding] | None = None) -> Verdict:
    """Judges a map.

    Args:
        region_map: the map.
        rules: thresholds; the defaults otherwise.
        findings: what `find` returned for the same map and rules, if it was asked already.
    """
    rules = rules or DEFAULT_RULES
    thresholds = rules.thresholds
    m = measurements_of(region_map)
    if rules.disabled or rules.severity or findings is None:
        # What somebody does not want to read is evidence all the same.
        findings = find(region_map, RuleSet(thresholds=thresholds))
    found = {finding.id: finding for finding in findings}
    judgement = judge_failure(m, thresholds)
    space, commit = _space_state(m, found), _commit_state(m, found, thresholds)
    name = _decide(m, judgement, space, commit, thresholds)
    sentence = _sentence(_Story(m, name, judgement, found, space, commit))
    if judgement is not None and judgement.axis == "address-space":
        space = "out"
    elif judgement is not None and judgement.axis == "commit":
        commit = "out"
    return Verdict(
        verdict=name,
        signals=tuple(_signal(found[key], judgement) for key in _SIGNALS if key in found),
        sentence=sentence,
        address_space=_space_values(m, space),
        commit={"state": commit, **m.commit.to_dict()},
    )


def _space_state(m: Measurements, found: Mapping[str, Finding]) -> State:
    if m.free is None:
        return "low" if "address-space-low" in found else "unknown"
    if any(key in found and found[key].severity == "critical" for key in _CRITICAL_SPACE):
        return "out"
    if any(key in found for key in _LOW_SPACE):
        return "low"
    # A list of regions that was cut off can still show a block that is large enough.
    return "ok" if m.measured is not None or m.largest >= _PLENTY else "unknown"


_PLENTY = 256 << 20
_CRITICAL_SPACE = ("address-space-exhausted", "largest-free-block-small")
_LOW_SPACE = (*_CRITICAL_SPACE, "address-space-low", "gc-segment-will-not-fit")


def _commit_state(m: Measurements, found: Mapping[str, Finding], thresholds: Mapping[str, float]) -> State:
    if job_is_short(m, thresholds):
        return "out"
    if any(key in found for key in ("commit-limit-reached", "commit-limit-near", "job-commit-limit-near")):
        return "low"
    return "unknown" if m.commit.ratio is None else "ok"


def _decide(
    m: Measurements, judgement: Judgement | None, space: State, commit: State, thresholds: Mapping[str, float]
) -> VerdictName:
    if judgement is not None:
        if judgement.axis == "address-space":
            return "out-of-address-space"
        if judgement.axis == "commit":
            return "out-of-commit"
        return "cannot-tell"
    if space == "out":
        return "out-of-address-space"
    if commit == "out":
        return "out-of-commit"
    if space == "low":
        return "address-space-low"
    if commit == "low":
        return "commit-low"
    if space == "ok":
        return "no-memory-problem-seen"
    # No list of regions. What the counters say is in use tells enough where that is far from the end of a wide space;
    # in a narrow one the pieces matter.
    wide = m.map.process.pointer_size == 8 and not m.limit.narrow
    roomy = wide and commit == "ok" and _far_from_the_end(m, thresholds)
    return "no-memory-problem-seen" if roomy else "cannot-tell"


def _far_from_the_end(m: Measurements, thresholds: Mapping[str, float]) -> bool:
    used, limit = m.virtual_size, m.limit.size
    return used is not None and limit is not None and limit - used >= thresholds["wide_free_share"] * limit


def _signal(finding: Finding, judgement: Judgement | None) -> Signal:
    strength: Strength = "measured"
    if finding.id in _RECORDED:
        strength = "recorded"
        if finding.id == "stack-commit-failure" and judgement is not None:
            strength = judgement.strength
    return Signal(finding.id, RULE[finding.id].about, strength, finding.detail, finding.values)


def _space_values(m: Measurements, state: State) -> dict[str, Any]:
    space = m.free
    largest = space.largest if space is not None else None
    failure = m.failure
    return {
        "state": state,
        "limit": m.limit.size,
        "limit_name": m.limit.name,
        "limit_source": m.limit.source,
        "large_address_aware": m.limit.large_address_aware,
        "complete": m.measured is not None,
        "used": m.used_total if space is not None else None,
        "free": space.total if space is not None else None,
        "largest_free_block": None if largest is None else {"address": f"0x{largest.address:x}", "size": largest.size},
        "fragmentation": None if space is None or space.fragmentation is None else round(space.fragmentation, 4),
        "requested": failure.requested if failure is not None else None,
    }


# ---------------------------------------------------------------- the sentence


@dataclass(frozen=True, slots=True)
class _Story:
    """What the sentence is made of."""

    m: Measurements
    name: VerdictName
    judgement: Judgement | None
    found: Mapping[str, Finding]
    space: State
    commit: State


def _sentence(story: _Story) -> str:
    m = story.m
    parts = [_opening(story)]
    if story.judgement is None and story.name in ("out-of-address-space", "out-of-commit"):
        parts.append("No failed allocation is recorded.")
    if story.name in ("out-of-address-space", "address-space-low"):
        parts += _needs(m)
        parts += _holders(m)
    parts += _other_axis(story)
    if "input-damaged" in story.found:
        parts.append("Parts of the input could not be read.")
    return " ".join(part for part in parts if part)


def _opening(story: _Story) -> str:
    m, found, judgement = story.m, story.found, story.judgement
    if story.name == "out-of-address-space":
        text = _room(m)
        if judgement is not None and judgement.strength == "measured":
            least = "" if m.whole else "at least "
            total = f"; {least}{size_left(m.free.total)} are free in total" if m.free and m.free.total else ""
            text = judgement.reason + total
        return f"Out of address space{', not of memory' if story.commit == 'ok' else ''}: {text}."
    if story.name == "address-space-low":
        return f"Address space is short, but nothing proves that it ran out: {_room(m)}."
    if story.name == "out-of-commit":
        return _out_of_commit(story)
    if story.name == "commit-low":
        key = next(k for k in ("job-commit-limit-near", "commit-limit-reached", "commit-limit-near") if k in found)
        return f"Commit is short, but nothing proves that it ran out: {_lower(found[key].detail)}"
    if story.name == "no-memory-problem-seen":
        return f"No memory problem seen{_crash(m)}: {_healthy(m)}."
    if judgement is not None and judgement.axis == "request":
        fault = "The fault is in the size, not in the memory."
        return f"The allocation could never have succeeded: {judgement.reason}. {fault}"
    if judgement is not None and "stack-commit-failure" in found:
        return f"The input cannot tell what failed: {judgement.reason}."
    if judgement is not None:
        which = "neither axis is short" if judgement.axis == "neither" else "the input does not tell which limit it met"
        return f"An allocation failed ({_failed(m)}), and {which}: {judgement.reason}."
    missing = "it has no list of memory regions" if m.free is None else "its list of memory regions is not complete"
    return f"The input cannot tell{_crash(m)}: {missing}."


def _out_of_commit(story: _Story) -> str:
    found, judgement = story.found, story.judgement
    if "stack-commit-failure" in found:
        return f"Out of commit: {_lower(found['stack-commit-failure'].detail)}"
    if judgement is None:
        return f"Out of commit: {_lower(found['job-commit-limit-near'].detail)}"
    apart = ", not of address space" if story.space == "ok" else ""
    return f"Out of commit{apart}: {_failed(story.m)}; {judgement.reason}."


def _failed(m: Measurements) -> str:
    """The recorded failure in words."""
    failure, error = m.failure, m.crash_error
    if failure is not None and failure.limit is not None:
        return failure.text + (f", {size_words(failure.requested)} asked for" if failure.requested else "")
    return f"the crashing thread's last error is {error.text}" if error is not None else ""


def _room(m: Measurements) -> str:
    space = m.free
    least = "" if m.whole else "at least "
    if space is None:
        used = m.virtual_size
        known = f"; by its counters {size_words(used)} of {m.limit.name} are in use" if used is not None else ""
        return f"the map does not show how much is free{known}"
    if space.largest is None or space.total == 0:
        return f"nothing of {m.limit.name} is {'known to be ' if least else ''}free"
    if space.count == 1 or space.total == space.largest.size:
        return f"{least}{size_left(space.total)} of {m.limit.name} are free, in one block"
    link = "but" if (space.fragmentation or 0) >= 0.5 else "and"
    return (
        f"{least}{size_left(space.total)} of {m.limit.name} are free, {link} the largest block is "
        f"{least}{size_left(space.largest.size)}"
    )


def _needs(m: Measurements) -> list[str]:
    """What will be asked for next: whoever needs most, and the garbage collector."""
    needs: list[tuple[str, int]] = []
    growing = [row for row in m.map.heaps if row.info.next_segment]
    if growing and m.free is not None:
        most = max(growing, key=lambda heap: heap.info.next_segment or 0)
        row = next(row for row in m.heaps if row.address == most.info.address)
        needs.append((row.title, most.info.next_segment or 0))
    if m.gc_segments is not None:
        size, collector = m.gc_segments
        needs.append((f"the {collector} garbage collector", size))
    if not needs:
        return []
    words = [
        f"{who} {'for' if index else 'will next ask for'} {size_words(size)}" for index, (who, size) in enumerate(needs)
    ]
    text = ", ".join(words)
    return [f"{text[:1].upper()}{text[1:]}."]


def _holders(m: Measurements) -> list[str]:
    """Who holds the address space."""
    total = m.used_total
    if not total:
        return []
    words = []
    for kind, size in list(m.used.items())[:3]:
        share = size / total
        if share < 0.05:
            continue
        name = kind.label
        if kind == RegionType.STACK and m.map.stacks:
            name = count_words(len(m.map.stacks), "thread stack")
        words.append(f"{percent_words(share)} {name}")
    extra = ""
    line = m.map.line(next(iter(m.used)))
    if line.size and line.committed is not None and line.committed < line.size / 2:
        extra = f"; of {line.name} only {size_words(line.committed)} are committed"
    return [f"In use: {list_words(words)}{extra}."] if words else []


def _other_axis(story: _Story) -> list[str]:
    m, judgement = story.m, story.judgement
    commit = m.commit
    ratio = None if commit.ratio is None else f"The system's commit is at {percent_words(commit.ratio)} of its limit"
    if story.name in ("out-of-address-space", "address-space-low"):
        if ratio is None:
            return ["The system's commit is not recorded."]
        return [f"{ratio}, so short as well." if story.commit in ("low", "out") else f"{ratio}."]
    if story.name in ("out-of-commit", "commit-low"):
        text = []
        if story.name == "out-of-commit" and ratio is not None and "%" not in (judgement.reason if judgement else ""):
            text.append(f"{ratio}.")
        if m.free is None:
            if m.map.process.pointer_size == 4:
                text.append("How much address space is free is not recorded.")
        elif story.space == "ok":
            text.append(f"Address space is not short: {_largest(m)}.")
        elif story.space in ("low", "out"):
            text.append(f"Address space is short as well: {_room(m)}.")
        return text
    if story.name == "cannot-tell" and judgement is None:
        text = []
        if m.virtual_size is not None:
            text.append(f"By the process's counters {size_words(m.virtual_size)} of {m.limit.name} are in use.")
        if ratio is not None:
            text.append(f"{ratio}, so not short.")
        if m.free is None and m.virtual_size is None:
            text.append("How much address space is in use is not recorded either.")
        return text
    return []


def _crash(m: Measurements) -> str:
    failure = m.failure
    if failure is None:
        return ""
    if "stack" in (failure.limit or ""):
        return f" (thread {failure.thread_id} overflowed its stack)"
    return f" behind {failure.text}"


def _healthy(m: Measurements) -> str:
    space, commit = m.free, m.commit
    parts = []
    if space is None and m.virtual_size is not None:
        parts.append(f"by the process's counters {size_words(m.virtual_size)} of {m.limit.name} are in use")
    elif space is not None:
        parts.append(f"{_largest(m)} of {m.limit.name}")
    if commit.ratio is not None:
        parts.append(f"the system's commit is at {percent_words(commit.ratio)} of its limit")
    elif m.windows:
        parts.append("the system's commit is not recorded")
    return " and ".join(parts)


def _largest(m: Measurements) -> str:
    return f"the largest free block is {'' if m.whole else 'at least '}{size_left(m.largest)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
