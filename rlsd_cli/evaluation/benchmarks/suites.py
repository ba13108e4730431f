"""The benchmarks by name: loading, judging, scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.base import NO_ANSWER, Benchmark, Question, fault_of
from rlsd_cli.evaluation.benchmarks.mathvision import MATHVISION
from rlsd_cli.evaluation.benchmarks.mathvista import MATHVISTA
from rlsd_cli.evaluation.benchmarks.mmmu import MMMU
from rlsd_cli.evaluation.benchmarks.outside import find_outside, installed
from rlsd_cli.evaluation.benchmarks.text import own_benchmark, text_benchmarks
from rlsd_cli.evaluation.benchmarks.wemath import WEMATH
from rlsd_cli.evaluation.benchmarks.zerobench import ZEROBENCH
from rlsd_cli.records.missing import is_nan
from rlsd_cli.tasks.base import Example
from rlsd_cli.tasks.images import load_images
from rlsd_cli.tasks.messages import append_text, images_of, user_message
from rlsd_cli.tasks.source import has_configurations, load_rows
from rlsd_cli.verifiers.verdict import Verdict

BENCHMARKS = {each.name: each for each in (MMMU, MATHVISTA, MATHVISION, ZEROBENCH, WEMATH)}


def find(name: str) -> Benchmark:
    """Return a benchmark by its name, or one of the user's: the path of a YAML file, or ``package.module:NAME``.

    Raises:
        UserError: There is none of that name, or the file describes none.
    """
    if name.endswith((".yaml", ".yml")):
        return own_benchmark(name)
    known = BENCHMARKS | text_benchmarks()
    if name in known:
        return known[name]
    if own := find_outside(name):
        return own
    names = [*known, *installed()]
    raise UserError(f"there is no benchmark '{name}'{nearest(name, names) or '.'} Known: {', '.join(names)}.")


def load_suite(
    name: str,
    source: str | None = None,
    limit: int | None = None,
    split: str | None = None,
    instruction: str | None = None,
    max_pixels: int | None = None,
) -> list[Example]:
    """Return a benchmark's questions as chat prompts with images.

    Args:
        name: One of docs/benchmarks.md, or the path of a YAML file.
        source: A local copy (a parquet or JSON file, or a directory in the hub's layout), or another hub id;
            the benchmark's own hub data set if None.
        limit: Only the first questions, in the benchmark's order.
        split: Another split; that with public answers if None.
        instruction: The end of the prompt; the benchmark's own if None.
        max_pixels: Larger images are scaled down to it.

    Returns:
        The questions. One that no completion could be right for has the reason in ``meta["unanswerable"]``.

    Raises:
        UserError: The benchmark, a column or an image is missing, or the split has no public answers.
    """
    benchmark = find(name)
    source = source or benchmark.hub
    path = Path(source).expanduser()
    one_table = path.is_file() or (path.is_dir() and not has_configurations(path))
    subset = None if one_table else benchmark.subset
    rows = load_rows(source, split or benchmark.split, subset, every_subset=benchmark.every_subset)
    for column in benchmark.columns:
        if column not in rows.column_names:
            raise UserError(
                f"{source} is no copy of {name}: it has no column '{column}' "
                f"but {', '.join(rows.column_names)}; give the layout of {benchmark.hub}."
            )
    folder = path if path.is_dir() else path.parent
    ending = benchmark.instruction if instruction is None else instruction
    examples = []
    for index in benchmark.order(rows)[:limit]:
        where = f"row {index} of {source}"
        question = read_row(benchmark, rows[index], where)
        fault = fault_of(question)
        images = load_images(list(question.images), folder, where, max_pixels=max_pixels)
        messages = [user_message(question.text, images)]
        examples.append(
            Example(
                id=question.id or str(index),
                prompt=append_text(messages, ending) if ending else messages,
                answer=question.answer,
                images=images_of(messages),
                meta={**question.meta, "benchmark": name, "row": index} | ({"unanswerable": fault} if fault else {}),
            )
        )
    if all(example.answer.strip() in NO_ANSWER for example in examples):
        raise UserError(f"{source} has no public answers in this split: use the split '{benchmark.split}'.")
    return examples


def read_row(benchmark: Benchmark, row: Mapping[str, Any], where: str) -> Question:
    """Return a row as a question; NaN, as which pandas writes a missing value, is none.

    Args:
        benchmark: Whose row it is.
        row: The row.
        where: Names it in an error.

    Raises:
        UserError: A value is not of the kind that the benchmark's rows have.
    """
    try:
        question = benchmark.read({name: None if is_nan(value) else value for name, value in row.items()})
    except (TypeError, ValueError, LookupError, AttributeError, SyntaxError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        raise UserError(
            f"{where} has a value that no question of {benchmark.name} has ({reason}): fix or drop that row."
        ) from None
    if not isinstance(question.text, str):
        raise UserError(f"{where} has a question that is no text: fix or drop that row.")
    return question


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion of a question that `load_suite` made, by its benchmark's rules."""
    return find(example.meta["benchmark"]).judge(completion, example)


def metrics(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return a benchmark's own numbers, in [0, 1] (``problems`` of We-Math is a count).

    Args:
        examples: Questions of one benchmark, as `load_suite` made them.
        correct: One verdict per question. For avg@k, call it once per sample and average.
    """
    return find(examples[0].meta["benchmark"]).metrics(examples, correct)


def score(examples: Sequence[Example], completions: Sequence[str]) -> tuple[list[Verdict], dict[str, float]]:
    """Return the verdicts of one completion per question, and the benchmark's numbers."""
    verdicts = [judge(text, example) for text, example in zip(completions, examples, strict=True)]
    return verdicts, metrics(examples, [verdict.correct for verdict in verdicts])
