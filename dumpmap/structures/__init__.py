"""What lies in process memory: PE headers, TEBs, PEBs, heaps, and runtimes.

This room reads a `dumpmap.model.memory.Memory` and knows no file formats. `survey.survey` reads everything that a
region map needs in one call, so that a recording memory keeps exactly the bytes that a map was built from.

- `layouts/` declares the structures; `layout` compiles the declarations.
- `pe`, `teb`, and `peb` read what every Windows process has.
- `recognisers/` is the registry of heap families and runtimes, one module each. To add one, see
  `recognisers/__init__.py`.
- The other modules walk the structures of one family for its recogniser.

Only the standard library and construct are used here: the live capture runs this room on a bare Python.
"""
