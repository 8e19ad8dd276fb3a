"""Findings about the commit: the system's charge against its limit, and the job's."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import job_text, left_text
from dumpmap.wording.text import count_words, list_words, percent_words, sentence, size_words


def _commit_limit(hit: Hit, d: Diagnosis) -> str:
    commit = d.measurements.commit
    text = (
        f"The system has committed {percent_words(commit.ratio or 0)} of its limit of {size_words(commit.limit or 0)}; "
        f"{left_text(commit.left or 0)}."
    )
    if commit.process is not None and commit.process_share is not None:
        text += f" This process holds {size_words(commit.process)} of it ({percent_words(commit.process_share)})."
    if not hit.subject:
        text += " This does not prove a failure: a page file that Windows manages grows before the limit is final."
    return text


def _job_commit_limit_near(hit: Hit, d: Diagnosis) -> str:
    return f"{sentence(job_text(d.measurements))}. A job's limit does not grow."


def _heap_commit_failures(hit: Hit, d: Diagnosis) -> str:
    count = d.measurements.heap_commit_failures or 0
    titles = list_words([heap.title for heap in hit.subject])
    return (
        f"Windows refused to commit memory {count_words(count, 'time')} for {titles}, by the counter in the heap's "
        "header. The counter does not say when."
    )


_CONFIRM = (
    "`dumpmap summary FILE --format json` has `commit_total` and `commit_limit` under `system`, and `private_usage` of "
    "this process under `counters`. On the machine, Task Manager (Performance, Memory) shows the system's committed "
    "bytes; its details view can show the commit size of every process."
)

EXPLANATIONS = {
    "commit-limit-reached": Explanation(
        title="The system's commit limit is reached",
        meaning="Windows promises memory up to the size of RAM and page files, and the promises have reached that "
        "limit. Near 100 % is evidence, not proof: a page file that Windows manages grows before the limit is final.",
        why="At the limit, allocations fail in every process, however much of its address space is free.",
        confirm=_CONFIRM,
        advice="Find the process that holds the commit; the values show the share of this one. A larger page file "
        "raises the limit.",
        when="The commit charge is {commit_reached} or more of the commit limit, and a recorded failure has no better "
        "explanation.",
        lower="The severity is warning if the input records no such failure.",
        source="Benjamin Smedberg (2013-04-24) on distinguishing the two kinds; TechNet wiki 2248 on page files that "
        "grow; measurements by stablyai/orca of a machine that survived it.",
        detail=_commit_limit,
    ),
    "commit-limit-near": Explanation(
        title="The system's commit is near its limit",
        meaning="The system has promised almost all the memory that it can.",
        why="If any process requests much more, allocations fail in all of them.",
        confirm=_CONFIRM,
        advice="Find the process that holds the commit; the values show the share of this one.",
        when="The commit charge is {commit_warning} or more of the commit limit, but less than {commit_reached}.",
        source="Friedman and Pentakalos on performance alerts.",
        detail=_commit_limit,
    ),
    "job-commit-limit-near": Explanation(
        title="The job's commit limit is near or reached",
        meaning="The process belongs to a job (of a container, a service, or a browser's sandbox) whose commit has a "
        "limit.",
        why="At the job's limit, allocations of the process fail although the system has memory. The limit does not "
        "grow.",
        confirm="`dumpmap summary FILE --format json` has `job_private_commit_usage` and `job_private_commit_limit` "
        "under `counters`. On the machine, Process Explorer shows the job's limits in the properties of the process.",
        advice="Raise the job's limit, or find the process in the job that holds the commit.",
        when="The job's private commit is {job_warning} or more of its limit, and less than {job_headroom_critical} is "
        "left.",
        lower="The severity is warning if more is left.",
        source="Raymond Chen, 2022-02-04, on the job counters of a dump.",
        detail=_job_commit_limit_near,
    ),
    "heap-commit-failures": Explanation(
        title="Windows refused to commit memory for a heap",
        meaning="The header of an NT heap counts how often Windows refused to commit pages of address space that the "
        "heap had already reserved. The count grows from the creation of the heap on.",
        why="The heap had the address space, so the refusal concerns the commit: the system or the job was at its "
        "limit at that moment. Allocations fail then although address space is free.",
        confirm="`dumpmap heaps FILE --format json` has `commit_failures` of every heap. In WinDbg, `dt ntdll!_HEAP "
        "ADDRESS Counters.` shows the field.",
        advice="Find out what held the commit when the process failed: the system's commit limit, a limit of the job, "
        "or the process itself.",
        when="The header of at least one NT heap is in the input, its layout is certain, and its counter is not 0.",
        source="`_HEAP_COUNTERS` in the public symbols of ntdll.dll: CommitFailures has the same place from Windows "
        "Vista to 11.",
        detail=_heap_commit_failures,
    ),
}
