"""Tests of the command line: what a script and a person see of it."""
