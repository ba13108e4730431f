"""rlsd: a referee for self-distillation and reinforcement learning on language models."""

__version__ = "0.1.0"
