"""The sentences that people read, made from data, and how numbers are written in them."""
