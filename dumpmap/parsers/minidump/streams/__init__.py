"""The streams of a minidump, one module a family; `dumpmap.parsers.minidump.registry` collects them."""
