"""The names of files in paths of any system."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)  # called again and again, and processes load the same modules
def file_name(path: str) -> str:
    """Returns the file name of a path, whichever system wrote the path."""
    return path.replace("\\", "/").rpartition("/")[2]


@lru_cache(maxsize=4096)
def file_key(path: str) -> str:
    """Returns the file name of a path in lower case: Windows has one file for all spellings."""
    return file_name(path).lower()
