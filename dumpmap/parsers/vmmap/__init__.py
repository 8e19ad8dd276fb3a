"""VMMap's files: its own (.mmp) and its exports (.csv, .txt). See `docs/vmmap.md`."""
