"""Classification: a snapshot in, a region map out.

`pipeline.classify` runs the rules in a fixed order. The first certain rule wins; guesses come last and are marked. One
module per family of rules:

1. `space`: regions into allocations and gaps; `partial`: what an input without a list of regions proves.
2. `images`: images and their sections.
3. `named`: TEB and PEB pages.
4. `stacks`: stacks.
5. `heaps`: heaps that recognisers found or the process reported.
6. `recognised`: other memory that recognisers found, such as managed heaps.
7. `named`: what the PEB points to.
8. `images`: views of files.

`recorded` replaces all of them where another tool's file states the types. Rules write to `labels`; `pieces` and `rows`
make columns of them.
"""

from dumpmap.classify.pipeline import classify

__all__ = ["classify"]
