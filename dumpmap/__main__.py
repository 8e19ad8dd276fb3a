"""The program: `dumpmap`, or `python -m dumpmap`."""

import gc
import os
import sys

_OBJECTS = 50_000
"""Objects between two searches for unused cycles. Python's default is 700, and importing a command makes 70,000."""


def main() -> None:
    """Runs the command line; a Ctrl-C while it is still being loaded ends it as quietly as one later."""
    # A command makes few cycles, and the searches for them took a tenth of its time.
    gc.set_threshold(_OBJECTS)
    # dumpmap does no linear algebra, and starting OpenBLAS's threads costs more than opening a small dump.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from dumpmap.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
