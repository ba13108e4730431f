"""Sweeps: arms × seeds, one process per run, only what is missing."""
