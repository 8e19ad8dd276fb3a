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
    "out": "State of an axis: its limit was reached.",
    "low": "State of an axis: its limit is near, or less commit is left than the failed allocation requested.",
    "ok": "State of an axis: it has room.",
    "unknown": "State of an axis: the input does not show it. As a type, memory of a partial map that nothing "
    "explains.",
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
