"""What a person adds to the generated page of a command: examples with their output, codes of its own, and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class About:
    """What a page says beyond the help of its command.

    Attributes:
        examples: a sentence, and commands against recorded dumps of the repository whose output the page shows.
        see: pages, from the folder docs.
        codes: exit codes by what they mean here, where that differs from `CODES` of the generator. None: never.
    """

    examples: tuple[tuple[str, str], ...] = ()
    see: tuple[str, ...] = ()
    codes: Mapping[int, str | None] = field(default_factory=dict)


_FRAGMENT = "tests/fixtures/fragment-x86.dmp.gz"
_LAYOUT = "tests/fixtures/layout-x64.dmp.gz"
_BEFORE, _AFTER = "tests/fixtures/leak-x64-before.dmp.gz", "tests/fixtures/leak-x64-after.dmp.gz"

PAGES: Mapping[str, About] = {
    "summary": About(
        (("A 32-bit process that ran out of address space:", f"dumpmap summary {_FRAGMENT}"),),
        ("tutorials/fragmented.md", "classification.md", "report.md", "browse.md"),
    ),
    "regions": About(
        (
            (
                "Equal allocations are one row; the largest allocations come first:",
                f"dumpmap regions {_FRAGMENT} --group-by type,size --sort -size --limit 4",
            ),
            (
                "The guard pages, each with the evidence for its label:",
                f"dumpmap regions {_LAYOUT} --blocks --protect guard --evidence --limit 4",
            ),
        ),
        ("classification.md", "owners.md", "tutorials/private-data.md", "commands/address.md"),
    ),
    "address": About(
        (("One address, by module and offset:", f"dumpmap address {_LAYOUT} ntdll.dll+0x1000"),),
        ("owners.md", "tutorials/private-data.md", "commands/regions.md"),
    ),
    "owners": About(
        (
            (
                "The private memory of a Node.js process:",
                "dumpmap owners tests/fixtures/runtimes/node-22.dmp.gz --type private-data | head -n 11",
            ),
            (
                "What is in it:",
                "dumpmap owners tests/fixtures/runtimes/node-22.dmp.gz --by kind --type private-data | head -n 7",
            ),
        ),
        ("tutorials/private-data.md", "owners.md", "explanation/runtimes.md", "managed-heap.md"),
    ),
    "heaps": About(
        (("A process with heaps of several kinds:", f"dumpmap heaps {_LAYOUT}"),),
        ("diagnosis.md", "heap-stream.md", "managed-heap.md"),
    ),
    "stacks": About(
        (("A process with named threads:", f"dumpmap stacks {_LAYOUT}"),),
        ("diagnosis.md", "howto/take-a-dump.md"),
    ),
    "modules": About(
        (("The modules that are not Microsoft's:", f"dumpmap modules {_LAYOUT} --third-party"),),
        ("classification.md", "formats.md"),
    ),
    "free": About(
        (("Two sizes, one of which does not fit:", f"dumpmap free {_FRAGMENT} --fit 16MB --fit 64MB --count 3"),),
        ("tutorials/fragmented.md", "diagnosis.md"),
        {1: "An allocation of `--fit` does not fit, or the input does not show whether it fits."},
    ),
    "browse": About(
        (
            (
                "Without a screen, commands come from standard input, and rows have numbers:",
                f"echo q | dumpmap browse {_FRAGMENT} --plain",
            ),
        ),
        ("browse.md", "commands/summary.md"),
        {2: "Wrong usage, or there is no terminal and no `--plain`."},
    ),
    "info": About(
        (
            ("What a complete dump holds:", f"dumpmap info {_LAYOUT} | head -n 20"),
            (
                "What a small dump lacks:",
                "dumpmap info tests/fixtures/layout-x86-plain.dmp | sed -n '/^What a better/,$p'",
            ),
        ),
        ("howto/take-a-dump.md", "explanation/minidumps.md", "formats.md", "privacy.md"),
    ),
    "diagnose": About(
        (("What ran out, and on what evidence:", f"dumpmap diagnose {_FRAGMENT} | head -n 13"),),
        ("explanation/three-ways.md", "diagnosis.md", "howto/which-page.md", "findings/README.md"),
        {1: "A finding has the severity of `--fail-on` or a worse one."},
    ),
    "explain": About(
        (
            ("An exception code:", "dumpmap explain 0xC0000017"),
            ("A finding:", "dumpmap explain largest-free-block-small | head -n 16"),
        ),
        ("findings/README.md", "diagnosis.md", "classification.md", "triage.md"),
        {2: "Wrong usage, or nothing has this name.", 3: None},
    ),
    "diff": About(
        (("Two dumps of one process that leaks:", f"dumpmap diff {_BEFORE} {_AFTER} | head -n 32"),),
        ("tutorials/leak.md", "commands/timeline.md", "howto/notebook.md"),
    ),
    "timeline": About(
        (("The same process, as growth per hour:", f"dumpmap timeline {_BEFORE} {_AFTER} | head -n 13"),),
        ("capture.md", "tutorials/leak.md", "commands/diff.md"),
    ),
    "triage": About(
        (
            (
                "The recorded dumps of the repository, counted by what ran out:",
                "dumpmap triage tests/fixtures --flat --group-by verdict",
            ),
        ),
        ("tutorials/folder.md", "triage.md", "howto/cluster.md", "howto/bucket.md"),
        {
            1: "A file has a finding of the severity of `--fail-on` or a worse one.",
            3: "No file was found, or, with `--strict`, a file could not be read.",
            130: "You interrupted the command; finished results are kept. Another signal: 128 and its number.",
        },
    ),
    "check": About(
        (
            (
                "Draft rules from a build that is good, then check a build that leaks:",
                f"dumpmap check {_BEFORE} --init gate.toml\n"
                f"dumpmap check {_AFTER} --rules gate.toml || echo exit code $?",
            ),
        ),
        ("tutorials/ci-gate.md", "howto/rules-file.md", "ci.md", "diagnosis.md"),
        {1: "A rule is broken."},
    ),
    "snapshot": About(
        (
            (
                "The snapshot gives the same map as the dump:",
                f"dumpmap snapshot {_FRAGMENT} -o small.json.zst\ndumpmap summary small.json.zst | head -n 6",
            ),
        ),
        ("howto/send-a-snapshot.md", "snapshot.md", "privacy.md", "commands/contribute.md"),
    ),
    "export": About(
        (("The first rows for a spreadsheet:", f"dumpmap export {_LAYOUT} -o - --to csv | head -n 4 | cut -c 1-90"),),
        ("vmmap.md", "python.md", "howto/notebook.md"),
    ),
    "report": About(
        (("One file to send or archive:", f"dumpmap report {_FRAGMENT} -o crash.html\nls crash.html"),),
        ("report.md", "privacy.md", "howto/send-a-snapshot.md"),
    ),
    "contribute": About(
        (
            (
                "Read the text before you give anything away:",
                f"dumpmap contribute {_LAYOUT} -o given.json\nsed -n '9,16p' given.txt | cut -c 1-96",
            ),
        ),
        ("roadmap.md", "privacy.md", "commands/snapshot.md"),
    ),
    "capture": About(
        (
            (
                "A series of two captures:",
                "dumpmap capture app.exe -o app.json --interval 60 --count 2\nls app-*.json",
            ),
        ),
        ("capture.md", "commands/timeline.md", "howto/take-a-dump.md"),
        {
            3: "The process was not found, or it could not be read.",
            130: "You interrupted the command. A series without `--count` ends that way with 0.",
        },
    ),
    "mcp": About(
        (),
        ("mcp.md", "privacy.md", "limits.md"),
        {3: "A folder could not be read.", 4: "The package of the protocol is missing."},
    ),
}
