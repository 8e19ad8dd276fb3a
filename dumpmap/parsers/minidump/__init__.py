"""Minidumps: the header, the directory, and one reader per stream."""
