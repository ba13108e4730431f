"""A module without an ARM."""
