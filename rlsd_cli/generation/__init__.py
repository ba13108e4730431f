"""Prompts in, completions out: own decoding loops, transformers' generate, vLLM."""
