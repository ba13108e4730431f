"""The leakage audit: closed-book completions that mention a reference which they never saw (docs/leakage-audit.md)."""
