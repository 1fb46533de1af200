"""What a run leaves on disk: one map, whole writes, an append-only journal."""
