"""Task families: one file each."""
