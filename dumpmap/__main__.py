"""`python -m dumpmap`."""

from dumpmap.cli.app import main

if __name__ == "__main__":
    main()
