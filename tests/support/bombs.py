"""Files that claim much: small ones, packed ones, and sparse ones, which have a size and hardly any content."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from synth.images import Section, pe_header
from synth.minidump import MEM_COMMIT, MEM_IMAGE, MEM_PRIVATE, MEMORY_LIST, MODULE_LIST

from dumpmap.parsers.minidump import layout
from support.dumps import tiny
from support.repeated import repeated_bzip2, repeated_gzip

MB, GB = 1 << 20, 1 << 30

MOST_MEMORY, MOST_SECONDS = 300, 10
"""What a command may take of any file with the default limits: MiB, and seconds of the processor."""

Writer = Callable[[Path], None]


def zip_of(method: int, packed: bytes, size: int, names: tuple[str, ...] = ("x.dmp",), checksum: int = 0) -> bytes:
    """An archive whose files all have one packed content, whatever packed it."""
    out, places = bytearray(), []
    for name in names:
        places.append(len(out))
        head = struct.pack("<HHHHHLLLHH", 63, 0, method, 0, 0, checksum, len(packed), size & 0xFFFF_FFFF, len(name), 0)
        out += b"PK\x03\x04" + head + name.encode() + packed
    start = len(out)
    for name, place in zip(names, places, strict=True):
        fields = (63, 63, 0, method, 0, 0, checksum, len(packed), size & 0xFFFF_FFFF, len(name), 0, 0, 0, 0, 0, place)
        out += b"PK\x01\x02" + struct.pack("<HHHHHHLLLHHHHHLL", *fields) + name.encode()
    count = len(names)
    return bytes(out + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count, count, len(out) - start, start, 0))


def bzip2_in_zip(path: Path, *names: str, size: int = 2 * GB) -> None:
    """Files of an archive that share one content: 1.5 KB that unpack to 2 GB."""
    packed = repeated_bzip2(bytes(45_000_000), -(-size // 45_000_000))
    path.write_bytes(zip_of(zipfile.ZIP_BZIP2, packed, size, names or ("x.dmp",)))


def lzma_in_zip(path: Path) -> None:
    """0.3 MB that unpack to 2 GB."""
    import lzma

    fastest = {"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 8 * MB}
    properties = lzma._encode_filter_properties(fastest)  # type: ignore[attr-defined]
    one = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[fastest])
    head = struct.pack("<BBH", 9, 4, len(properties)) + properties
    packed = b"".join([head, *(one.compress(bytes(64 * MB)) for _ in range(32)), one.flush()])
    path.write_bytes(zip_of(zipfile.ZIP_LZMA, packed, 2 * GB))


def many_in_zip(path: Path, count: int = 2_000_000) -> None:
    """An archive of two million empty files."""
    head = b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"x"
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHLLLHHHHHLL", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    start = len(head)
    end64 = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(entry) * count, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(entry) * count, 1)
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0)
    path.write_bytes(head + entry * count + end64 + locator + end)


def attribute_defaults(path: Path) -> None:
    """XML with a DTD: a long default for an attribute that each of many elements has."""
    head = f'<?xml version="1.0"?><!DOCTYPE root [<!ATTLIST Region Details CDATA "{"x" * 500_000}">]><root><Snapshot>'
    row = '<Region Address="%d" Size="4096" UseType="1" MemoryType="131072" Protection="4"/>'
    path.write_text(head + "".join(row % (4096 * number) for number in range(1, 60_000)) + "</Snapshot></root>")


def carriage_returns(path: Path) -> None:
    """A text of VMMap with nothing but line ends of one kind behind its title."""
    path.write_text("Process: a.exe\nPID: 1\n" + "\r" * 200_000 + "x", newline="")


def shared_header(path: Path, modules: int = 4096) -> None:
    """Modules whose headers are the same bytes of the file, with a thousand sections."""
    header = pe_header("x64", 0x1000_0000, [Section(f"s{n}", 0x1000, rva=0x1000 * (n + 1)) for n in range(1024)])
    step, base = 0x100_0000, 0x1_0000_0000
    ranges = b"".join(struct.pack("<QII", base + step * n, len(header), 0) for n in range(modules))
    rows = b"".join(struct.pack("<QIIII", base + step * n, step, 0, 0, 0) + bytes(84) for n in range(modules))
    builder = tiny()
    for n in range(modules):
        builder.region(base + step * n, step, MEM_COMMIT, 2, MEM_IMAGE)
    builder.raw_stream(MODULE_LIST, struct.pack("<I", modules) + rows)
    builder.raw_stream(MEMORY_LIST, struct.pack("<I", modules) + ranges)
    data = bytearray(builder.build())
    at = builder.offset_of(MEMORY_LIST) + 4
    for index in range(modules):
        struct.pack_into("<I", data, at + 16 * index + 12, len(data))
    path.write_bytes(bytes(data) + header)


def sparse_stream(number: int, head: bytes, size: int, stream_size: int | None = None) -> Writer:
    """A dump with one stream that is a hole of `size` bytes after its first ones."""

    def write(path: Path) -> None:
        builder = tiny().raw_stream(number, head)
        data = bytearray(builder.build())
        entry = next(at for at in range(32, len(data), 12) if data[at : at + 4] == number.to_bytes(4, "little"))
        struct.pack_into("<II", data, entry + 4, min(stream_size or size, 0xFFFF_FFFF), len(data))
        with path.open("wb") as file:
            file.write(data + head)
            file.truncate(len(data) + size)

    return write


def sparse_text(head: bytes, size: int) -> Writer:
    """A text that is a hole after its first bytes."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)

    return write


