"""Logs of other training tools, made into run directories (docs/import.md)."""
