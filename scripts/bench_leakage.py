"""Measure `rlsd leakage-audit`: completions per second on one core, and memory.

    OMP_NUM_THREADS=1 python scripts/bench_leakage.py --completions 100000 --words 500

Writes completions of solver-like prose and formulas (three in a hundred with a
mention) into a temporary directory as parquet or JSON lines, audits them in a process of
its own, and prints its wall time, CPU time and peak memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SENTENCES = (
    "Let me think about this step by step before I write down the final answer.",
    "We are given that $x + y = 10$ and $xy = 21$, so both numbers are roots of a quadratic.",
    "First, I factor the expression: $t^2 - 10t + 21 = (t-3)(t-7)$.",
    "The solution is therefore $t = 3$ or $t = 7$, and both values are positive.",
    "Wait, I should double-check the second condition, because the result must be an integer.",
    "For example, taking $n = 4$ gives $2^4 = 16$, which is larger than $15$.",
    r"By the quadratic formula, $x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$.",
    r"So the area of the triangle is $\frac{1}{2} \cdot 6 \cdot 8 = 24$ square units.",
    "Now consider the remaining cases one by one, starting with the smallest value.",
    "This means that the total cost is 45 dollars, and each person pays 15 dollars.",
    "Hmm, that doesn't look right, so let me compute the sum again: 12 + 15 + 18 = 45.",
    "The key idea is that the sum telescopes, and only the first and last terms remain.",
    "In this context, the model predicts a linear increase in the number of visitors.",
    "Therefore, by the pigeonhole principle, at least two of them share a birthday.",
    "The graph shows that the value rises from 20 in 2010 to 35 in 2015.",
    "For reference, the reference angle of 150 degrees is 30 degrees.",
)
MENTION = "This agrees with the reference solution, which says the same."
MENTION_RATE = 0.03
BATCH = 1000


def make(index: int, words: int) -> str:
    """Return completion ``index``: at least ``words`` words, about 5.3 characters each."""
    rng = random.Random(index)
    parts: list[str] = []
    length = 0
    while length < words:
        parts.append(rng.choice(SENTENCES))
        length += len(parts[-1].split())
    if rng.random() < MENTION_RATE:
        parts.insert(rng.randrange(len(parts)), MENTION)
    return " ".join(parts)


def batches(completions: int, words: int) -> Iterator[list[dict[str, object]]]:
    """Yield rows a batch at a time."""
    for start in range(0, completions, BATCH):
        yield [
            {"step": index // BATCH, "prompt": "Solve for x.", "completion": make(index, words), "answer": "42"}
            for index in range(start, min(completions, start + BATCH))
        ]


def write(path: Path, completions: int, words: int) -> None:
    """Write the completions as parquet or JSON lines, by the suffix of ``path``."""
    if path.suffix == ".jsonl":
        with open(path, "w", encoding="utf-8") as file:
            for batch in batches(completions, words):
                file.writelines(json.dumps(row) + "\n" for row in batch)
        return
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    for batch in batches(completions, words):
        table = pa.Table.from_pylist(batch)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def main() -> None:
    """Write, audit, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--completions", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"completions.{arguments.format}"
        write(path, arguments.completions, arguments.words)
        print(f"{arguments.completions:,} completions of {arguments.words} words: {path.stat().st_size / 1e6:.0f} MB")
        command = [sys.executable, "-m", "rlsd_cli", "leakage-audit", "--completions", str(path), "--json"]
        start = time.perf_counter()
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"rate {report['rate']:.4f} of {report['n']:,}")
    print(
        f"wall {wall:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s, {report['n'] / wall:,.0f} completions a second"
    )
    print(f"peak memory {used.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
