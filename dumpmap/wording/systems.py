"""Names of operating systems. A build that a client and a server release share has no name here."""

from __future__ import annotations

from dumpmap.model.snapshot import OperatingSystem

WINDOWS_RELEASES = {
    2600: "Windows XP",
    6000: "Windows Vista",
    10240: "Windows 10 1507",
    10586: "Windows 10 1511",
    15063: "Windows 10 1703",
    19043: "Windows 10 21H1",
    19044: "Windows 10 21H2",
    19045: "Windows 10 22H2",
    20348: "Windows Server 2022",
    22000: "Windows 11 21H2",
    22621: "Windows 11 22H2",
    22631: "Windows 11 23H2",
    25398: "Windows Server 23H2",
    26200: "Windows 11 25H2",
}
"""The release of each build that belongs to one release only."""


def release_name(system: OperatingSystem) -> str | None:
    """Returns the name of a Windows release; None if the build is unknown or belongs to several."""
    return WINDOWS_RELEASES.get(system.build or 0) if system.family == "windows" else None


def system_text(system: OperatingSystem) -> str:
    """Writes a system: `Windows 10 22H2 (build 19045)`, or family and version if the release is not certain."""
    name = release_name(system)
    if name is not None:
        return f"{name} (build {system.build})"
    return " ".join(part for part in (system.family, system.version) if part)
