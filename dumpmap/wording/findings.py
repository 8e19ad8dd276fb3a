"""The findings: one table of everything that the diagnosis can say, and `find`, which says what holds of a map.

Each row of `RULES` has its id, its severity, what it means, when it holds, where that comes from and what to do about
it. Help, the pages in docs/findings and the tests walk this table. The conditions themselves are in
`dumpmap.analysis.detect`.

Run as a module, it writes the pages: `python -m dumpmap.wording.findings --docs docs/findings`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dumpmap.analysis import detect
from dumpmap.analysis.detect import Hit
from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.rules import DEFAULT_RULES, SEVERITIES, THRESHOLD, THRESHOLDS, RuleSet, Severity, Threshold
from dumpmap.wording.numbers import percent_words, size_words

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

About = Literal["address-space", "commit", "process", "input"]
"""What a finding is about. Address space and commit are the two axes, and no finding mixes them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found.

    Attributes:
        id: the rule's id; its page is docs/findings/ID.md.
        severity: `critical`, `warning` or `info`.
        title: the rule's title.
        detail: what was found, in a sentence or two, with its numbers.
        values: the numbers as plain data; sizes are bytes, addresses hex strings.
    """

    id: str
    severity: Severity
    title: str
    detail: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "detail": self.detail,
            "values": self.values,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    Attributes:
        id: the finding's id.
        severity: the highest that it can have.
        about: what it is about.
        title: in a few words.
        meaning: what it means for the process.
        when: when it holds, in words; `{name}` stands for a threshold.
        lower: when its severity is less than the table's; empty where it never is.
        advice: what to do.
        source: where the rule comes from.
        condition: looks at the facts and says what it found.
    """

    id: str
    severity: Severity
    about: About
    title: str
    meaning: str
    when: str
    lower: str
    advice: str
    source: str
    condition: Callable[[Measurements, Mapping[str, float]], Hit | None]

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds that it compares with."""
        names = re.findall(r"\{(\w+)\}", self.when + self.lower)
        return tuple(THRESHOLD[name] for name in dict.fromkeys(names))

    @property
    def page(self) -> str:
        """Its page in the documentation."""
        return f"docs/findings/{self.id}.md"


RULES: tuple[Rule, ...] = (
    Rule(
        id="out-of-memory-exception",
        severity="critical",
        about="process",
        title="An allocation failed and ended the process",
        meaning="The exception that the dump was written for says that memory could not be had. This is "
        "recorded, not inferred: it outweighs everything that the map looks like afterwards. Some codes name "
        "the limit that failed; of the others the finding says which limit it was as far as the size asked for, "
        "the largest free block and the commit counters tell.",
        when="The exception code is STATUS_NO_MEMORY, STATUS_COMMITMENT_LIMIT, STATUS_FATAL_MEMORY_EXHAUSTION "
        "or Chromium's 0xE0000008; or it is a .NET exception with an out-of-memory HRESULT, a C++ exception of "
        "type std::bad_alloc or derived from it, or an in-page error because of one of these; or the crash "
        "reporter noted the size of a failed allocation.",
        lower="",
        advice="Read the axis and the size asked for. Address space: see what holds it, and whether a 64-bit "
        "build or the large-address-aware flag is possible. Commit: look at the system and at the job, not at "
        "this process alone. Neither: look for a limit that the allocator itself has.",
        source="Breakpad and rust-minidump (codes and Chromium's parameter); Mozilla Socorro's out-of-memory "
        "rules; the published RtlAllocateHeap of ReactOS for the size in STATUS_NO_MEMORY's parameter; Raymond "
        "Chen, 2010-07-30, on reading a C++ exception's type.",
        condition=detect.out_of_memory_exception,
    ),
    Rule(
        id="stack-commit-failure",
        severity="critical",
        about="commit",
        title="A stack could not grow although it had room",
        meaning="A stack grows a page at a time, and each page has to be committed. Where that fails, Windows "
        "raises the same exception as for a stack that ran to its end. Far from the end it means that the "
        "system was out of commit, unless its counters say that plenty was left.",
        when="The exception is STATUS_STACK_OVERFLOW and the fault lies {stack_headroom} or more above the "
        "stack's lowest address (beside what the thread reserved with SetThreadStackGuarantee).",
        lower="",
        advice="Treat it as out of commit: look at the system's commit charge and limit and at the job's.",
        source="Raymond Chen, 2022-02-04; Microsoft on thread stack size.",
        condition=detect.stack_commit_failure,
    ),
    Rule(
        id="stack-overflow",
        severity="critical",
        about="process",
        title="A stack ran to its end",
        meaning="A thread used up the address space of its own stack: deep or endless recursion, or large local "
        "variables. It says nothing about the memory of the process.",
        when="The exception is STATUS_STACK_OVERFLOW and the fault lies near the stack's end, or the input does "
        "not hold enough to tell how far from it.",
        lower="",
        advice="Look at the thread's calls. If the input cannot tell how much of the stack was left, take one "
        "with a list of regions.",
        source="Microsoft on thread stack size.",
        condition=detect.stack_overflow,
    ),
    Rule(
        id="allocation-request-impossible",
        severity="warning",
        about="address-space",
        title="More was asked for than the address space has",
        meaning="The failed allocation could not have succeeded in an empty process. The fault is the size, not "
        "the memory.",
        when="The size asked for is recorded and not below the size of the address space.",
        lower="",
        advice="Look where the size comes from: an overflow, a negative number, a corrupt length field.",
        source="arithmetic.",
        condition=detect.allocation_request_impossible,
    ),
    Rule(
        id="address-space-exhausted",
        severity="critical",
        about="address-space",
        title="The address space is used up",
        meaning="Hardly anything is free, in whatever pieces. Allocations fail however much memory the machine has.",
        when="Less than {free_total_critical} of the address space are free.",
        lower="",
        advice="See which types hold the space (`summary`), then which allocations (`regions --sort size`).",
        source="limits: Microsoft on memory limits; the number is an own choice.",
        condition=detect.address_space_exhausted,
    ),
    Rule(
        id="largest-free-block-small",
        severity="critical",
        about="address-space",
        title="The largest free block is small",
        meaning="An allocation needs one block. When the largest is smaller than what heaps and garbage "
        "collectors ask for to grow, the process is at its end although much may be free in total.",
        when="The largest free block is below {largest_free_critical}.",
        lower="Warning from there up to {largest_free_warning}.",
        advice="If the free total is much larger, the space is fragmented: look for many small or scattered "
        "allocations and for modules at scattered addresses. If not, it is used up.",
        source="Ian Voyce on VMMap (2009): below 64 MB memory trouble is to be expected; Tess Ferrandez (2006) "
        "for why.",
        condition=detect.largest_free_block_small,
    ),
    Rule(
        id="address-space-fragmented",
        severity="warning",
        about="address-space",
        title="The free address space is in pieces",
        meaning="Enough is free in total, but no piece of it is large. Freeing memory elsewhere does not help "
        "unless it joins pieces.",
        when="1 - largest free block / free space is {fragmentation} or more, the largest free block is below "
        "{largest_free_warning}, and {free_total_critical} or more are free.",
        lower="",
        advice="The largest free blocks with their neighbours show what keeps them apart.",
        source="definition as in DebugDiag's report and WinDbg's `!heap -s`; that a small largest block beside "
        "much free space means fragmentation: Microsoft's explanation of `!address -summary`.",
        condition=detect.address_space_fragmented,
    ),
    Rule(
        id="address-space-low",
        severity="warning",
        about="address-space",
        title="Little address space is free",
        meaning="The process is close to the end of its address space.",
        when="Less than {free_total_warning} are free in an address space of up to 4 GB, or less than "
        "{wide_free_share} of a larger one, but more than for `address-space-exhausted`. Without a list of "
        "regions the process's counter of virtual memory can say so for up to 4 GB.",
        lower="",
        advice="See which types hold the space (`summary`).",
        source="Visual Studio turns features off at 200 MB free (dotnet/roslyn, low-memory handling).",
        condition=detect.address_space_low,
    ),
    Rule(
        id="heap-segment-will-not-fit",
        severity="warning",
        about="address-space",
        title="A heap's next segment will not fit",
        meaning="A growing heap reserves a new segment, twice as large as the last up to 15.8 MB. If no free "
        "block holds it, the heap tries smaller ones, so it goes on for a while, and then allocations fail.",
        when="A heap's next segment is larger than the largest free block.",
        lower="",
        advice="Compare with `heaps`: which heap grew, and how much of it is in use.",
        source="Microsoft's KB 216383 (growth by doubling); the cap of 15.8 MB was seen in a VMMap recording "
        "and is documented nowhere; that smaller sizes are tried: ReactOS.",
        condition=detect.heap_segment_will_not_fit,
    ),
    Rule(
        id="gc-segment-will-not-fit",
        severity="warning",
        about="address-space",
        title="The garbage collector's next segment will not fit",
        meaning="The .NET collector of a 32-bit process reserves address space in segments. If it cannot have "
        "one, the program gets OutOfMemoryException.",
        when="A .NET runtime is loaded in a 32-bit process and the largest free block is below {gc_segment} "
        "(workstation collector), or below 64, 32 or 16 MB where threads or modules show the server collector "
        "(up to 4, up to 8, more processors).",
        lower="",
        advice="The managed heap, and what fragments the space around it.",
        source="Microsoft's fundamentals of garbage collection.",
        condition=detect.gc_segment_will_not_fit,
    ),
    Rule(
        id="commit-limit-reached",
        severity="critical",
        about="commit",
        title="The system's commit limit is reached",
        meaning="Windows promises memory up to the size of RAM and page files. At the limit, allocations fail "
        "in every process, whatever its address space. Near 100 % is evidence, not proof: a page file that "
        "Windows manages grows before the limit is final.",
        when="The commit charge is {commit_reached} or more of the commit limit, and a recorded failure has no "
        "better explanation.",
        lower="Warning where no such failure is recorded.",
        advice="See which process holds the commit; this one's share is in the values. More page file raises "
        "the limit.",
        source="Benjamin Smedberg (2013-04-24) on telling the two kinds apart; TechNet wiki 2248 on page files "
        "that grow; measurements by stablyai/orca for a machine that survived it.",
        condition=detect.commit_limit_reached,
    ),
    Rule(
        id="commit-limit-near",
        severity="warning",
        about="commit",
        title="The system's commit is near its limit",
        meaning="The system has promised almost all the memory that it has.",
        when="The commit charge is {commit_warning} or more of the commit limit, but less than {commit_reached}.",
        lower="",
        advice="See which process holds the commit; this one's share is in the values.",
        source="Friedman and Pentakalos on performance alerts.",
        condition=detect.commit_limit_near,
    ),
    Rule(
        id="job-commit-limit-near",
        severity="critical",
        about="commit",
        title="The job's commit limit is near or reached",
        meaning="The process belongs to a job (a container, a service, a browser's sandbox) that may commit "
        "only so much. Its limit does not grow.",
        when="The job's private commit is {job_warning} or more of its limit and less than "
        "{job_headroom_critical} are left.",
        lower="Warning where more is left.",
        advice="Raise the job's limit, or see which of its processes holds the commit.",
        source="Raymond Chen, 2022-02-04, on the job counters of a dump.",
        condition=detect.job_commit_limit_near,
    ),
    Rule(
        id="last-error-out-of-memory",
        severity="warning",
        about="process",
        title="A thread's last error means out of memory",
        meaning="The last function that failed on the thread did so for want of memory. On the thread that "
        "crashed this is strong evidence even where the exception is an access violation: a null pointer that "
        "nobody checked. Last errors stay until the next one, so on other threads it may be old.",
        when="The last error is 8, 14, 1454 or 1455 on the thread that crashed.",
        lower="Info where only other threads have such a last error, or nothing crashed.",
        advice="Look at what the crashing thread was doing: an allocation whose result was not checked.",
        source="Mozilla Socorro's rules on the last error of the crashing thread.",
        condition=detect.last_error_out_of_memory,
    ),
    Rule(
        id="many-threads",
        severity="warning",
        about="address-space",
        title="Many threads",
        meaning="Each thread's stack reserves address space, 1 MB by default, and in a 32-bit process on 64-bit "
        "Windows 256 KB more for its 64-bit side.",
        when="There are more than {many_threads} threads, or stacks reserve {stack_share} or more of an address "
        "space of up to 4 GB.",
        lower="Info in address spaces above 4 GB, where stacks are no matter.",
        advice="Use fewer threads or smaller stack reserves; `stacks` lists them.",
        source="msos (more than 200); Raymond Chen, 2005-07-29, on how many threads fit.",
        condition=detect.many_threads,
    ),
    Rule(
        id="unusable-space",
        severity="warning",
        about="address-space",
        title="Much space is lost behind small allocations",
        meaning="VirtualAlloc starts every allocation at a multiple of 64 KB. One of 4 KB makes the other 60 KB "
        "unusable.",
        when="{unusable_share} or more of an address space of up to 4 GB are unusable.",
        lower="",
        advice="Find who calls VirtualAlloc for small sizes; the values group them by kind and size.",
        source="Benjamin Smedberg, 2013-04-11.",
        condition=detect.unusable_space,
    ),
    Rule(
        id="page-heap-on",
        severity="warning",
        about="process",
        title="Page heap is on",
        meaning="A debugging aid gives every heap block its own pages. The process needs many times its usual "
        "memory; running out of it says little about the program.",
        when="NtGlobalFlag in the PEB has 0x02000000, or a heap has the structures of page heap.",
        lower="Info in address spaces above 4 GB.",
        advice="Turn it off (gflags) unless it is wanted.",
        source="Microsoft on page heap's memory requirements.",
        condition=detect.page_heap_on,
    ),
    Rule(
        id="heap-fragmented",
        severity="warning",
        about="address-space",
        title="A heap holds much space that it does not commit",
        meaning="The heap's reservation is full of holes: it holds address space that nobody else can have, in "
        "ranges that may be too small for the heap itself.",
        when="A heap reserves {heap_fragmentation_size} or more and 1 - committed / virtual bytes is "
        "{heap_fragmentation} or more, in more than one range.",
        lower="Info in address spaces above 4 GB.",
        advice="Look for blocks of very different lifetimes in one heap.",
        source="WinDbg's `!heap -s` (virtual address fragmentation) and DebugDiag (heap fragmentation) for the "
        "definitions; both figures are in the values.",
        condition=detect.heap_fragmented,
    ),
    Rule(
        id="reserve-exceeds-commit",
        severity="warning",
        about="address-space",
        title="Much is reserved and not committed",
        meaning="Reserved memory costs no commit, but address space. In a small address space it takes room "
        "from everything else.",
        when="{reserve_share} or more of an address space of up to 4 GB are reserved without being committed, "
        "and the largest free block is below {largest_free_warning}.",
        lower="Info where the largest free block is not small.",
        advice="The values say which types reserve it; large arenas of allocators and stacks are the usual ones.",
        source="own rule.",
        condition=detect.reserve_exceeds_commit,
    ),
    Rule(
        id="not-large-address-aware",
        severity="info",
        about="address-space",
        title="The program could have more address space",
        meaning="A 32-bit program that is not marked large address aware gets 2 GB, also on 64-bit Windows.",
        when="The flag is not set in the program's header and the largest free block is below "
        "{largest_free_warning} or less than {free_total_warning} are free.",
        lower="",
        advice="Link with /LARGEADDRESSAWARE if the code treats addresses as unsigned; or build for 64 bits.",
        source="Microsoft on memory limits.",
        condition=detect.not_large_address_aware,
    ),
    Rule(
        id="many-heaps",
        severity="info",
        about="process",
        title="Many heaps",
        meaning="Free memory of one heap is of no use to another, and each has a segment of its own.",
        when="There are more than {many_heaps} heaps.",
        lower="",
        advice="`heaps` lists them.",
        source="own choice: no source gives a limit.",
        condition=detect.many_heaps,
    ),
    Rule(
        id="module-loaded-twice",
        severity="info",
        about="process",
        title="Modules are loaded more than once",
        meaning="Several modules have one file name, or a module's file is mapped as data beside its image.",
        when="The copies beyond the largest of each take {repeated_size} or more.",
        lower="",
        advice="Look for copies of one library in different folders, and for tools that map files to read them.",
        source="own rule.",
        condition=detect.module_loaded_twice,
    ),
    Rule(
        id="file-mapped-repeatedly",
        severity="info",
        about="process",
        title="A file is mapped more than once",
        meaning="Several views of one file take address space each.",
        when="A file has more than one view and its views take {repeated_size} or more. Only inputs that record "
        "file names can show it; minidumps do not.",
        lower="",
        advice="Look for views that are not unmapped.",
        source="own rule.",
        condition=detect.file_mapped_repeatedly,
    ),
    Rule(
        id="type-dominates",
        severity="info",
        about="process",
        title="One type takes most of the memory",
        meaning="Where to look first.",
        when="{type_size} or more are in use and one type takes more than {type_share} of it: of the address "
        "space up to 4 GB, else of the committed memory.",
        lower="",
        advice="`regions --type` lists its allocations.",
        source="own rule.",
        condition=detect.type_dominates,
    ),
    Rule(
        id="executable-writable-memory",
        severity="info",
        about="process",
        title="Private memory can be written and executed at once",
        meaning="Generated code of a JIT compiler, a hook of a security product, or injected code. It is no "
        "memory problem.",
        when="Committed private memory has PAGE_EXECUTE_READWRITE or PAGE_EXECUTE_WRITECOPY.",
        lower="",
        advice="See which allocations they are, if code is not generated on purpose.",
        source="own rule.",
        condition=detect.executable_writable_memory,
    ),
    Rule(
        id="cpp-exception-unreadable",
        severity="info",
        about="input",
        title="A C++ exception whose type is not in the input",
        meaning="The process died of an uncaught C++ exception. Its type is in a module's data; without it, "
        "std::bad_alloc cannot be told from others.",
        when="The exception is 0xE06D7363 and its type information is not in the input.",
        lower="",
        advice="Take a dump with full memory, or with data segments.",
        source="Raymond Chen, 2010-07-30.",
        condition=detect.cpp_exception_unreadable,
    ),
    Rule(
        id="dump-too-small",
        severity="info",
        about="input",
        title="The input is too small to tell",
        meaning="Without a list of regions nobody can say how much address space is free. The figures that the "
        "input has are shown; the rest is unknown, not zero.",
        when="The input has no list of memory regions.",
        lower="",
        advice="Take a dump with MiniDumpWithFullMemoryInfo: it costs 48 bytes a region. `info` says how.",
        source="Microsoft on MINIDUMP_TYPE and on WinDbg's .dump.",
        condition=detect.dump_too_small,
    ),
    Rule(
        id="input-damaged",
        severity="warning",
        about="input",
        title="Parts of the input could not be read",
        meaning="The file is cut off or damaged. What could be read is shown; findings that need the rest are missing.",
        when="Reading the input gave warnings.",
        lower="",
        advice="Get the file again. A dump that is cut off was often written while memory or disk ran out.",
        source="Benjamin Smedberg (2013-04-11) on empty dumps at low memory.",
        condition=detect.input_damaged,
    ),
    Rule(
        id="input-contradictory",
        severity="info",
        about="input",
        title="The input contradicts itself",
        meaning="Facts of the input do not fit together, or structures in the process's memory are not as expected.",
        when="Classification gave warnings.",
        lower="",
        advice="Read the warnings before relying on what they are about.",
        source="own rule.",
        condition=detect.input_contradictory,
    ),
)
"""Every finding, in the order in which those of one severity are shown."""

RULE = {rule.id: rule for rule in RULES}
"""Rule by its id."""

FINDING_COLUMNS = ("severity", "id", "title", "detail")
"""Columns of the table of findings, in order."""

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def find(region_map: RegionMap, rules: RuleSet | None = None) -> list[Finding]:
    """Lists what holds of a map, most severe first, in the table's order among equals.

    Args:
        region_map: the map.
        rules: thresholds, severities and findings that are not wanted; the defaults otherwise.
    """
    rules = rules or DEFAULT_RULES
    m = measurements_of(region_map)
    found = []
    for rule in RULES:
        if rule.id in rules.disabled:
            continue
        hit = rule.condition(m, rules.thresholds)
        if hit is not None:
            severity = rules.severity.get(rule.id) or hit.severity or rule.severity
            found.append(Finding(rule.id, severity, rule.title, hit.detail, hit.values))
    found.sort(key=lambda finding: _RANK[finding.severity])
    return found


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The highest severity among findings, None where there are none."""
    return min((finding.severity for finding in findings), key=_RANK.__getitem__, default=None)


