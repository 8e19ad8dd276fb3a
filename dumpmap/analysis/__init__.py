"""Analysis: what a region map means. Data only: nothing here writes a sentence, opens a file, or draws.

- `measurements`: what the diagnosis measures on a map, once per map, with `free`, `limits`, `heaps`, `failure`,
  `dotnet`;
- `rules`: the catalog of findings, verdicts, and thresholds, and the rules that change them; `rules_file` reads a file;
- `conditions`: the condition behind each finding, one module per subject;
- `cause`: the limit that a recorded failure met;
- `diagnosis`: all of that together, with the state of the three axes and the verdict;
- `free_blocks`, `lacks`: the free blocks one by one, and what an input lacks for a complete map;
- `diff`, `timeline`: what changed between maps;
- `check`, `figures`: the gate for continuous integration.
"""
