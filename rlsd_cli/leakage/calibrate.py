"""Calibration on the user's own text: a floor by a control, a ceiling by the same model open-book."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.contrast import contrast
from rlsd_cli.leakage.detect import examine
from rlsd_cli.leakage.inputs import Completion, Source
from rlsd_cli.leakage.rules import RuleSet
from rlsd_cli.leakage.template import teacher_nouns

CLOSED = 500  # closed-book completions that open-book ones are compared with, at most
STREAM = 9_000_001  # of training questions: neither a run's nor the probes'


def control(source: Source, options: Options) -> dict[str, Any]:
    """Return the floor: the rate of the same rules on text that cannot leak (a base model, a GRPO run)."""
    with TemporaryDirectory() as directory:
        report = audit(source, Path(directory), Options(shown=0, rules=options.rules, include=options.include))
    return {"name": source.name, **{key: report[key] for key in ("n", "hits", "rate", "interval")}}


def open_book(run_dir: Path, count: int) -> tuple[list[Completion], list[str]]:
    """Sample a run's model with the reference in its prompt.

    Returns:
        The completions, each with its closed-book prompt, so that the open one excuses nothing; and what the run's
        teacher prompt calls the reference.

    Raises:
        UserError: The run has no model yet, or its questions no references.
    """
    from rlsd_cli.config.run import ModelConfig, RunConfig
    from rlsd_cli.evaluation.run import find_model
    from rlsd_cli.generation.sample import sample
    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.runs.directory import RunDir
    from rlsd_cli.tasks.load import load_task
    from rlsd_cli.tasks.messages import as_text

    run = RunDir.open(run_dir)
    config = RunConfig.model_validate(run.config())
    task = load_task(config.task)
    _, directory = find_model(run, None)
    model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
    processing = load_tokenizer(directory)
    examples = [task.train_example(STREAM, index) for index in range(count)]
    kind = config.teacher.reference
    shown = [(example, example.reference(kind) or example.answer) for example in examples]
    prompts = [task.teacher_prompt(example.prompt, reference) for example, reference in shown if reference]
    if not prompts:
        raise UserError(f"the questions of {run_dir} have no references: --positive-control needs some.")
    batch = config.train.micro_batch or config.train.prompts_per_step
    budget = config.train.max_completion_tokens or task.max_completion_tokens
    texts = [
        text
        for start in range(0, len(prompts), batch)
        for text in sample(model, processing, prompts[start : start + batch], max_new_tokens=budget).texts
    ]
    asked = [as_text(example.prompt) for example, reference in shown if reference]
    made = [
        Completion(text, prompt, "", None, "open-book", number)
        for number, (text, prompt) in enumerate(zip(texts, asked, strict=True), 1)
    ]
    return made, teacher_nouns(task)


def positive_control(
    opened: Iterable[Completion], closed: Iterable[Completion], rules: RuleSet, nouns: list[str]
) -> dict[str, Any]:
    """Return the ceiling: of what a model says open-book, the share that the rules find, and phrases that none matches.

    Args:
        opened: Open-book completions; their prompts excuse what they excuse.
        closed: Completions of the audited text.
        rules: The rules.
        nouns: What the teacher's prompt calls the reference.
    """
    from rlsd_cli.statistics import wilson_interval

    seen = list(opened)
    if not seen:
        raise UserError("the positive control holds no completions.")
    hits, rest = 0, []
    for completion in seen:
        found = [finding for finding in examine(completion.text, completion.prompt, rules) if not finding.apart]
        hits += any(not finding.dismissed for finding in found)
        rest.append(without(completion.text, [(finding.hit.start, finding.hit.end) for finding in found]))
    interval = wilson_interval(hits, len(seen))
    phrases = contrast(rest, [completion.text for completion in closed], nouns)
    return {
        "n": len(seen),
        "hits": hits,
        "rate": interval.mean,
        "interval": [interval.low, interval.high],
        "nouns": nouns,
        "unmatched": [asdict(phrase) for phrase in phrases],
    }


def without(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text without some spans, each replaced by a sign that no phrase crosses."""
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]} | {text[end:]}"
    return text


def first_completions(source: Source, count: int = CLOSED) -> list[Completion]:
    """Return the first completions of a source."""
    found: list[Completion] = []
    for item in source.read():
        if isinstance(item, Completion):
            found.append(item)
            if len(found) == count:
                break
    return found
