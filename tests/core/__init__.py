"""Tests of the core: from a file's bytes to a region map."""
