"""Synthetic dumps for tests, built from published structure layouts.

Nothing here imports the package under test or any parser: the standard library only, so that a
parser's mistake cannot hide behind the same mistake in its test data. The modules build on each
other: `minidump` lays out a file, `process` an address space with TEBs, PEBs, stacks and images,
`heaps` the heap structures inside that space.
"""
