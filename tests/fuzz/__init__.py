"""Fuzzing: one harness for each reader, one beside another reader, and one for all that is made of a map.

python -m tests.fuzz SECONDS [SEED]    runs all harnesses; prints executions and lines, and keeps what fails
"""
