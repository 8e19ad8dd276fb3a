"""The file systems of fsspec: one for each protocol of a URL."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dumpmap.errors import InputError
from dumpmap.sources.remote_errors import reason, shown_url

_EXTRAS = {
    **dict.fromkeys(("http", "https"), "remote"),
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
}
"""The extra of dumpmap that installs the package for a protocol."""


def file_system(url: str, storage_options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Returns the fsspec file system of a URL, and the path inside it.

    Raises:
        InputError: fsspec or the library for the protocol is not installed, or fsspec cannot handle the URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        brings = _EXTRAS.get(url.partition("://")[0].lower(), "remote")
        raise InputError(f'reading URLs needs fsspec: pip install "dumpmap[{brings}]"', source=shown_url(url)) from None
    # paramiko logs what it raises, with tracebacks, and the log would reach the terminal.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    try:
        fs, path = url_to_fs(url, **dict(storage_options or {}))
    except ImportError as error:
        # The name of the missing package, or fsspec's own words.
        package = getattr(error.__cause__, "name", None) or str(error)
        extra = _EXTRAS.get(url.partition("://")[0].lower())
        how = f'pip install "dumpmap[{extra}]"' if extra else package
        raise InputError(f"its protocol needs another package: {how}", source=shown_url(url)) from error
    except Exception as error:  # each file system raises its own errors for a bad option
        raise InputError(reason(error, url), source=shown_url(url)) from error
    return fs, path
