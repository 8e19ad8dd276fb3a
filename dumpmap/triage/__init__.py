"""A folder or a bucket of dumps as one table: which of them ran out of what.

```python
import dumpmap

if __name__ == "__main__":
    frame = dumpmap.triage("dumps/")  # a DataFrame, worst first
```

`triage` is both this package and the function: the package can be called. `run` gives more than a frame, `iterate`
gives rows as files finish, `watch` waits for more.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from dumpmap.triage import batch as _batch
from dumpmap.triage.batch import Group, Options, Result, exit_code, group_rows, iterate, make_frame, run, triage
from dumpmap.triage.columns import COLUMNS, GROUPABLE, Column, Row
from dumpmap.triage.engines import EngineError
from dumpmap.triage.progress import Progress, RichProgress, State
from dumpmap.triage.selection import Selection, select
from dumpmap.triage.watch import watch

__all__ = [
    "COLUMNS",
    "GROUPABLE",
    "Column",
    "EngineError",
    "Group",
    "Options",
    "Progress",
    "Result",
    "RichProgress",
    "Row",
    "Selection",
    "State",
    "exit_code",
    "group_rows",
    "iterate",
    "make_frame",
    "run",
    "select",
    "triage",
    "watch",
]


class _CallablePackage(ModuleType):
    """`dumpmap.triage(paths)`: importing a package puts it in place of the function of its name."""

    __call__ = staticmethod(_batch.triage)
    __signature__ = inspect.signature(_batch.triage)


sys.modules[__name__].__class__ = _CallablePackage
# One object under both names: whoever gets `dumpmap.triage` first, the function or the package, gets all of it.
globals()["triage"] = sys.modules[__name__]
