"""The paper's theory as computation: exact on enumerable models, estimated on checkpoints (docs/theory.md).

One legend for the whole package. Everything is float64; information and losses are in nats.

X  questions                R  references of a question     S  prefixes (the empty one included)
V  vocabulary               T  completion tokens            Y  whole completions, V^T of them
N  trajectories that are followed side by side
"""
