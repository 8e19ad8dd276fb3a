"""Captures a process on Linux."""

from dumpmap.capture.linux.process import LinuxProcess, find_processes

__all__ = ["LinuxProcess", "find_processes"]
