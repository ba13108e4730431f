"""Engines of evaluation: what turns prompts into completions."""
