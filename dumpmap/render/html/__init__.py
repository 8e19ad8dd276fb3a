"""The HTML report: one page that works without a network, and a short form for notebooks.

The page has two halves. Facts, verdict, bars, the type table, and free blocks are plain HTML from the template, so the
page prints and reads without scripts. The scripts in `static/` draw the long tables and the map of the address space
from one JSON document in the page. `data.page_data` defines its shape, which is not an interface: other programs read
`--format json`.

A dump is hostile input, and so are the names in it. The template escapes everything, the JSON contains no `<`, and the
scripts set text and never markup. The page's own policy forbids every request, and every script and style but the
page's own, by hash.

- `page`: puts the parts together and writes the file.
- `head`, `overview`, `diagnosis`, `free_blocks`: the plain half, one module per part of the page.
- `data`, `packing`, `scale`: the JSON document.
- `assets`: template, style, script, and policy.
- `triage`, `diff`, `timeline`: the pages of a batch, a difference, and a timeline, on the same templates, styles, and
  scripts. `compressed` packs their data, and `strips` the address spaces of a difference.
- `fragment`: the notebook form.
"""

from __future__ import annotations

from dumpmap.render.html.fragment import summary_fragment
from dumpmap.render.html.page import render_report, write_report

__all__ = ["render_report", "summary_fragment", "write_report"]
