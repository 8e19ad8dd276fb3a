"""What a web server says about files without sending them: sizes and stamps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

HEADS_AT_ONCE = 16
"""Most HEAD requests that run together."""

HEAD_TIMEOUT = 10.0
"""Seconds that a HEAD request can take. The analysis does not depend on it."""

_STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "Last-Modified", "mtime", "created")


def stamp_of(info: Mapping[str, Any]) -> str | None:
    """Returns a text that changes when the remote file changes; None if its file system has none."""
    for field in _STAMPS:
        value = info.get(field)
        if value:
            return f"{field} {value}"
    return None


def web_infos(fs: Any, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Asks a web server for the sizes and stamps of files, which its listings lack, with one HEAD request each.

    Args:
        fs: fsspec's file system for `http`.
        paths: URLs of the files. All requests run together.

    Returns:
        for each file, what the server says: `size`, `ETag`, `Last-Modified`. The analysis of a file reports its faults.
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
        except Exception:  # errors of aiohttp, and a server that does not answer in time
            return {}

    async def ask_all() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(ask, paths))

    infos: list[dict[str, Any]] = sync(fs.loop, ask_all)
    return infos
