"""Files that dumpmap writes: JSON snapshots, VMMap's formats, Parquet, and JSON lines."""
