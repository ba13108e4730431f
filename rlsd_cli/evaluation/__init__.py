"""Measuring runs and models: suites, benchmarks, results, comparisons."""
