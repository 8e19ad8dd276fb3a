"""Declarations of the Windows structures that are read from process memory.

Microsoft's names, offsets and sizes; no logic. Every table has a column for 32-bit and one for 64-bit processes, so the
two never become two copies of code. Offsets come from public symbol-derived headers (ntdll PDBs), the Windows SDK and,
for the PE format, Microsoft's "PE Format" specification.
"""
