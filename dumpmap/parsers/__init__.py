"""Input formats: from bytes to a snapshot."""
