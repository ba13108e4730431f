"""Measurements on the embedded testbed that need training."""
