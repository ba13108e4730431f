"""What is kept of single hits: all of them in hits.parquet (streamed), a sample for the page, the most telling ones."""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any

from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.inputs import Completion

CONTEXT = 100  # characters of the completion shown on either side of a hit
ROW_GROUP = 2000  # hits in memory before they are written
NEAR_ANSWER = 60  # a gold answer this close behind a mention makes it more telling
PER_RULE = 3  # excerpts of one rule
LONGEST_KEPT = 50_000  # characters of a completion, and of a prompt, that a sample keeps


def record(completion: Completion, hit: Hit) -> dict[str, Any]:
    """Return the row of hits.parquet: where the hit stands, what it says, and what stands around it."""
    return {
        "source": completion.source,
        "row": completion.row,
        "sample": completion.sample,
        "step": completion.step,
        "rule": hit.rule,
        "start": hit.start,
        "end": hit.end,
        "text": hit.text,
        "before": completion.text[max(0, hit.start - CONTEXT) : hit.start],
        "after": completion.text[hit.end : hit.end + CONTEXT],
        "completion_length": len(completion.text),
    }


class HitsFile:
    """Writes hits.parquet a row group at a time; the file appears under its name when all is written."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        names = {"source", "rule", "text", "before", "after"}
        example = record(Completion("", "", "", None, "", 1), Hit("", 0, 0, ""))
        self._schema = pa.schema([(name, pa.string() if name in names else pa.int64()) for name in example])
        self._path, self._temporary = path, path.with_name(f".{path.name}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = parquet.ParquetWriter(self._temporary, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, completion: Completion, hits: list[Hit]) -> None:
        """Write the hits of a completion."""
        self._rows += [record(completion, hit) for hit in hits]
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def __enter__(self) -> HitsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        if kind is None:
            os.replace(self._temporary, self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def place(completion: Completion) -> int:
    """Return a number that depends on where a completion stands, and on nothing else: the order of sampling."""
    key = f"{completion.source}\0{completion.row}\0{completion.sample}"
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


def shrink(completion: Completion, hits: list[Hit]) -> tuple[Completion, list[Hit]]:
    """Return a completion cut to `LONGEST_KEPT` characters, from shortly before its first hit, with the hits in it."""
    if len(completion.text) <= LONGEST_KEPT and len(completion.prompt) <= LONGEST_KEPT:
        return completion, hits
    low = max(0, hits[0].start - LONGEST_KEPT // 10) if hits and len(completion.text) > LONGEST_KEPT else 0
    kept = replace(completion, text=completion.text[low : low + LONGEST_KEPT], prompt=completion.prompt[:LONGEST_KEPT])
    moved = [Hit(hit.rule, hit.start - low, hit.end - low, hit.text) for hit in hits if hit.end <= low + LONGEST_KEPT]
    return kept, moved


@dataclass
class Sample:
    """A uniform sample of at most ``size`` completions, the same in every run: those with the smallest `place`."""

    size: int
    seen: int = 0
    _heap: list[tuple[int, int, Completion, list[Hit]]] = field(default_factory=list)  # the largest place on top

    def add(self, completion: Completion, hits: list[Hit]) -> None:
        """Offer a completion."""
        self.seen += 1
        rank = (-place(completion), -self.seen)
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, (*rank, *shrink(completion, hits)))
        elif self.size and rank > self._heap[0][:2]:
            heapq.heapreplace(self._heap, (*rank, *shrink(completion, hits)))

    def items(self, limit: int | None = None) -> list[tuple[Completion, list[Hit]]]:
        """Return the sample, or a smaller one from it, in the order in which it was read."""
        chosen = sorted(self._heap, reverse=True)[:limit]
        return [(completion, hits) for _, _, completion, hits in sorted(chosen, key=lambda entry: -entry[1])]


@dataclass
class Excerpts:
    """The most telling hits: specific rules first, then those with the gold answer right behind; `PER_RULE` of each."""

    weights: dict[str, int]  # by rule
    _best: dict[str, list[tuple[int, int, dict[str, Any]]]] = field(default_factory=dict)
    _seen: int = 0

    def add(self, completion: Completion, hits: list[Hit]) -> None:
        """Offer the hits of a completion: the most telling of each rule. The first of equally telling ones stays."""
        offered: dict[str, tuple[int, Hit]] = {}
        for hit in hits:
            behind = completion.text[hit.end : hit.end + NEAR_ANSWER]
            telling = self.weights.get(hit.rule, 1) + 2 * bool(completion.answer and completion.answer in behind)
            if hit.rule not in offered or telling > offered[hit.rule][0]:
                offered[hit.rule] = telling, hit
        for rule, (telling, hit) in offered.items():
            self._seen += 1
            best = self._best.setdefault(rule, [])
            if len(best) < PER_RULE or telling > best[-1][0]:
                best.append((telling, self._seen, record(completion, hit)))
                best.sort(key=lambda entry: (-entry[0], entry[1]))
                del best[PER_RULE:]

    def items(self) -> list[dict[str, Any]]:
        """Return the excerpts, most telling first."""
        every = sorted((e for best in self._best.values() for e in best), key=lambda e: (-e[0], e[1]))
        return [excerpt for _, _, excerpt in every]
