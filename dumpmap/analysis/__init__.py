"""Analysis: what a region map means. Values and functions only; nothing here prints or draws.

- `free`: the free space, and what an allocation of a given size would find there;
- `heaps`: a row per heap;
- `facts`: what findings and verdict are judged by, measured once per map;
- `findings`: the table of rules, and which of them a map meets;
- `verdict`: out of address space, of commit, or of neither;
- `diff`, `timeline`: what changed between maps;
- `check`: the gate for continuous integration.
"""
