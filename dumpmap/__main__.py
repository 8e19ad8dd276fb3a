"""The program: `dumpmap`, or `python -m dumpmap`."""

import os
import sys


def main() -> None:
    """Runs the command line; a Ctrl-C while it is still being loaded ends it as quietly as one later."""
    # dumpmap does no linear algebra, and starting OpenBLAS's threads costs more than opening a small dump.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from dumpmap.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
