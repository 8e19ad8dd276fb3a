"""Mutation of valid inputs: one harness for each reader, and one for all that is made of a map.

python -m tests.fuzz SECONDS [SEED]    runs all harnesses in turn; prints executions and lines, and keeps what fails
"""
