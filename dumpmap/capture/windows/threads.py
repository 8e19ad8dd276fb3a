"""The threads of a process on Windows."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

from dumpmap.capture.windows.api import ApiError, Machine, WindowsApi
from dumpmap.capture.windows.layouts import (
    THREAD_GET_CONTEXT,
    THREAD_QUERY_INFORMATION,
    THREAD_QUERY_LIMITED_INFORMATION,
)

_RIGHTS = (THREAD_QUERY_INFORMATION, THREAD_QUERY_LIMITED_INFORMATION)


def list_threads(api: WindowsApi, pid: int, machine: Machine, *, frozen: bool) -> list[dict[str, Any]]:
    """Lists the threads of a process.

    Args:
        api: Windows.
        pid: the process.
        machine: what it runs as.
        frozen: its threads are stopped. Registers are read only then: those of a running thread mean nothing.

    Raises:
        ApiError: Windows does not list the threads.
    """
    rights = (THREAD_QUERY_INFORMATION | THREAD_GET_CONTEXT, *_RIGHTS) if frozen else _RIGHTS
    threads = []
    for thread_id in api.threads(pid):
        thread: dict[str, Any] = {"id": thread_id}
        for access in rights:
            try:
                handle = api.open_thread(thread_id, access)
            except ApiError:
                continue
            try:
                _describe(api, handle, thread)
                if access & THREAD_GET_CONTEXT:
                    with contextlib.suppress(ApiError):
                        pointers = api.context(handle, machine)
                        thread["stack_pointer"], thread["instruction_pointer"] = pointers or (None, None)
            finally:
                api.close(handle)
            break
        threads.append(thread)
    return threads


def _describe(api: WindowsApi, handle: int, thread: dict[str, Any]) -> None:
    """Adds every fact that Windows tells about a thread."""
    for key, question in (("teb", api.teb), ("name", api.thread_name), ("start_address", api.start_address)):
        with contextlib.suppress(ApiError):
            thread[key] = question(handle) or None
    with contextlib.suppress(ApiError):
        thread["created_at"] = moment(api.thread_times(handle)[0])


def moment(seconds: float) -> dt.datetime | None:
    """Turns seconds since 1970 into a time, None if they are not after 1970."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds > 0 else None
