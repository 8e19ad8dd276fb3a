"""Inputs behind a URL, through fsspec: `s3://`, `az://`, `gs://`, `https://`, `sftp://`, and what else it knows.

A map needs a small part of a dump: header, streams, and the structures that it walks. Only those ranges are fetched:
small reads through a cache of blocks, large ones as they are, and scattered ones together, near neighbours joined, so
that a search over a whole address space costs neither a request per page nor the whole file. A compressed file has no
ranges to pick: it is fetched whole, up to `MAX_WHOLE`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import numpy as np

from dumpmap.errors import InputError
from dumpmap.sources.files import TruncatedError
from dumpmap.sources.remote_errors import reason, shown_url

BLOCK = 16 << 10
"""Bytes of a cached block; small reads come in such."""

CACHED_BLOCKS = 1024
"""Blocks kept: 16 MiB."""

MAX_READ_AHEAD = 64
"""Blocks that one request of a sequential reader may ask for."""

DIRECT = 256 << 10
"""Reads of at least this many bytes bypass the cache."""

PART = 8 << 20
"""A longer read is split into requests of this many bytes."""

BATCH = 32 << 20
"""Scattered ranges are fetched in batches of this many bytes."""

GRAIN = 256
"""Scattered ranges are fetched in multiples of this: a request costs more than that anyway."""

CACHED_GRAINS = 1 << 16
"""Grains kept: 16 MiB."""

HEAD = 4 * BLOCK
"""What is fetched first: a small dump's streams are there, or the whole of it."""

JOIN_GAP = 64 << 10
"""Scattered ranges with less than this between them become one request."""

MAX_REQUESTS = 1024
"""When a batch needs more requests than this, wider gaps are joined too."""

JOIN_SHARE = 512
"""But never so that a batch fetches more than 1/512 of the file (at least 1 MiB) that nobody asked for."""

MAX_WHOLE = 4 << 30
"""Largest remote file that is fetched whole, because it is compressed or its server gives no parts."""

MAX_WITHOUT_RANGES = 256 << 20
"""Largest file that is taken whole into memory from a server that gives no parts of files."""

HEADS_AT_ONCE = 16
"""Requests that ask a web server for the stamps of so many files are under way together."""

HEAD_TIMEOUT = 10.0
"""Seconds that such a request may take: the analysis does not depend on it."""

_STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "Last-Modified", "mtime", "created")
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)

_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


def remote_source(url: str, storage_options: Mapping[str, Any] | None = None) -> RemoteSource:
    """Opens a URL for reading by ranges.

    Args:
        url: a URL of any protocol that fsspec knows and has the library for.
        storage_options: passed on to the fsspec file system: credentials, `endpoint_url`, and the like.

    Raises:
        InputError: it cannot be reached, does not say its size, or would have to be fetched whole and is too large.
    """
    name = shown_url(url)
    fs, path = file_system(url, storage_options)
    try:
        info = fs.info(path)
    except Exception as error:  # every file system raises its own library's errors
        raise InputError(reason(error, url), source=name) from error
    if info.get("type") == "directory":
        raise InputError("is a folder", source=name)
    web = "http" in fs.protocol
    size = info.get("size")
    if size is None:
        if web and info.get("mimetype") == "text/html":
            raise _web_page(url)
        raise InputError("its server does not say how large it is", source=name)
    source = RemoteSource(fs, path, url, int(size), stamp_of(info) if web else None)
    head = source.begin(ranges=info.get("partial"))
    if web and _PAGE.match(head):
        raise _web_page(url)
    if head.startswith(_COMPRESSED) and source.size > MAX_WHOLE:
        raise InputError(
            f"compressed, so all of its {source.size} bytes would have to be fetched; the limit is {MAX_WHOLE}",
            source=name,
        )
    return source


def _web_page(url: str) -> InputError:
    """What a web server shows of a folder, or instead of a file that it does not give."""
    hint = "" if url.endswith("/") else "; a folder's URL ends in /"
    return InputError(f"is a web page, not a dump{hint}", source=shown_url(url))


