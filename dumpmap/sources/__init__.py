"""Where bytes come from: local files, archives, and remote storage."""
