"""Findings about what the process holds: threads, files, modules, executable memory, and the largest type."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import input_noun
from dumpmap.wording.text import count_words, list_words, percent_words, size_words


def _many_threads(hit: Hit, d: Diagnosis) -> str:
    limit, stacks = d.measurements.limit, hit.values["stack_reserve"]
    threads = count_words(hit.values["threads"], "thread")
    if not stacks:
        return f"The process has {threads}. Each reserves address space for its stack, 1 MB by default."
    size = limit.size if limit.narrow and limit.exact else None
    share = f", {percent_words(stacks / size)} of the address space" if size else ""
    reserve = "reserves" if hit.values["threads"] == 1 else "reserve"
    return f"{threads} {reserve} {size_words(stacks)} for stacks{share}. The default stack is 1 MB."


def _file_mapped_repeatedly(hit: Hit, d: Diagnosis) -> str:
    count, first = hit.values["count"], hit.values["files"][0]
    views = f"{first['file']} in {first['views']:,} views of {size_words(first['size'])} in total"
    many = count_words(count, "file is", "files are")
    return f"{many} mapped more than once{', for example ' if count > 1 else ': '}{views}."


def _module_loaded_twice(hit: Hit, d: Diagnosis) -> str:
    twice, copies = hit.subject.modules, hit.subject.copies
    parts = []
    if twice:
        names = list_words([found[0].name for found in twice], 3)
        parts.append(f"{count_words(len(twice), 'module is', 'modules are')} loaded more than once ({names})")
    if copies:
        names = list_words([copy.module for copy in copies], 3)
        parts.append(f"{count_words(len(copies), 'module is', 'modules are')} also mapped as data ({names})")
    return f"Copies take {size_words(hit.values['extra'])} of address space: {' and '.join(parts)}."


def _executable_writable_memory(hit: Hit, d: Diagnosis) -> str:
    return (
        f"{size_words(hit.values['size'])} of private memory in {count_words(hit.values['count'], 'region')} is both "
        "writable and executable. It can hold generated or injected code."
    )


def _type_dominates(hit: Hit, d: Diagnosis) -> str:
    top, narrow, committed = hit.subject, d.measurements.limit.narrow, hit.values["committed"]
    of = "address space in use" if narrow else "committed memory"
    words = f"; {size_words(committed)} of it is committed" if narrow and committed is not None else ""
    of = of if d.measurements.whole else f"{of} that the {input_noun(d.measurements)} shows"
    return f"{top.type.label} takes {size_words(top.size)}, {percent_words(top.share)} of the {of}{words}."


EXPLANATIONS = {
    "many-threads": Explanation(
        title="Many threads",
        meaning="The process has many threads, or their stacks take much address space. Each stack reserves 1 MB by "
        "default, and in a 32-bit process on 64-bit Windows 256 KB more for its 64-bit side.",
        why="In a small address space, stacks leave less room for everything else: about 2,000 of them fill 2 GB.",
        confirm="`dumpmap stacks FILE` lists the threads with their stacks. In WinDbg, `~*k` shows what they do.",
        advice="Use a thread pool, or smaller stacks (linker option /STACK, or the parameter of CreateThread with "
        "STACK_SIZE_PARAM_IS_A_RESERVATION).",
        when="There are more than {many_threads} threads, or stacks reserve {stack_share} or more of an address space "
        "of up to 4 GB.",
        lower="The severity is info in address spaces above 4 GB, where stacks do not matter.",
        source="msos (more than 200); Raymond Chen, 2005-07-29, on how many threads fit.",
        detail=_many_threads,
    ),
    "module-loaded-twice": Explanation(
        title="Modules are loaded more than once",
        meaning="Several modules have one file name, or the file of a module is also mapped as data.",
        why="Each copy takes address space, and different versions of one library can be loaded side by side.",
        confirm="`dumpmap modules FILE` lists the modules with their paths and addresses.",
        advice="Look for copies of one library in different folders, and for tools that map files to read them.",
        when="The copies beyond the largest of each take {repeated_size} or more.",
        source="a rule of dumpmap's authors.",
        detail=_module_loaded_twice,
    ),
    "file-mapped-repeatedly": Explanation(
        title="A file is mapped more than once",
        meaning="A file has several views, and each takes address space of its own.",
        why="A growing number of views of one file is a leak of address space, though not of commit.",
        confirm='`dumpmap regions FILE --type "mapped file" --sort size` lists the views.',
        advice="Look for code that maps the file and does not call UnmapViewOfFile.",
        when="A file has more than one view, and its views take {repeated_size} or more. Only inputs that record file "
        "names can show it; minidumps do not.",
        source="a rule of dumpmap's authors.",
        detail=_file_mapped_repeatedly,
    ),
    "type-dominates": Explanation(
        title="One type takes most of the memory",
        meaning="More than half of the memory in use is of one type, so this type explains the size of the process.",
        why="Savings elsewhere change little. The type shows where to look: Heap means allocations of native code, "
        "Managed Heap objects of .NET, Image loaded modules, Private Data memory that code got from VirtualAlloc, such "
        "as the arenas of other allocators and runtimes.",
        confirm="`dumpmap summary FILE` shows the bytes of every type, and `dumpmap regions FILE --type TYPE --sort "
        "size` the largest allocations of one.",
        advice="Start with the largest allocations of the type. For Heap, `dumpmap heaps FILE` shows which heap they "
        "belong to. If memory grows, `dumpmap diff OLD NEW` or `dumpmap timeline FILE...` shows what grows.",
        when="{type_size} or more is in use, and one type takes more than {type_share} of it: of the address space in "
        "use up to 4 GB, of the committed memory in larger address spaces.",
        source="a rule of dumpmap's authors.",
        detail=_type_dominates,
    ),
    "executable-writable-memory": Explanation(
        title="Private memory is both writable and executable",
        meaning="Code can write to this memory and run what it wrote: a JIT compiler's generated code, a hook of a "
        "security product, or injected code.",
        why="It is not a memory problem, but it helps an attacker, and it points to foreign code in the process.",
        confirm="`dumpmap regions FILE --blocks --protect PAGE_EXECUTE_READWRITE` lists the regions. In WinDbg, `u "
        "ADDRESS` shows their code.",
        advice="Check which component owns the regions if the program does not generate code.",
        when="Committed private memory other than stacks has PAGE_EXECUTE_READWRITE or PAGE_EXECUTE_WRITECOPY.",
        source="a rule of dumpmap's authors.",
        detail=_executable_writable_memory,
    ),
}