def at_least(severity: Severity, level: Severity) -> bool:
    """Whether a severity is as high as another or higher."""
    return _RANK[severity] <= _RANK[level]


# ---------------------------------------------------------------- documentation

_ABOUT = {
    "address-space": "the address space",
    "commit": "the commit",
    "process": "the process",
    "input": "the input",
}
_NOTE = "<!-- Generated by `python -m dumpmap.wording.findings --docs docs/findings`; do not edit. -->"


def threshold_words(threshold: Threshold) -> str:
    """Writes a threshold's default value with its unit."""
    if threshold.unit == "bytes":
        return size_words(int(threshold.default))
    return percent_words(threshold.default) if threshold.unit == "share" else f"{threshold.default:,.0f}"


def _fill(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: threshold_words(THRESHOLD[match[1]]), text)


def page_text(rule: Rule) -> str:
    """Writes one rule's page (Markdown)."""
    lines = [
        _NOTE,
        "",
        f"# {rule.title}",
        "",
        f"`{rule.id}` · {rule.severity} · about {_ABOUT[rule.about]}",
        "",
        rule.meaning,
        "",
        "## When it is reported",
        "",
        _fill(rule.when),
    ]
    if rule.lower:
        lines += ["", _fill(rule.lower)]
    lines += ["", "## What to do", "", rule.advice, "", "## Where this comes from", "", _sentence(rule.source)]
    if rule.thresholds:
        lines += ["", "## Thresholds", "", "| name | default | meaning | source |", "|---|---|---|---|"]
        lines += [
            f"| `{item.name}` | {threshold_words(item)} | {item.meaning} | {item.source} |" for item in rule.thresholds
        ]
        lines += ["", "They can be changed in a rules file, table `[thresholds]`."]
    return "\n".join(lines) + "\n"


def index_text() -> str:
    """Writes the list of all findings (Markdown)."""
    lines = [_NOTE, "", "# Findings", "", "| finding | severity | about | what it says |", "|---|---|---|---|"]
    lines += [
        f"| [`{rule.id}`]({rule.id}.md) | {rule.severity} | {_ABOUT[rule.about]} | {rule.title} |" for rule in RULES
    ]
    return "\n".join(lines) + "\n"


def thresholds_text() -> str:
    """Writes the table of all thresholds with their sources (Markdown), as docs/diagnosis.md holds it."""
    lines = ["| threshold | default | what it decides | where the number comes from |", "|---|---|---|---|"]
    lines += [f"| `{item.name}` | {threshold_words(item)} | {item.meaning} | {item.source} |" for item in THRESHOLDS]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """All pages by file name."""
    return {"README.md": index_text(), **{f"{rule.id}.md": page_text(rule) for rule in RULES}}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Writes the pages of the findings.")
    parser.add_argument("--docs", type=Path, required=True, help="folder to write them to")
    folder: Path = parser.parse_args(arguments).docs
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for path in folder.glob("*.md"):
        if path.name not in wanted and path.read_text("utf-8").startswith(_NOTE):
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
