"""VMMap files for the tests, made from the description in docs/vmmap.md with none of dumpmap's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

KB = 1024
GRANULE = 64

SIZES = ("committed", "private", "total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws")
SUMMARY_TYPES = (
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
)
USE_TYPES = {
    "Heap": 0,
    "Stack": 1,
    "Image": 2,
    "Mapped File": 3,
    "Private Data": 4,
    "Shareable": 5,
    "Free": 6,
    "Managed Heap": 8,
    "Page Table": 9,
    "Unusable": 10,
}
PROTECTIONS = {
    "": 0,
    "Reserved": 0,
    "No access": 1,
    "Read": 2,
    "Read/Write": 4,
    "Read/Write/Guard": 0x104,
    "Read/Write/WriteCombine": 0x404,
    "Copy on write": 8,
    "Execute": 0x10,
    "Execute/Read": 0x20,
    "Execute/Read/Write": 0x40,
    "Execute/Copy on Write": 0x80,
}


@dataclass
class B:
    """A block: offset from its allocation, and sizes in KB."""

    offset: int
    size: int
    protection: str
    committed: int = 0
    private: int = 0
    private_ws: int = 0
    shareable_ws: int = 0
    shared_ws: int = 0
    locked_ws: int = 0
    details: str = ""

    @property
    def total_ws(self) -> int:
        return self.private_ws + self.shareable_ws


@dataclass
class A:
    """An allocation, in KB; its figures are what its blocks add up to."""

    address: int
    words: str
    protection: str
    details: str
    blocks: list[B] = field(default_factory=list)
    count: int | None = None

    @property
    def type(self) -> str:
        name = self.words.split(" (")[0]
        return "Stack" if name == "Thread Stack" else name

    @property
    def size(self) -> int:
        return max(block.offset + block.size for block in self.blocks)

    def total(self, column: str) -> int:
        return sum(getattr(block, column) for block in self.blocks)

    @property
    def block_count(self) -> int:
        return len(self.blocks) if self.count is None else self.count


def sample() -> list[A]:
    """A 32-bit process of a few allocations of every type."""
    heap = "Heap ID: 1 [LOW FRAGMENTATION]"
    return [
        A(0x10000, "Shareable", "Read/Write", "", [B(0, 64, "Read/Write", 64, 0, 0, 12, 8)]),
        A(
            0x30000,
            "Mapped File",
            "Read",
            "C:\\Windows\\System32\\locale.nls",
            [B(0, 820, "Read", 820, 0, 0, 128, 128)],
        ),
        A(
            0x400000,
            "Image",
            "Execute/Copy on Write",
            'C:\\Program Files\\App, the "best"\\app.exe',
            [
                B(0, 4, "Read", 4, 0, 0, 4, 4, details="Header"),
                B(4, 888, "Execute/Read", 888, 0, 4, 600, 400, details=".text"),
                B(892, 16, "Copy on write", 16, 16, 0, 8, 0, details=".data"),
                B(908, 8, "Read/Write", 8, 8, 8, 0, 0, 4, details=".data"),
                B(916, 20, "Read", 20, details=".rsrc"),
            ],
            count=4,
        ),
        A(
            0x6D0000,
            "Heap (Private Data)",
            "Read/Write",
            heap,
            [
                B(0, 1020, "Read/Write", 1020, 1020, 1004, details=heap),
                B(1020, 4, "Reserved", details=heap),
            ],
        ),
        A(
            0x800000,
            "Heap (Private Data)",
            "Read/Write",
            heap,
            [
                B(0, 68, "Read/Write", 68, 68, 68, details=heap),
                B(68, 60, "Reserved", details=heap),
                B(128, 4, "No access", 4, 4, details=heap),
                B(132, 16060, "Reserved", details=heap),
            ],
        ),
        A(0x1800000, "Heap (Shareable)", "Read/Write", "Heap ID: 2", [B(0, 64, "Read/Write", 64, 0, 0, 4)]),
        A(
            0x1A00000,
            "Thread Stack",
            "Read/Write/Guard",
            "Thread ID: 2508",
            [
                B(0, 756, "Reserved"),
                B(756, 12, "Read/Write/Guard", 12, 12),
                B(768, 256, "Read/Write", 256, 256, 12),
            ],
        ),
        A(
            0x1C00000,
            "Thread Stack",
            "Read/Write/Guard",
            "64-bit thread stack",
            [B(0, 212, "Reserved"), B(212, 12, "Read/Write/Guard", 12, 12), B(224, 32, "Read/Write", 32, 32, 8)],
        ),
        A(
            0x1D00000,
            "Managed Heap",
            "Read/Write",
            "GC",
            [
                B(0, 4, "Read/Write", 4, 4, 4, details="GC"),
                B(4, 1024, "Read/Write", 1024, 1024, 900, details="Gen2"),
                B(1028, 31740, "Reserved", details="Gen2"),
            ],
        ),
        A(
            0x7EFD0000,
            "Private Data",
            "Read/Write",
            "",
            [
                B(0, 8, "Read/Write", 8, 8, 8, details="Thread Environment Block ID: 2508"),
                B(8, 4, "Read/Write/WriteCombine", 4, 4, 4),
            ],
        ),
        A(0x7EFE0000, "Private Data", "Reserved", "", [B(0, 1024, "Reserved")]),
        A(0x7FFE0000, "Private Data", "Read", "", [B(0, 4, "Read", 4, 4, 0, 4, 4)]),
        A(
            0xFFE00000,
            "Image (ASLR)",
            "Execute/Copy on Write",
            "C:\\Windows\\SysWOW64\\ntdll.dll",
            [B(0, 4, "Read", 4, 0, 0, 4, 4, details="Header"), B(4, 1500, "Execute/Read", 1500, 0, 0, 900, 900)],
        ),
    ]


END = 0xFFFF0000
PAGE_TABLE = 412


def gaps(allocations: Iterable[A], end: int = END) -> list[tuple[str, int, int]]:
    """Free and unusable space: (type, address, KB), by the rule that an allocation begins at multiples of 64 KB."""
    result = []
    edges = [(a.address, a.address + a.size * KB) for a in allocations]
    start = 0
    for low, high in [*edges, (end, end)]:
        border = min(low, -(-start // (GRANULE * KB)) * GRANULE * KB)
        if border > start:
            result.append(("Unusable", start, (border - start) // KB))
        if low > border:
            result.append(("Free", border, (low - border) // KB))
        start = high
    return result


def summary(allocations: list[A], end: int = END, page_table: int = PAGE_TABLE) -> dict[str, dict[str, int | None]]:
    """The summary as VMMap prints it, in KB; None is blank for good, 0 is printed as blank."""
    rows: dict[str, dict[str, int | None]] = {}
    for name in SUMMARY_TYPES:
        if name in ("Unusable", "Free"):
            sizes = [size for kind, _, size in gaps(allocations, end) if kind == name]
            rows[name] = {"size": sum(sizes), "largest": max(sizes)}
            if name == "Free":
                rows[name]["blocks"] = len(sizes)
        elif name == "Page Table":
            rows[name] = {"size": page_table, "committed": page_table, "private": page_table}
            rows[name] |= {"total_ws": page_table, "private_ws": page_table}
        else:
            own = [a for a in allocations if a.type == name]
            rows[name] = {"size": sum(a.size for a in own)}
            rows[name] |= {column: sum(a.total(column) for a in own) for column in SIZES}
            rows[name]["blocks"] = sum(a.block_count for a in own)
            rows[name]["largest"] = max((a.size for a in own), default=0)
    total: dict[str, int | None] = {}
    for column in ("size", *SIZES, "blocks"):
        total[column] = sum(rows[name].get(column) or 0 for name in SUMMARY_TYPES if name != "Free")
    return {"Total": total, **rows}


def english(number: int) -> str:
    return f"{number:,}"


def separated(separator: str) -> Callable[[int], str]:
    return lambda number: english(number).replace(",", separator)


def indian(number: int) -> str:
    text = str(number)
    head, tail = text[:-3], text[-3:]
    parts: list[str] = []
    while head:
        parts.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*parts, tail])


Tables = tuple[list[list[str]], list[list[str]]]
_FIGURES = [
    "Size",
    "Committed",
    "Private",
    "Total WS",
    "Private WS",
    "Shareable WS",
    "Shared WS",
    "Locked WS",
    "Blocks",
]
SUMMARY_HEADINGS = ["Type", *_FIGURES, "Largest"]
DETAILS_HEADINGS = ["Address", "Type", *_FIGURES, "Protection", "Details"]


def cells(allocations: list[A], number: Callable[[int], str] = english, digits: int = 8) -> Tables:
    def text(value: int | None) -> str:
        return number(value) if value else ""

    short = [SUMMARY_HEADINGS]
    for name, row in summary(allocations).items():
        short.append([name, *(text(row.get(column)) for column in ("size", *SIZES, "blocks", "largest"))])
    long = [DETAILS_HEADINGS]
    for a in allocations:
        figures = [text(a.total(column)) for column in SIZES]
        head = f"{a.address:0{digits}X}"
        long.append([head, a.words, text(a.size), *figures, text(a.block_count), a.protection, a.details])
        for block in a.blocks:
            figures = [text(getattr(block, column)) for column in SIZES]
            address = f"  {a.address + block.offset * KB:0{digits}X}"
            long.append([address, a.words, text(block.size), *figures, "", block.protection, block.details])
    return short, long


def csv_text(
    allocations: list[A],
    number: Callable[[int], str] = english,
    *,
    end_of_line: str = "\r\r\n",
    delimiter: str = ",",
    digits: int = 8,
) -> str:
    short, long = cells(allocations, number, digits)

    def line(values: list[str]) -> str:
        return delimiter.join('"' + value.replace('"', '""') + '"' for value in values)

    lines = [line(["Process:", "app.exe"]), line(["PID:", number(4242)]), ""]
    for table in (short, long):
        lines.append(line(table[0]) + delimiter)
        lines += [line(row) for row in table[1:]]
        lines.append("")
    return end_of_line.join(lines)


def txt_text(allocations: list[A], number: Callable[[int], str] = english, *, right: bool = False) -> str:
    lines = ["Process: app.exe", "PID: 4242"]
    for table in cells(allocations, number):
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines.append("")
        for row in table:
            parts = []
            for heading, value, width in zip(table[0], row, widths, strict=True):
                numeric = heading not in ("Address", "Type", "Protection", "Details")
                parts.append(value.rjust(width) if right and numeric else value.ljust(width))
            lines.append("  ".join(parts).rstrip())
    return "\r\r\n".join(lines) + "\r\r\n"


def mmp_rows(allocations: list[A], *, nested: bool = True, free: bool = True) -> list[str]:
    """One `Region` element a line."""

    def element(
        address: int, blocks: int, kb: dict[str, int], size: int, protection: str, words: str, details: str, end: str
    ) -> str:
        name = "Stack" if words == "Thread Stack" else words.split(" (")[0]
        attributes = {
            "Address": address,
            "Blocks": blocks,
            "ShareableWS": kb.get("shareable_ws", 0) * KB,
            "SharedWS": kb.get("shared_ws", 0) * KB,
            "Size": size * KB,
            "Commit": kb.get("committed", 0) * KB,
            "PrivateBytes": kb.get("private", 0) * KB,
            "PrivateWS": kb.get("private_ws", 0) * KB,
            "Id": 0,
            "Protection": PROTECTIONS[protection],
            "Storage": 0,
            "UseType": USE_TYPES[name],
            "Type": words,
            "Details": details,
        }
        return "<Region " + " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items()) + end

    lines: list[tuple[int, list[str]]] = []
    for a in allocations:
        own = {column: a.total(column) for column in SIZES}
        end = ">" if nested else "/>"
        part = [element(a.address, a.block_count, own, a.size, a.protection, a.words, a.details, end)]
        for block in a.blocks:
            own = {column: getattr(block, column) for column in SIZES}
            at = a.address + block.offset * KB
            part.append(element(at, 0, own, block.size, block.protection, a.words, block.details, "/>"))
        if nested:
            part.append("</Region>")
        lines.append((a.address, part))
    if free:
        for kind, address, size in gaps(allocations):
            lines.append((address, [element(address, 0, {}, size, "", kind, "", "/>")]))
    return [line for _, part in sorted(lines, key=lambda item: item[0]) for line in part]


def mmp_text(
    *snapshots: list[str], attributes: str = f'Timestamp="133500000000000000" PageTableSize="{PAGE_TABLE * KB}"'
) -> str:
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', '<root PID="4242" Process="app.exe">']
    for rows in snapshots:
        parts += [f"<Snapshot {attributes}>", *rows, "</Snapshot>"]
    return "\r\n".join([*parts, "</root>"])
