"""The arithmetic limit of a step on this machine: its operations over the measured rate of matrix products."""

from __future__ import annotations

import statistics
import time

import torch

from scripts.bench.flops import Shapes, Sizes, Work, step_work

TRIALS = 25


def product_seconds(tokens: int, inputs: int, outputs: int, trials: int = TRIALS) -> float:
    """Return the lower-quartile CPU seconds of one (tokens, inputs) × (inputs, outputs) product in float32."""
    x, weight = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
    seconds = []
    for _ in range(trials + 3):
        start = time.process_time()
        torch.nn.functional.linear(x, weight)
        seconds.append(time.process_time() - start)
    return statistics.quantiles(seconds[3:], n=4)[0]


def rate(sizes: Sizes, tokens: int) -> float:
    """Return the operations per second that one layer's projections of ``tokens`` tokens reach."""
    products = sizes.products()
    spent = {product: product_seconds(tokens, *product) for product in set(products)}
    operations = sum(2 * tokens * inputs * outputs for inputs, outputs in products)
    return operations / sum(spent[product] for product in products)


def limit(sizes: Sizes, shapes: Shapes, threads: int) -> tuple[Work, dict[str, float]]:
    """Return a step's operations, and the seconds by part that they take at the measured rates.

    Sampling runs products of ``rows`` tokens, the passes products of all tokens; attention and head count
    at the rate of the projections beside them.
    """
    torch.set_num_threads(threads)
    work = step_work(sizes, shapes)
    whole = rate(sizes, shapes.rows * (shapes.prompt + shapes.completion))
    single = rate(sizes, shapes.rows)
    return work, {
        "rollout": work.rollout / single,
        "student": work.student / whole,
        "teacher": work.teacher / whole,
        "update": work.update / whole,
    }
