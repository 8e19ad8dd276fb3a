"""What lies in process memory: PE headers, TEBs, PEBs and heaps.

This room knows a `dumpmap.model.memory.Memory` and nothing of file formats. `survey.survey` reads everything that a
region map needs in one call, so that a recording memory keeps exactly the bytes a map was built from.
"""
