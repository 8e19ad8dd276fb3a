"""JSON snapshots: the schema, and the reader. See `docs/snapshot.md`."""
