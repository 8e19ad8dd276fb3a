"""Mutation testing: does any test notice when one operator, number or condition of the product changes?

`tests/mutants.py` is something else: it damages recorded dumps and checks what the recognisers claim of them.
"""
