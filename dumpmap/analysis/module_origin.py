"""Whose a module is: Microsoft's or somebody else's, and what says so."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Vendor = Literal["Microsoft", "third party"]
Source = Literal["company", "path"]

_ROOT = r"(?:[\\/]{2}[?.][\\/]|[\\/]\?\?[\\/])?(?:[a-z]:|[\\/]device[\\/][^\\/]+)[\\/]"
_WINDOWS_FOLDER = re.compile(rf"(?:{_ROOT}(?:windows|winnt)|[\\/]systemroot)[\\/]", re.IGNORECASE)
_DRIVERS = re.compile(r"[\\/]driverstore[\\/]filerepository[\\/]", re.IGNORECASE)
_MICROSOFT_FOLDER = re.compile(
    rf"""
    {_ROOT}
    (?:program\ files(?:\ \((?:x86|arm)\))?[\\/](?:common\ files[\\/]|windowsapps[\\/])?
      |programdata[\\/]
      |users[\\/][^\\/]+[\\/]appdata[\\/][^\\/]+[\\/])
    (?:microsoft(?:[ .][^\\/]*)?
      |dotnet
      |emet\ [0-9][0-9.]*
      |internet\ explorer
      |msbuild
      |windows\ (?:defender|kits|mail|media\ player|nt|photo\ viewer|security|sidebar)[^\\/]*
      |windowspowershell)
    [\\/]
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Folders of Microsoft's own products, directly below the folders that programs are installed in."""


class Origin(NamedTuple):
    """Whose a module is.

    Attributes:
        vendor: `Microsoft` or `third party`; None if the input does not say.
        source: `company` in the version resource, or `path`; None without a vendor.
    """

    vendor: Vendor | None
    source: Source | None


def module_origin(path: str, company: str | None) -> Origin:
    """Tells whose a module is: by its company if that is known, otherwise by its folder.

    The Windows folder and the folders of Microsoft's products are Microsoft's. Driver packages are not, although they
    are in the Windows folder: they hold the user-mode parts of graphics drivers, for example. A name without a folder
    says nothing.

    Args:
        path: where the module was loaded from.
        company: CompanyName of its version resource; None if unknown.
    """
    if company is not None:
        return Origin("Microsoft" if company.lower().startswith("microsoft") else "third party", "company")
    if not re.search(r"[\\/]", path):
        return Origin(None, None)
    in_windows = _WINDOWS_FOLDER.match(path) is not None and _DRIVERS.search(path) is None
    is_microsoft = in_windows or _MICROSOFT_FOLDER.match(path) is not None
    return Origin("Microsoft" if is_microsoft else "third party", "path")
