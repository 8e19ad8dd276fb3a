"""Captures a process on Windows."""

from dumpmap.capture.windows.process import WindowsProcess, find_processes

__all__ = ["WindowsProcess", "find_processes"]
