"""Models, tokenizers and processors: loading, limits, adapters."""
