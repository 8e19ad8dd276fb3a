"""The sentences that people read, made from data, and how they and tables write numbers.

- `findings`, `verdicts`: a diagnosis in words, as JSON and the Python API show it;
- `explanation`, `pages`, `thresholds`: what a finding means, and the page about it;
- `phrases`: clauses that several sentences share;
- `diff`, `timeline`, `caveats`: comparisons of maps in words;
- `gate`: what `check` reports;
- `advice`: what a better dump would add;
- `text`: numbers in sentences and in tables.
"""
