"""Tools for a release: the one-file program, and the checks before an upload. `make pyz`, `make release-check`."""
