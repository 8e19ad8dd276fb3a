"""The Python of the README, as scripts that run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures"


def python_blocks(readme: str) -> list[str]:
    """Returns every block of Python."""
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


def write_script(folder: Path, block: str) -> None:
    """Writes a block as script.py, beside files of the names that it uses."""
    for name in ("crash.dmp", "before.dmp", "after.dmp"):
        shutil.copy(FIXTURES / "layout-x64.dmp.gz", folder / name)
    (folder / "dumps").mkdir()
    shutil.copy(FIXTURES / "fragment-x86.dmp.gz", folder / "dumps")
    (folder / "script.py").write_text(block, encoding="utf-8")
