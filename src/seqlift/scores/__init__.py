"""Score files: the one file format that all later stages read, and the merging of its shards."""
