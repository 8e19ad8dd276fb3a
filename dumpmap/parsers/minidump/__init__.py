"""Minidumps: the file, its directory, and its streams. To add a stream, see `dumpmap.parsers.minidump.registry`."""
