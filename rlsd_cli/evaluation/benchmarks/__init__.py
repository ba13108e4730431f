"""Public benchmarks as suites: one file each, a loader for the hub's layout, a prompt, a verdict, an aggregation."""
