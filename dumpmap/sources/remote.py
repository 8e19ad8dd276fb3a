"""Inputs at a URL, through fsspec: `s3://`, `az://`, `gs://`, `https://`, `sftp://`, and its other protocols.

A map needs a small part of a dump: the header, the streams, and some structures in memory. dumpmap fetches only those
ranges: small reads through a cache of blocks, large ones directly, and scattered ones together, with near ranges
joined. A search over a whole address space thus costs neither a request per page nor the whole file. A compressed file
cannot be read in parts: dumpmap fetches all of it, up to `MAX_WHOLE`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from dumpmap.errors import InputError
from dumpmap.sources.archive import PACKED
from dumpmap.sources.file_systems import file_system
from dumpmap.sources.files import TruncatedError
from dumpmap.sources.remote_errors import reason, shown_url
from dumpmap.sources.spans import batches, join_near
from dumpmap.sources.web import stamp_of

BLOCK = 16 << 10
"""Bytes of a cached block; small reads fetch whole blocks."""

CACHED_BLOCKS = 1024
"""Most blocks in the cache: 16 MiB."""

MAX_READ_AHEAD = 64
"""Most blocks that one request of a sequential reader fetches."""

DIRECT = 256 << 10
"""Reads of at least this many bytes bypass the cache."""

PART = 8 << 20
"""A longer read becomes several requests of this many bytes."""

GRAIN = 256
"""Scattered ranges are fetched in multiples of this many bytes: a request costs more than that anyway."""

CACHED_GRAINS = 1 << 16
"""Most grains in the cache: 16 MiB."""

HEAD = 4 * BLOCK
"""The first fetch: it contains the streams of a small dump, or all of it."""

MAX_WHOLE = 4 << 30
"""Largest compressed remote file, which is fetched whole, and largest single read."""

MAX_WITHOUT_RANGES = 256 << 20
"""Largest file that is fetched whole from a server that does not send parts of files."""

_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)


def remote_source(url: str, storage_options: Mapping[str, Any] | None = None) -> RemoteSource:
    """Opens a URL for reading by ranges.

    Args:
        url: a URL with a protocol of fsspec whose library is installed.
        storage_options: options of the fsspec file system, such as credentials and `endpoint_url`.

    Raises:
        InputError: the server cannot be reached or does not state the size, or the file is too large to fetch whole.
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
        raise InputError("the server does not state its size", source=name)
    source = RemoteSource(fs, path, url, int(size), stamp_of(info) if web else None)
    head = source.begin(ranges=info.get("partial"))
    if web and _PAGE.match(head):
        raise _web_page(url)
    if head.startswith(PACKED) and source.size > MAX_WHOLE:
        raise InputError(
            f"is compressed and has {source.size:,} bytes; the limit for a compressed remote file is {MAX_WHOLE:,}",
            source=name,
        )
    return source


def _web_page(url: str) -> InputError:
    """Makes the error for a page that a web server shows for a folder, or instead of a file."""
    hint = "" if url.endswith("/") else "; for a folder, end the URL in /"
    return InputError(f"is a web page, not a dump{hint}", source=shown_url(url))


class RemoteSource:
    """A `ByteSource` over an fsspec file system.

    Attributes:
        name: the URL, without secrets.
        size: size of the file in bytes.
        bytes_read: bytes transferred so far.
        requests: requests sent so far.
        stamp: for a file on a web server, a text that changes when the file changes.
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
            raise InputError(f"dumpmap does not fetch {size:,} bytes in one read", source=self.name)
        end = offset + size
        parts = self._fetch([(start, min(start + PART, end)) for start in range(offset, end, PART)])
        return memoryview(parts[0] if len(parts) == 1 else b"".join(parts))

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`: near ranges are joined, and all are fetched together."""
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
        # A search reads several places near each other, one after the other: fetch the bytes around each.
        wanted = [_grain_aligned(*ranges[index], self.size) for index in missing]
        for batch in batches(join_near(wanted, self.size)):
            for span, data in zip(batch, self._fetch([(span.start, span.end) for span in batch]), strict=True):
                for member in span.members:
                    offset, size = ranges[missing[member]]
                    # A slice of bytes is a copy, so sixteen bytes do not keep a whole response in memory.
                    result[missing[member]] = memoryview(data[offset - span.start : offset - span.start + size])
                    self._keep_grains(wanted[member], data, span.start)
        return result

    def gather(self, offsets: Sequence[int], size: int) -> bytes:
        """See `ByteSource.gather`."""
        return b"".join(self.views([(offset, size) for offset in offsets]))

    # ------------------------------------------------------------ fetching

    def begin(self, *, ranges: bool | None = None) -> bytes:
        """Fetches the first blocks of the file, and finds out whether the server sends parts of files at all.

        Args:
            ranges: False if the server is known not to.

        Returns:
            the first bytes of the file.
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
        # A web server can ignore the range and send everything. A file object refuses such a response, except at offset
        # 0; `cat_file` would download it. So only a second read shows whether the server respects ranges.
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
                f"the server does not send parts of files, and {self.size:,} bytes are too many to fetch",
                source=self.name,
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
                    f"requested bytes 0x{start:x} to 0x{end:x} and received {len(data)} bytes: the file changed, or "
                    "the server does not send parts of files",
                    source=self.name,
                )

    # ------------------------------------------------------------ blocks

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise TruncatedError(
                f"needs bytes 0x{offset:x} to 0x{offset + size:x}, but the file has 0x{self.size:x} bytes",
                source=self.name,
            )

    def _has(self, offset: int, size: int) -> bool:
        return all(block in self._blocks for block in _blocks_of(offset, size))

    def _keep(self, offset: int, data: bytes) -> None:
        """Stores whole blocks; `offset` is the start of a block."""
        for start in range(0, len(data), BLOCK):
            self._blocks[(offset + start) // BLOCK] = data[start : start + BLOCK]
        while len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)

    def _cached(self, offset: int, size: int) -> bytes:
        """Reads through the cache: at most one request, from the first missing block to the last."""
        wanted = _blocks_of(offset, size)
        known = {block: self._blocks[block] for block in wanted if block in self._blocks}
        for block in known:
            self._blocks.move_to_end(block)
        absent = [block for block in wanted if block not in known]
        if absent:
            first, last = absent[0], absent[-1]
            # A read where the last request ended belongs to a list: fetch more and more of it.
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
        """Reads what an earlier search fetched, if it is inside one grain."""
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
