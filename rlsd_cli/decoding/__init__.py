"""Sampling completions of text without `generate`: each distinct prompt is read once, and small models are fused.

``loop`` draws the tokens, ``cached`` runs any decoder of transformers, ``fused`` runs small dense
Qwen3 models on a CPU several times faster. The tokens have `generate`'s distribution, stops and padding.
"""
