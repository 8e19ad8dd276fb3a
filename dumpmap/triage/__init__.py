"""A folder or a bucket of dumps as one table: which of them ran out of what.

```python
import dumpmap

if __name__ == "__main__":
    frame = dumpmap.triage("dumps/")  # a DataFrame, the worst first
```

`triage` is both this package and the function: the package is callable. `run` returns more than a frame, `iterate`
yields rows as files finish, `watch` waits for more files, and `read_result` reads what an earlier run wrote.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dumpmap.triage import batch as _batch
from dumpmap.triage.batch import iterate, run, triage
from dumpmap.triage.columns import COLUMNS, GROUPABLE
from dumpmap.triage.columns import TriageColumn as Column
from dumpmap.triage.columns import TriageRow as Row
from dumpmap.triage.earlier import read_result
from dumpmap.triage.engines import EngineError
from dumpmap.triage.frame import make_frame
from dumpmap.triage.groups import TriageGroup as Group
from dumpmap.triage.groups import group_rows
from dumpmap.triage.options import TriageOptions as Options
from dumpmap.triage.progress import BatchState as State
from dumpmap.triage.progress import Progress
from dumpmap.triage.result import TriageResult as Result
from dumpmap.triage.result import exit_code
from dumpmap.triage.selection import Selection, select
from dumpmap.triage.watch import watch

if TYPE_CHECKING:
    RichProgress: Any
    write_result: Any

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
    "read_result",
    "run",
    "select",
    "triage",
    "watch",
    "write_result",
]


class _CallablePackage(ModuleType):
    """`dumpmap.triage(paths)`: importing a package replaces the function of the same name."""

    __call__ = staticmethod(_batch.triage)
    __signature__ = inspect.signature(_batch.triage)

    def __getattr__(self, name: str) -> Any:
        """Finds the public names that live in rooms above: the `dumpmap` package, which is above all, knows where."""
        if name in ("RichProgress", "write_result"):
            return getattr(sys.modules["dumpmap"], name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _CallablePackage
# One object under both names: both the function and the package are `dumpmap.triage`, whichever comes first.
globals()["triage"] = sys.modules[__name__]
