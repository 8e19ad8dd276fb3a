"""Names of files on Windows."""

from __future__ import annotations


def file_name(path: str) -> str:
    """Returns the last part of a path."""
    return path.rpartition("\\")[2]


def drive_path(device_path: str, drives: dict[str, str]) -> str:
    r"""Turns the kernel's path of a file into the one that users know.

    `\Device\HarddiskVolume3\app.exe` becomes `C:\app.exe`, a file on a server `\\server\share\app.exe`. A path on a
    device without a drive letter stays as it is.

    Args:
        device_path: the kernel's path.
        drives: the drive letter of each device path.
    """
    for prefix in ("\\??\\UNC\\", "\\\\?\\UNC\\"):
        if device_path.startswith(prefix):
            return "\\\\" + device_path[len(prefix) :]
    for prefix in ("\\??\\", "\\\\?\\"):
        if device_path.startswith(prefix):
            return device_path[len(prefix) :]
    folded = device_path.lower()
    best = max((device for device in drives if folded.startswith(device.lower() + "\\")), key=len, default=None)
    if best is not None:
        return drives[best] + device_path[len(best) :]
    for prefix in ("\\device\\mup\\", "\\device\\lanmanredirector\\"):
        if folded.startswith(prefix):
            # The connection's own parts precede the server: `;LanmanRedirector\;X:000000000001\server\share`.
            parts = device_path[len(prefix) :].split("\\")
            while parts and parts[0].startswith(";"):
                del parts[0]
            return "\\\\" + "\\".join(parts)
    return device_path
