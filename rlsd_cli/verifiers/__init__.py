"""Verifiers: pure functions from a completion and its gold answer to a verdict, shared by training and evaluation."""
