"""Analysis: what a region map means, as data. Nothing here opens files, prints, draws, or writes sentences.

- `free`: the free space, and what an allocation of a given size would find there;
- `heaps`: a row per heap;
- `measurements`: what findings and the verdict are judged by, measured once per map;
- `subjects`: what each allocation belongs to; comparisons recognise allocations by it;
- `diff`, `changes`, `matching`: the difference of two maps;
- `timeline`, `groups`, `trend`: growth over a series of maps;
- `check`, `gate_figures`: the gate for continuous integration, and the figures that it can limit.
"""
