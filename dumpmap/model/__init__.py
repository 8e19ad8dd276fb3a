"""Finished values that every other room can hold: the snapshot, the region map, and the tables of names they use.

Nothing in this room reads a file or process memory, and nothing prints.
"""
