"""Declarations of the structures that dumpmap reads from process memory: names, offsets, and sizes; no logic.

Names are Microsoft's (Wine's for Wine). Every table has a column for 32-bit and one for 64-bit processes, so that no
code exists twice. Offsets come from public headers derived from symbols (ntdll PDBs), the Windows SDK, and Microsoft's
"PE Format" specification.
"""
