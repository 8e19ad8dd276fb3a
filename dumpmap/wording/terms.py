"""Words that outputs use beside the names of findings, types, and columns, each with its meaning."""

from __future__ import annotations

TERMS: dict[str, str] = {
    "at least": "A lower bound: the input shows only a part of the memory, so the true figure is this one or more. "
    "Tables and CSV files of partial maps mark such totals.",
    "at most": "An upper bound: what is known to be in use leaves no more than this, and the true figure may be less. "
    "The reason stands beside it.",
    "partial map": "The map of an input without a list of memory regions. It shows what modules, stacks, heaps, and "
    "captured bytes prove; totals are `at least`, and free space is unknown.",
    "stated": "Counted by a header in the process's memory, such as a heap's, although the memory itself was not "
    "captured. The map does not show it as regions.",
    "recorded": "Evidence that the input itself wrote down when the process failed: the exception, a stream, an "
    "annotation, or a comment of the writer.",
    "measured": "Evidence that follows from complete figures of the map or the counters by arithmetic alone.",
    "inferred": "Concluded from something that makes it likely and does not prove it, such as a stack pointer or a "
    "pointer in another module. Where such a row is wrong, sizes and types stay right.",
    "likelier": "The axis that probably ran out where none can be proved, with its reason. It is always inferred.",
    "blank": "Not known. dumpmap writes a blank, `null`, or `<NA>` for what the input does not show, and 0 only for "
    "nothing.",
    "axis": "One of the three limits that a process can meet: address space, commit, and the limit of a runtime's own "
    "heap.",
    "address space": "The addresses that the process can use: 2, 3, or 4 GB in 32 bits, 128 TB in 64 bits. It runs out "
    "when no free block is large enough for a request.",
    "commit": "The promise of Windows to back memory with RAM or a page file. The system and a job object limit it, "
    "and each limit can be reached alone.",
    "out": "State of an axis: its limit was reached.",
    "low": "State of an axis: its limit is near, or less commit is left than the failed allocation requested.",
    "ok": "State of an axis: it has room.",
    "unknown": "State of an axis: the input does not show it. As a type, memory of a partial map that nothing "
    "explains.",
    "critical": "Severity of a finding: a limit was reached, or is so near that ordinary requests fail.",
    "warning": "Severity of a finding: a limit is near, or something will soon cost memory.",
    "info": "Severity of a finding: worth knowing; nothing ran out by it.",
    "signal": "A finding that the verdict rests on, with its strength: `recorded`, `measured`, or `inferred`.",
    "finding": "Something that dumpmap noticed, with the numbers that led to it. Each has a severity and a page.",
    "fragmented": "How much of the free address space lies outside the largest free block: 1 - largest block / free. "
    "At 100 % no large request fits, however much is free in total.",
    "largest block": "The largest free block of the address space; see `largest free block`.",
    "in use": "Address space that is taken. Beside a partial map, by the counter VirtualSize.",
    "available": "Free address space that the writer of the dump recorded; the map itself does not show it.",
    "system": "In a verdict: the commit charge of the whole system and its commit limit.",
    "process": "In a verdict: the private committed memory of this process.",
    "job": "In a verdict: the commit that the processes of the job object share, and the limit of the job.",
    "by the writer of the dump": "The figure is not dumpmap's: the program that wrote the dump recorded it.",
    "by the counters": "The figure is a counter of Windows's in the dump, not a sum over the map.",
    "less left than was requested": "The commit that was left when the dump was written was smaller than the request "
    "that failed.",
    "garbage included": "The used bytes of a runtime's heap include garbage that a collection frees.",
    "over its limit": "A runtime's heap holds more than its own limit allows, garbage included.",
    "use not recorded": "The input shows the limit of a runtime's heap and not how much of it was used.",
    "heap limit": "The limit of a runtime's own heap, such as V8's or the -Xmx of Java. It can be reached while "
    "address space and commit have room.",
    "commit charge": "Memory that Windows has promised to back with RAM or a page file: private committed memory of "
    "all processes, and shared sections backed by the page file. `commit_total` in JSON.",
    "commit limit": "The most that the commit charge can be: RAM plus page files. An allocation that would exceed it "
    "fails, however much address space is free.",
    "reserved": "Address space that is taken and has no memory behind it yet. It does not count against the commit "
    "limit.",
    "committed": "Memory that has a promise of RAM or page file behind it. Private committed memory counts against "
    "the commit limit; images and mapped files do not.",
    "private bytes": "Committed memory that no other process can share. The counter of that name is Windows's "
    "PrivateUsage.",
    "largest free block": "The largest run of free address space that an allocation can use. A single request above "
    "it fails, however much is free in total.",
    "free_at_most": "JSON of a partial map: an upper bound of all free address space, with its evidence. It is no "
    "measurement.",
    "captured": "Contained in the file. A dump can describe memory without containing its bytes.",
    "limit_source": "JSON: the evidence for the size of the address space.",
    "limit_name": "JSON: the size of the address space in round figures, such as 2 GB.",
    "limit_at_most": "JSON: whether the size of the address space is only an upper bound.",
    "used_by_counter": "JSON of a partial map: address space in use by the counter VirtualSize.",
    "available_by_writer": "JSON of a partial map: free address space that the writer of the dump recorded.",
    "large_address_aware": "JSON: the program's flag that allows more than 2 GB of address space; null if unknown.",
    "complete": "JSON: whether the input describes the whole address space.",
    "used": "JSON: address space in use, or bytes in use of a runtime's heap.",
    "limit": "JSON: the size of the address space, or the most that a runtime's heap may take.",
    "ratio": "JSON: the used part of a limit, 0 to 1.",
    "requested": "JSON: bytes of the allocation that failed; null if not recorded.",
    "state": "JSON: state of an axis: `out`, `low`, `ok`, or `unknown`.",
    "strength": "JSON: how sure a signal is: `recorded`, `measured`, or `inferred`.",
    "lower_bounds": "JSON: the figures of the document that are `at least`.",
    "free": "JSON: free address space without unusable space; null where the map is partial.",
    "system_total": "JSON: the commit charge of the system.",
    "system_total_is_lower_bound": "JSON: whether the commit charge of the system is `at least`: the process alone has "
    "more than the counter says.",
    "system_limit": "JSON: the commit limit of the system.",
    "system_ratio": "JSON: the commit charge of the system as a part of its limit, 0 to 1.",
    "process_private": "JSON: private committed memory of the process.",
    "process_share": "JSON: the part of the system's commit charge that the process has, 0 to 1.",
    "job_usage": "JSON: private committed memory of all processes of the job object.",
    "job_limit": "JSON: the most that the processes of the job object may commit.",
    "runtime": "JSON: the runtime whose heap has a limit of its own.",
    "source": "JSON: the stream, annotation, or variable that a figure comes from.",
    "location": "JSON: where a runtime gave up, in its own words.",
    "includes_garbage": "JSON: whether the used bytes of a runtime's heap include garbage that a collection frees.",
}
"""Term to meaning. A key of JSON is written as it is there; case, spaces, and hyphens do not matter to `explain`."""
