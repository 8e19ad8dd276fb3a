"""What a file is, by its first bytes: the formats that dumpmap reads, and those that people take for them.

The content of a file decides, never its suffix. dumpmap describes a file that it does not read, because "not a
minidump" does not help anybody who received a kernel dump.
"""

from __future__ import annotations

import os
import re
from enum import Enum

from dumpmap.sources.archive import PACKED, first_bytes
from dumpmap.sources.files import open_file

HEAD = 4096
"""How many bytes of a file show its format."""

MOST_MEMBERS = 256
"""A zip archive with more files is not searched for an input, unless the user names it."""

_MINIDUMP = b"MDMP"

# VMMap's CSV and text exports begin with the process or, without that line, with the headings of one of their tables.
_VMMAP_TEXT = re.compile(r'"?(Process:|(Type|Address)"?\s*[,;\t ]\s*"?(Size|Type))')

# What a file that nobody named as an input must show besides: crash reports of macOS begin with `Process:`, and
# `<root>` is the root of many XML files.
_VMMAP_TITLE = re.compile(r'"Process:|Process:.*\s+PID:')
_VMMAP_HEADINGS = ("Type", "Size", "Committed")
_VMMAP_XML = re.compile(r"(<\?xml[^>]*>\s*)?<root\b.*<(Snapshots?|Region)\b", re.DOTALL)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PAGEDU64", "a 64-bit Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"PAGEDUMP", "a 32-bit Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"PAGE", "a Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"USERDUMP", "an old-style user dump (USERDUMP); convert it to a minidump with WinDbg's .dump /ma"),
    (b"HIBR", "a Windows hibernation file"),
    (b"hibr", "a Windows hibernation file"),
    (b"MZ", "a Windows program, not a dump of one"),
    (b"Microsoft C/C++ MSF", "a PDB symbol file"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file"),
    (b"\xca\xfe\xba\xbe", "a Mach-O universal file or a Java class"),
    (b"JAVA PROFILE", "a Java heap dump"),
    (b"MDMP"[::-1], "a minidump header in reverse byte order; the file is damaged or from a big-endian system"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"MSCF", "a cabinet archive; unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
)
"""The first bytes of files that people take for minidumps, and what they are."""


_SUFFIXES = {magic[:2]: suffix for magic, suffix in zip(PACKED, (".gz", ".zst", ".zip"), strict=True)}

_JSON_LIST = re.compile(r"""\s*\[\s*(?:[\[{"]|(?:-?\d+(?:\.\d+)?|true|false|null)\s*,)""")
"""Not a line of a log or the name of a section in brackets."""


class InputFormat(Enum):
    """The formats that dumpmap reads."""

    MINIDUMP = "minidump"
    SNAPSHOT_JSON = "JSON snapshot"
    VMMAP_XML = "VMMap's .mmp"
    VMMAP_TEXT = "VMMap's CSV or text export"


def input_format(head: bytes) -> InputFormat | None:
    """Returns the only format that a file with these first bytes can have; None if dumpmap does not read it.

    Any text that begins like JSON or XML counts: its parser says precisely what is wrong with it.
    """
    if head.startswith(_MINIDUMP):
        return InputFormat.MINIDUMP
    text = _text_head(head)
    if text is None:
        return None
    if text.startswith("{"):
        return InputFormat.SNAPSHOT_JSON
    if text.startswith("<"):
        return InputFormat.VMMAP_XML
    return InputFormat.VMMAP_TEXT if _VMMAP_TEXT.match(text) else None


def is_input(head: bytes) -> bool:
    """Tells whether the first bytes are those of an input; other JSON, CSV, text, and XML files are not inputs."""
    found = input_format(head)
    if found is None or found is InputFormat.MINIDUMP:
        return found is not None
    text = _text_head(head) or ""
    if found is InputFormat.SNAPSHOT_JSON:
        return '"dumpmap-snapshot"' in text
    if found is InputFormat.VMMAP_XML:
        return _VMMAP_XML.match(text) is not None
    return _VMMAP_TITLE.match(text) is not None or any(
        all(heading in line for heading in _VMMAP_HEADINGS) for line in text.splitlines()
    )


def first_look(path: str) -> bool | None:
    """Tells by its first bytes alone whether a local file is an input; None if it is packed and they do not say."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - faster than pathlib
            head = file.read(HEAD)
    except (OSError, ValueError):  # whatever is wrong with the file, nobody asked for it
        return False
    return None if head.startswith(PACKED) else is_input(head)


def begins_like_input(path: str) -> bool:
    """Tells whether a local file that nobody named begins like an input, packed or not. It reads little of the file.

    A zip archive with several files is searched only if its suffix is `.zip` or it has none: programs and documents
    are zip archives, too.
    """
    look = first_look(path)
    if look is not None:
        return look
    try:
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
        members = MOST_MEMBERS if suffix in (".zip", "") else 1
        return is_input(first_bytes(open_file(path), is_input, most_members=members) or b"")
    except MemoryError:
        raise
    except Exception:  # whatever is wrong with the file, nobody asked for it
        return False


def _text_head(head: bytes) -> str | None:
    """Returns the start of a text without leading blanks, or None for a binary file."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head[: len(head) & ~1].decode(encoding, "replace").lstrip()
    if b"\0" in head:
        return None
    return head.decode("utf-8", "replace").lstrip()


def describe_foreign(head: bytes, size: int) -> str:
    """Describes in one line a file that dumpmap does not read, by its first bytes, unpacked once if it was packed."""
    if size == 0:
        return "empty file"
    if head.startswith(PACKED):
        return f"it holds another archive ({_SUFFIXES[head[:2]]}); unpack it first"
    for magic, meaning in _FOREIGN:
        if head.startswith(magic):
            return f"not a minidump: {meaning}"
    if head.startswith(b"\x7fELF"):
        kind = int.from_bytes(head[16:18], "little") if len(head) >= 18 else 0
        what = "an ELF core dump (Linux)" if kind == 4 else "an ELF file (Linux program or library)"
        return f"not a minidump: {what}"
    if b"google-breakpad" in head or b"MICRODUMP" in head:
        return "not a minidump: a Breakpad microdump (text in a system log), which holds no memory map"
    if head.count(0) == len(head):
        return "not a minidump: begins with zeros only, which an incomplete download or copy can cause"
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\x1b" for byte in head[:512]):
        if _JSON_LIST.match(head.decode("utf-8", "replace")):
            return "neither a minidump nor a snapshot: text that begins like a list in JSON"
        return "not a minidump: a text file"
    return f"not a format that dumpmap reads (begins with {head[:8].hex(' ')})"