def packed_text(head: bytes, unit: bytes, times: int, tail: bytes = b"") -> Writer:
    """A long text, gzipped."""

    def write(path: Path) -> None:
        together = max(1, MB // len(unit))
        whole, rest = divmod(times, together)
        path.write_bytes(repeated_gzip(head, unit * together, whole, unit * rest + tail))

    return write


SNAPSHOT_HEAD = b'{"format":"dumpmap-snapshot","version":1,"source":{"kind":"live","name":"a"},"process":{"pid":1},'
COLUMNS = b'"base","allocation_base","allocation_protect","size","state","protect","type"'
REGIONS_HEAD = b'"regions":{"columns":[' + COLUMNS + b'],"rows":['
CSV_HEAD = b'"Process:","a.exe"\n"Address","Type","Size","Committed","Private","Details"\n'
HEAPS_HEAD = struct.pack("<IHHIIIIII", 0x50484D44, 1, 32, 32, 60_000_000, 40, 50_000_000, 0, 0)
TABLES_HEAD = struct.pack("<IIIIII", 24, 32, 12, 0, 130_000_000, 0)


def _rows_of_json(count: int) -> Iterator[bytes]:
    yield SNAPSHOT_HEAD + REGIONS_HEAD
    for first in range(1, count, 10_000):
        rows = (f'["0x{n << 16:x}","0x{n << 16:x}",4,4096,"commit",4,"private"],' for n in range(first, first + 10_000))
        yield "".join(rows).encode()
    last = (count + 20_000) << 16
    yield f'["0x{last:x}","0x{last:x}",4,4096,"commit",4,"private"]]}}}}'.encode()


def rows_of_json(count: int) -> Writer:
    """A JSON snapshot of many regions."""

    def write(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=1) as file:
            for part in _rows_of_json(count):
                file.write(part)

    return write


def rows_of_xml(count: int) -> Writer:
    """A file of VMMap with many regions."""
    row = '<Region Address="%d" Size="4096" UseType="1" MemoryType="131072" Protection="4" Details="%d"/>'

    def write(path: Path) -> None:
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.write("<root><Snapshot>")
            file.writelines(row % (number << 16, number) for number in range(1, count))
            file.write("</Snapshot></root>")

    return write


def rows_of_csv(count: int) -> Writer:
    """An export of VMMap with many regions."""

    def write(path: Path) -> None:
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.write(CSV_HEAD.decode())
            file.writelines(
                f'"{number << 16:08X}","Private Data","4","4","4","x{number}"\n' for number in range(1, count)
            )

    return write


def regions(count: int) -> Writer:
    """A dump with many regions, each an allocation of its own."""

    def write(path: Path) -> None:
        infos = np.zeros(count, layout.MEMORY_INFO)
        infos["BaseAddress"] = infos["AllocationBase"] = np.arange(1, count + 1, dtype=np.uint64) << np.uint64(16)
        infos["RegionSize"], infos["State"], infos["Protect"], infos["Type"] = 0x1000, MEM_COMMIT, 4, MEM_PRIVATE
        path.write_bytes(tiny().raw_stream(16, struct.pack("<IIQ", 16, 48, count) + infos.tobytes()).build())

    return write


def memory_ranges(count: int) -> Writer:
    """A dump without a list of regions, but with many ranges of memory."""

    def write(path: Path) -> None:
        ranges = np.zeros(count, layout.MEMORY_DESCRIPTOR64)
        ranges["StartOfMemoryRange"] = np.arange(1, count + 1, dtype=np.uint64) << np.uint64(16)
        ranges["DataSize"] = 8
        builder = tiny().raw_stream(9, struct.pack("<QQ", count, 64) + ranges.tobytes())
        path.write_bytes(builder.build() + bytes(8 * count))

    return write


def modules(count: int) -> Writer:
    """A dump with many modules, each with a path of its own."""

    def write(path: Path) -> None:
        builder = tiny()
        for number in range(count):
            builder.module(0x1_0000_0000 + (number << 16), 0x1000, f"C:\\modules\\of\\a\\program\\{number:09}.dll")
        path.write_bytes(builder.build())

    return write


def threads(count: int) -> Writer:
    """A dump with many threads, each with a name."""

    def write(path: Path) -> None:
        body = b"".join(struct.pack("<IIIIQQIIII", n, 0, 0, 0, n << 16, n << 16, 4096, 0, 0, 0) for n in range(count))
        path.write_bytes(tiny().raw_stream(3, struct.pack("<I", count) + body).build())

    return write


BOMBS: dict[str, tuple[str, Writer]] = {
    "bzip2 in zip": ("b.zip", bzip2_in_zip),
    "bzip2 in zip, 200 files": ("c.zip", lambda path: bzip2_in_zip(path, *(f"{n}.dmp" for n in range(200)))),
    "lzma in zip": ("l.zip", lzma_in_zip),
    "zip of 2,000,000 files": ("m.zip", many_in_zip),
    "attribute defaults": ("d.mmp", attribute_defaults),
    "carriage returns": ("r.txt", carriage_returns),
    "one PE header for 4,096 modules": ("p.dmp", shared_header),
    "LinuxMaps of 4 GB": ("maps.dmp", sparse_stream(0x47670009, b"", 4 * GB)),
    "LinuxCmdLine of 4 GB": ("cmd.dmp", sparse_stream(0x47670006, b"x", 4 * GB)),
    "LinuxProcStatus of 4 GB": ("status.dmp", sparse_stream(0x47670004, b"Name:\tx\n", 4 * GB)),
    "comment of 4 GB": ("comment.dmp", sparse_stream(10, b"x", 4 * GB)),
    "wide comment of 4 GB": ("wide.dmp", sparse_stream(11, b"x\0", 4 * GB)),
    "ModuleList of 4 GB": ("mods.dmp", sparse_stream(4, struct.pack("<I", 39_000_000), 4 * GB)),
    "UnloadedModuleList of 4 GB": ("unl.dmp", sparse_stream(14, struct.pack("<III", 12, 24, 170_000_000), 4 * GB)),
    "ThreadList of 4 GB": ("thr.dmp", sparse_stream(3, struct.pack("<I", 80_000_000), 4 * GB)),
    "ThreadInfoList of 4 GB": ("thi.dmp", sparse_stream(17, struct.pack("<III", 12, 64, 60_000_000), 4 * GB)),
    "ThreadNames of 4 GB": ("thn.dmp", sparse_stream(24, struct.pack("<I", 300_000_000), 4 * GB)),
    "HandleData of 4 GB": ("han.dmp", sparse_stream(12, struct.pack("<IIII", 16, 32, 120_000_000, 0), 4 * GB)),
    "MemoryList of 4 GB": ("ml.dmp", sparse_stream(5, struct.pack("<I", 250_000_000), 4 * GB)),
    "MemoryInfoList of 14 GB": ("mil.dmp", sparse_stream(16, struct.pack("<IIQ", 16, 48, 300_000_000), 14 * GB)),
    "Memory64List of 14 GB": ("m64.dmp", sparse_stream(9, struct.pack("<QQ", 900_000_000, 200), 14 * GB)),
    "FunctionTable of 4 GB": (
        "ft.dmp",
        sparse_stream(13, TABLES_HEAD, 4 * GB),
    ),
    "heap stream of 4 GB": (
        "hs.dmp",
        sparse_stream(0x50484D44, HEAPS_HEAD, 4 * GB),
    ),
    "JSON, a hole of 3 GB": ("hole.json", sparse_text(SNAPSHOT_HEAD, 3 * GB)),
    "XML, a hole of 3 GB": ("hole.mmp", sparse_text(b"<root><Snapshot>", 3 * GB)),
    "CSV, a hole of 3 GB": ("hole.csv", sparse_text(b'"Process:","a.exe"\n', 3 * GB)),
    "JSON, deep, in gzip": ("deep.json.gz", packed_text(SNAPSHOT_HEAD + b'"modules":', b"[", 200_000_000)),
    "JSON, blanks of 3 GB in gzip": ("blank.json.gz", packed_text(SNAPSHOT_HEAD, b" ", 3 * GB)),
    "JSON, one text of 3 GB in gzip": (
        "text.json.gz",
        packed_text(SNAPSHOT_HEAD + b'"comments":["', b"x", 3 * GB, b'"]}'),
    ),
    "JSON, memory of 3 GB in gzip": (
        "mem.json.gz",
        packed_text(SNAPSHOT_HEAD + b'"memory":[{"address":"0x1000","data":"', b"AAAA", 750_000_000, b'"}]}'),
    ),
    "JSON, 10,000,000 rows in gzip": (
        "rows.json.gz",
        packed_text(
            SNAPSHOT_HEAD + REGIONS_HEAD,
            b'["0x10000","0x10000",4,4096,"commit",4,"private"],',
            10_000_000,
            b'["0x20000","0x20000",4,4096,"commit",4,"private"]]}}',
        ),
    ),
    "XML, 10,000,000 rows in gzip": (
        "rows.mmp.gz",
        packed_text(
            b"<root><Snapshot>",
            b'<Region Address="65536" Size="4096" UseType="1" MemoryType="131072" Protection="4" Details="x"/>',
            10_000_000,
            b"</Snapshot></root>",
        ),
    ),
    "XML, deep, in gzip": ("deep.mmp.gz", packed_text(b"<root><Snapshot>", b"<a>", 300_000_000)),
    "XML, one attribute of 3 GB in gzip": ("attr.mmp.gz", packed_text(b'<root><Snapshot a="', b"x", 3 * GB)),
    "CSV, 10,000,000 rows in gzip": (
        "rows.csv.gz",
        packed_text(
            CSV_HEAD,
            b'"00010000","Private Data","4","4","4",""\n',
            10_000_000,
        ),
    ),
    "CSV, one line of 3 GB in gzip": ("line.csv.gz", packed_text(b'"Process:","a.exe"\n', b"x", 3 * GB)),
    "CSV, one field of 3 GB in gzip": (
        "field.csv.gz",
        packed_text(
            b'"Process:","a.exe"\n"Address","Type","Size","Details"\n"00010000","Private Data","4","', b"x", 3 * GB
        ),
    ),
}
"""Name: the file's name, and what writes it."""

ALIKE = frozenset(
    {
        "JSON, deep, in gzip",
        "JSON, blanks of 3 GB in gzip",
        "JSON, one text of 3 GB in gzip",
        "JSON, 10,000,000 rows in gzip",
        "XML, 10,000,000 rows in gzip",
        "XML, deep, in gzip",
        "CSV, 10,000,000 rows in gzip",
        "CSV, one field of 3 GB in gzip",
    }
)
"""Those that meet the bound of texts as another of their format does, unread: `python -m tests.bombs` measures them."""

AT_THE_BOUND: dict[str, tuple[str, Writer]] = {
    "1,048,576 regions": ("regions.dmp", regions(1 << 20)),
    "1,048,576 ranges of memory": ("ranges.dmp", memory_ranges(1 << 20)),
    "65,536 modules": ("modules.dmp", modules(1 << 16)),
    "131,072 threads": ("threads.dmp", threads(1 << 17)),
    "JSON, 1,030,000 rows": ("rows.json.gz", rows_of_json(1_010_000)),
    "JSON, one text of 120 MB": (
        "text.json.gz",
        packed_text(SNAPSHOT_HEAD + b'"comments":["', b"x", 120_000_000, b'"]}'),
    ),
    "JSON, memory of 120 MB": (
        "memory.json.gz",
        packed_text(SNAPSHOT_HEAD + b'"memory":[{"address":"0x1000","data":"', b"AAAA", 30_000_000, b'"}]}'),
    ),
    "JSON, 1,000,000 empty texts": (
        "texts.json.gz",
        packed_text(SNAPSHOT_HEAD + b'"comments":[', b'"",', 1_000_000, b'""]}'),
    ),
    "JSON, 349,000 modules": (
        "modules.json.gz",
        packed_text(
            SNAPSHOT_HEAD + b'"modules":[',
            b'{"base":"0x1","size":1,"path":"abcdefghijk"},',
            349_000,
            b'{"base":"0x1","size":1,"path":""}]}',
        ),
    ),
    "JSON, blanks of 120 MB": ("blanks.json.gz", packed_text(SNAPSHOT_HEAD, b" ", 120_000_000, b'"modules":[]}')),
    "JSON, deep": ("deep.json.gz", packed_text(SNAPSHOT_HEAD + b'"modules":', b"[", 100_000_000)),
    "XML, 200,000 rows": ("rows.mmp.gz", rows_of_xml(200_000)),
    "XML, deep": ("deep.mmp.gz", packed_text(b"<root><Snapshot>", b"<a>", 30_000_000)),
    "CSV, 199,990 rows": ("rows.csv.gz", rows_of_csv(199_990)),
    "CSV, one line of 120 MB": ("line.csv.gz", packed_text(b'"Process:","a.exe"\n', b"x", 120_000_000)),
    "CSV, 120,000,000 blank lines": ("blank.csv.gz", packed_text(b'"Process:","a.exe"\n', b"\n", 120_000_000)),
    "CSV, 60,000,000 short lines": ("short.csv.gz", packed_text(b'"Process:","a.exe"\n', b"x\n", 60_000_000)),
}
"""Files that stay just below the bounds, so that all of them is read."""
