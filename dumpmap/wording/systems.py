"""Names of operating systems."""

from __future__ import annotations

from dumpmap.model.snapshot import OperatingSystem

_CLIENTS = {
    2600: "Windows XP",
    3790: "Windows XP x64 Edition",
    6000: "Windows Vista",
    6001: "Windows Vista SP1",
    6002: "Windows Vista SP2",
    7600: "Windows 7",
    7601: "Windows 7 SP1",
    9200: "Windows 8",
    9600: "Windows 8.1",
    10240: "Windows 10 1507",
    10586: "Windows 10 1511",
    14393: "Windows 10 1607",
    15063: "Windows 10 1703",
    16299: "Windows 10 1709",
    17134: "Windows 10 1803",
    17763: "Windows 10 1809",
    18362: "Windows 10 1903",
    18363: "Windows 10 1909",
    19041: "Windows 10 2004",
    19042: "Windows 10 20H2",
    19043: "Windows 10 21H1",
    19044: "Windows 10 21H2",
    19045: "Windows 10 22H2",
    22000: "Windows 11 21H2",
    22621: "Windows 11 22H2",
    22631: "Windows 11 23H2",
    26100: "Windows 11 24H2",
    26200: "Windows 11 25H2",
}
_SERVERS = {
    3790: "Windows Server 2003",
    6001: "Windows Server 2008",
    6002: "Windows Server 2008 SP2",
    6003: "Windows Server 2008 SP2",
    7600: "Windows Server 2008 R2",
    7601: "Windows Server 2008 R2 SP1",
    9200: "Windows Server 2012",
    9600: "Windows Server 2012 R2",
    14393: "Windows Server 2016",
    16299: "Windows Server 1709",
    17134: "Windows Server 1803",
    17763: "Windows Server 2019",
    18362: "Windows Server 1903",
    18363: "Windows Server 1909",
    19041: "Windows Server 2004",
    19042: "Windows Server 20H2",
    20348: "Windows Server 2022",
    25398: "Windows Server 23H2",
    26100: "Windows Server 2025",
}
"""The releases by build. Source: Microsoft, "Windows 10 release information", "Windows 11 release information",
"Windows Server release information", and "Operating System Version"."""


_FAMILIES = {
    "windows": "Windows",
    "linux": "Linux",
    "android": "Android",
    "macos": "macOS",
    "ios": "iOS",
    "solaris": "Solaris",
    "ps3": "PlayStation 3",
    "nacl": "Native Client",
    "fuchsia": "Fuchsia",
    "unix": "Unix",
}


def release_name(system: OperatingSystem) -> str | None:
    """Returns the name of a Windows release; None if the build is unknown, or two releases have it.

    The type of product then tells a client from a server. Windows Enterprise multi-session calls itself a server with
    the build of a client.
    """
    if system.family != "windows" or system.build is None:
        return None
    client, server = _CLIENTS.get(system.build), _SERVERS.get(system.build)
    if client is None or server is None:
        return client or server
    return {None: None, "workstation": client}.get(system.product_type, server)


def system_text(system: OperatingSystem) -> str:
    """Writes a system: `Windows 10 22H2 (build 19045)`, or family and version if the release is not certain."""
    name = release_name(system)
    if name is not None:
        return f"{name} (build {system.build})"
    return " ".join(part for part in (_FAMILIES.get(system.family, system.family), system.version) if part)
