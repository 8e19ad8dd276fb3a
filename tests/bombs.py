"""Peak memory and processor time of a command over every file that claims much, as a table.

python -m tests.bombs [COMMAND [OPTION...]]    default: summary; exit code 1 if a file takes more than dumpmap promises
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.bombs import AT_THE_BOUND, BOMBS, MOST_MEMORY, MOST_SECONDS, Writer
from support.cost import cost


def measured(name: str, file: str, write: Writer, command: list[str], folder: Path) -> tuple[str, bool]:
    """Writes a file, runs the command over it, and returns a row and whether it kept within the bounds."""
    path = folder / file
    write(path)
    size = path.stat()
    taken = cost(*command, path)
    path.unlink()
    fine = taken.code in (0, 3) and taken.memory < MOST_MEMORY and taken.seconds < MOST_SECONDS
    said = taken.errors.splitlines()
    verdict = "read" if taken.code == 0 else said[-1].partition(f"{path}: ")[2][:90] if said else "killed"
    row = f"| {name} | {size.st_size:,} | {taken.memory:.0f} | {taken.seconds:.1f} | {taken.code} | {verdict} |"
    return row if fine else f"{row} ABOVE THE BOUND", fine


def main(command: list[str]) -> int:
    """Measures all files, one at a time."""
    print(f"dumpmap {' '.join(command)}; bounds: {MOST_MEMORY} MiB, {MOST_SECONDS} s of the processor")
    print("| file | bytes | MiB | s | exit code | result |\n|---|---|---|---|---|---|", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="dumpmap-bombs-") as folder:
        for name, (file, write) in {**BOMBS, **AT_THE_BOUND}.items():
            row, fine = measured(name, file, write, command, Path(folder))
            print(row, flush=True)
            failed += not fine
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["summary"]))
