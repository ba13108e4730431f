"""Developer's tools; none of them is in the wheel."""