def stamp_of(info: Mapping[str, Any]) -> str | None:
    """What changes when a remote file does, as far as its file system tells."""
    for field in _STAMPS:
        value = info.get(field)
        if value:
            return f"{field} {value}"
    return None


def web_infos(fs: Any, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Asks a web server for sizes and stamps of files, with a HEAD request each; its listings have neither.

    Args:
        fs: fsspec's file system for `http`.
        paths: URLs of the files; all are asked for together.

    Returns:
        for each file what is known: `size`, `ETag`, `Last-Modified`. What is wrong with a file, its analysis will say.
    """
    from fsspec.asyn import sync

    async def ask(path: str) -> dict[str, Any]:
        options = {"allow_redirects": True, **fs.kwargs}
        options["headers"] = {**options.get("headers", {}), "Accept-Encoding": "identity"}
        try:
            session = await fs.set_session()
            async with asyncio.timeout(HEAD_TIMEOUT), session.head(fs.encode_url(path), **options) as answer:
                headers = answer.headers if answer.status == HTTPStatus.OK else {}
                known = {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}
                size = headers.get("Content-Length", "")
                if size.isdecimal() and headers.get("Content-Encoding", "identity") in ("identity", ""):
                    known["size"] = int(size)
                return known
        except Exception:  # aiohttp's own, and a server that does not answer in time
            return {}

    async def ask_all() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(ask, paths))

    infos: list[dict[str, Any]] = sync(fs.loop, ask_all)
    return infos


_EXTRAS = {
    **dict.fromkeys(("http", "https"), "remote"),
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
}
"""Which of our extras brings the package that a protocol needs."""


def file_system(url: str, storage_options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Finds the fsspec file system of a URL, and the path inside it.

    Raises:
        InputError: fsspec, or the library it needs for the protocol, is not installed, or the URL is not one of its.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        brings = _EXTRAS.get(url.partition("://")[0].lower(), "remote")
        raise InputError(f'reading URLs needs fsspec: pip install "dumpmap[{brings}]"', source=shown_url(url)) from None
    # It logs with tracebacks what it also raises, and that would reach the terminal.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    try:
        fs, path = url_to_fs(url, **dict(storage_options or {}))
    except ImportError as error:
        # The package, where fsspec says which one it missed; else its own words.
        package = getattr(error.__cause__, "name", None) or str(error)
        extra = _EXTRAS.get(url.partition("://")[0].lower())
        how = f'pip install "dumpmap[{extra}]"' if extra else package
        raise InputError(f"its protocol needs another package: {how}", source=shown_url(url)) from error
    except Exception as error:  # a bad option is told by whatever the file system's library raises
        raise InputError(reason(error, url), source=shown_url(url)) from error
    return fs, path


class RemoteSource:
    """A `ByteSource` over an fsspec file system.

    Attributes:
        name: the URL, without secrets.
        size: of the file, in bytes.
        bytes_read: what was transferred so far.
        requests: how many requests that took.
        stamp: of a web server's file: changes when it does.
    """

    def __init__(self, fs: Any, path: str, url: str, size: int, stamp: str | None = None) -> None:
        self.name = shown_url(url)
        self.size = size
        self.bytes_read = 0
        self.requests = 0
        self.stamp = stamp
        self._fs = fs
        self._path = path
        self._url = url
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._grains: OrderedDict[int, bytes] = OrderedDict()
        self._whole: memoryview | None = None
        self._ahead = 1
        self._next_block = -1

    def view(self, offset: int, size: int) -> memoryview:
        """See `ByteSource.view`."""
        self._check(offset, size)
        if self._whole is not None:
            return self._whole[offset : offset + size]
        if size < DIRECT:
            return memoryview(self._cached(offset, size))
        if size > MAX_WHOLE:
            raise InputError(f"a read of {size} bytes is more than dumpmap fetches at once", source=self.name)
        end = offset + size
        parts = self._fetch([(start, min(start + PART, end)) for start in range(offset, end, PART)])
        return memoryview(parts[0] if len(parts) == 1 else b"".join(parts))

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`: near ranges are joined, and all are asked for together."""
        for offset, size in ranges:
            self._check(offset, size)
        result = [memoryview(b"")] * len(ranges)
        missing = []
        for index, (offset, size) in enumerate(ranges):
            if self._whole is not None or self._has(offset, size):
                result[index] = self.view(offset, size)
            elif (known := self._from_grains(offset, size)) is not None:
                result[index] = memoryview(known)
            else:
                missing.append(index)
        # A search looks at several places beside each other, one after the other: fetch what lies around each.
        wanted = [_grain_aligned(*ranges[index], self.size) for index in missing]
        for batch in _batches(join_near(wanted, self.size)):
            for span, data in zip(batch, self._fetch([(span.start, span.end) for span in batch]), strict=True):
                for member in span.members:
                    offset, size = ranges[missing[member]]
                    # Copied, so that sixteen bytes do not keep a whole answer alive.
                    result[missing[member]] = memoryview(data[offset - span.start : offset - span.start + size])
                    self._keep_grains(wanted[member], data, span.start)
        return result

    # ------------------------------------------------------------ fetching

    def begin(self, *, ranges: bool | None = None) -> bytes:
        """Fetches the file's first blocks, and finds out whether its server gives parts of files at all.

        Args:
            ranges: False where the server is known not to.

        Returns:
            the bytes that the file begins with.
        """
        wanted = min(self.size, HEAD)
        if wanted == 0:
            return b""
        if "http" not in self._fs.protocol:
            head = self._fetch([(0, wanted)])[0]
            self._keep(0, head)
            return head
        if ranges is False:
            return self._fetch_whole()
        # A web server may ignore the range and send everything. A file object gives up on such an answer; `cat_file`
        # would download it. At offset 0 it takes what it needs of it, so only a second read tells.
        end = min(self.size, wanted + BLOCK)
        try:
            with self._fs.open(self._path, "rb", cache_type="none", size=self.size) as file:
                head = bytes(file.read(wanted))
                more = bytes(file.read(end - wanted)) if end > wanted else b""
        except ValueError:
            return self._fetch_whole()
        except Exception as error:  # every file system raises its own library's errors
            raise InputError(reason(error, self._url), source=self.name) from error
        self._count([head, more], [(0, wanted), (wanted, end)])
        self._keep(0, head + more)
        return head

    def _fetch_whole(self) -> bytes:
        if self.size > MAX_WITHOUT_RANGES:
            raise InputError(
                f"its server gives no parts of files, and {self.size} bytes are too many to fetch", source=self.name
            )
        data = self._fetch([(0, self.size)])[0]
        self._whole = memoryview(data)
        return data[:HEAD]

    def _fetch(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Fetches (start, end) ranges, in one batch."""
        try:
            if len(ranges) == 1:
                parts = [self._fs.cat_file(self._path, start=ranges[0][0], end=ranges[0][1])]
            else:
                starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
                parts = self._fs.cat_ranges([self._path] * len(ranges), starts, ends, on_error="raise")
        except Exception as error:  # every file system raises its own library's errors
            raise InputError(reason(error, self._url), source=self.name) from error
        self._count(parts, ranges)
        return parts

    def _count(self, parts: Sequence[bytes], ranges: Sequence[tuple[int, int]]) -> None:
        self.requests += len(ranges)
        self.bytes_read += sum(map(len, parts))
        for data, (start, end) in zip(parts, ranges, strict=True):
            if len(data) != end - start:
                raise InputError(
                    f"asked for bytes 0x{start:x} to 0x{end:x}, got {len(data)} bytes: it changed, or its server "
                    "gives no parts of files",
                    source=self.name,
                )

    # ------------------------------------------------------------ blocks

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise TruncatedError(
                f"needs bytes 0x{offset:x} to 0x{offset + size:x}, the file has 0x{self.size:x}", source=self.name
            )

    def _has(self, offset: int, size: int) -> bool:
        return all(block in self._blocks for block in _blocks_of(offset, size))

    def _keep(self, offset: int, data: bytes) -> None:
        """Stores whole blocks; `offset` is a block's."""
        for start in range(0, len(data), BLOCK):
            self._blocks[(offset + start) // BLOCK] = data[start : start + BLOCK]
        while len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)

    def _cached(self, offset: int, size: int) -> bytes:
        """Reads through the cache: at most one request, for the blocks from the first to the last that lacks."""
        wanted = _blocks_of(offset, size)
        known = {block: self._blocks[block] for block in wanted if block in self._blocks}
        for block in known:
            self._blocks.move_to_end(block)
        absent = [block for block in wanted if block not in known]
        if absent:
            first, last = absent[0], absent[-1]
            # Who reads on where the last request ended is reading a list: ask for more and more of it.
            self._ahead = min(2 * self._ahead, MAX_READ_AHEAD) if first == self._next_block else 1
            last = max(last, first + self._ahead - 1)
            start, end = first * BLOCK, min((last + 1) * BLOCK, self.size)
            self._next_block = last + 1
            data = self._fetch([(start, end)])[0]
            known.update((first + at // BLOCK, data[at : at + BLOCK]) for at in range(0, len(data), BLOCK))
            self._keep(start, data)
        low, high = offset - wanted.start * BLOCK, offset + size - wanted.start * BLOCK
        return b"".join(known[block] for block in wanted)[low:high]

    def _from_grains(self, offset: int, size: int) -> bytes | None:
        """Answers from what an earlier search fetched, where it is one grain's."""
        data = self._grains.get(offset // GRAIN)
        low = offset % GRAIN
        part = b"" if data is None else data[low : low + size]
        return part if len(part) == size else None

    def _keep_grains(self, span: tuple[int, int], data: bytes, start: int) -> None:
        offset, size = span
        if size == GRAIN:
            self._grains[offset // GRAIN] = data[offset - start : offset - start + size]
            if len(self._grains) > CACHED_GRAINS:
                self._grains.popitem(last=False)


def _grain_aligned(offset: int, size: int, file_size: int) -> tuple[int, int]:
    """Widens an (offset, size) range to whole grains."""
    start, end = offset // GRAIN * GRAIN, -(-(offset + size) // GRAIN) * GRAIN
    return start, min(end, file_size) - start


def _blocks_of(offset: int, size: int) -> range:
    return range(offset // BLOCK, -(-(offset + size) // BLOCK) if size else offset // BLOCK)


# ---------------------------------------------------------------- scattered ranges


@dataclass(frozen=True, slots=True)
class Span:
    """One request that answers several ranges; `members` are their positions in the list asked for."""

    start: int
    end: int
    members: list[int]


def join_near(ranges: Sequence[tuple[int, int]], file_size: int) -> list[Span]:
    """Joins (offset, size) ranges that lie near each other into few requests, without fetching much between them.

    Gaps are closed from the narrowest on: those below `JOIN_GAP`, and wider ones while there are more than
    `MAX_REQUESTS`, as long as the bytes in between stay below their share of the file.
    """
    if not ranges:
        return []
    table = np.array(ranges, np.int64).reshape(-1, 2)
    order = np.argsort(table[:, 0], kind="stable")
    starts = table[order, 0]
    ends = np.maximum.accumulate(starts + table[order, 1])
    gaps = starts[1:] - ends[:-1]
    positive = np.flatnonzero(gaps > 0)
    by_width = positive[np.argsort(gaps[positive], kind="stable")]
    widths = gaps[by_width]
    wanted = max(int((widths < JOIN_GAP).sum()), len(positive) + 1 - MAX_REQUESTS)
    affordable = int(np.searchsorted(np.cumsum(widths), max(1 << 20, file_size // JOIN_SHARE), side="right"))
    split = np.ones(len(gaps), np.bool_)
    split[gaps <= 0] = False
    split[by_width[: min(wanted, affordable)]] = False
    edges = np.concatenate(([0], np.flatnonzero(split) + 1, [len(starts)])).tolist()
    return [Span(int(starts[low]), int(ends[high - 1]), order[low:high].tolist()) for low, high in pairwise(edges)]


def _batches(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Splits requests into batches that fit into memory."""
    batch: list[Span] = []
    size = 0
    for span in spans:
        if batch and (size + span.end - span.start > BATCH or len(batch) >= MAX_REQUESTS):
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += span.end - span.start
    if batch:
        yield batch
