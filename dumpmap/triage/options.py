"""How a batch runs: its options, checked before the hours that a batch can take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, get_args

from dumpmap.model.choices import check_choice
from dumpmap.model.pointers import OWNER_SEARCHES, OwnerSearch
from dumpmap.model.values import value_class
from dumpmap.triage.worker import Setup
from dumpmap.wording.text import size_words

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

EngineName = Literal["processes", "serial", "dask"]

TIME_LIMIT = 60.0
"""The default time limit for one file, in seconds."""

MEMORY_LIMIT = 1 << 30
"""The default memory limit for one file, in bytes."""

LEAST_MEMORY = 64 << 20
"""The smallest accepted memory limit: the libraries that read from S3 alone need 50 MB."""

_NONE = type(None)
_ACCEPTED: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("jobs", (Integral, _NONE), "a whole number"),
    ("time_limit", (Real, _NONE), "a number of seconds, or None"),
    ("memory_limit", (Integral, _NONE), "a number of bytes, or None"),
    ("cache", (bool, str, os.PathLike), "True, False, or a file"),
    ("scheduler", (str, _NONE), "an address"),
    ("storage_options", (Mapping, _NONE), "a mapping"),
)
"""The accepted types of each option, and what to call them."""


@value_class(frozen=True, slots=True)
class TriageOptions:
    """How a batch runs.

    Attributes:
        jobs: number of worker processes. Default: the number of processors that this process may use.
        time_limit: seconds for one file; None for no limit. A worker that takes longer is killed.
        memory_limit: bytes that a worker may take for one file, at least `LEAST_MEMORY`; None for no limit.
        cache: the file that keeps results for the next run; True for the user's own cache, False for none.
        engine: `processes`, `serial` (in this process, without limits), or `dask`.
        scheduler: for `dask`: the scheduler's address; None starts a cluster of `jobs` workers on this machine.
        storage_options: for URLs: options of the fsspec file system.
        recursive: whether to search the subfolders of the named folders.
        owners: how owners are found: `structure`, or `full` with a search of each dump's memory for pointers.
        hook: `Setup.hook`, for tests.
    """

    jobs: int | None = None
    time_limit: float | None = TIME_LIMIT
    memory_limit: int | None = MEMORY_LIMIT
    cache: bool | str | os.PathLike[str] = True
    engine: EngineName = "processes"
    scheduler: str | None = None
    storage_options: Mapping[str, Any] | None = None
    recursive: bool = True
    owners: OwnerSearch = "structure"
    hook: str | None = None

    def __post_init__(self) -> None:
        for name, types, accepted in _ACCEPTED:
            value = getattr(self, name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise TypeError(f"{name} must be {accepted}, not {value!r}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError("jobs must be at least 1")
        if self.engine not in get_args(EngineName):
            raise ValueError(f"unknown engine {self.engine!r}; the engines are {', '.join(get_args(EngineName))}")
        check_choice("owners", self.owners, OWNER_SEARCHES)
        if self.scheduler is not None and self.engine != "dask":
            raise ValueError("scheduler requires engine='dask'")
        if self.time_limit is not None and not self.time_limit > 0:  # NaN is not above 0 either
            raise ValueError("time_limit must be above 0 seconds; None means no limit")
        if self.memory_limit is not None and self.memory_limit < LEAST_MEMORY:
            raise ValueError(f"memory_limit must be at least {size_words(LEAST_MEMORY)}; None means no limit")

    @property
    def workers(self) -> int:
        """The number of worker processes to start."""
        if self.jobs is not None:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0)) or 1
        return os.cpu_count() or 1

    @property
    def setup(self) -> Setup:
        """What every worker needs."""
        return Setup(
            memory_limit=self.memory_limit, storage_options=self.storage_options, owners=self.owners, hook=self.hook
        )


def path_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """Returns the paths of a call as a list.

    Raises:
        TypeError: one is neither a str nor a path object.
    """
    found = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    for path in found:
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise TypeError(f"a path must be a str or a path object, not {path!r}")
    return found
