"""A run's model with the reference in its prompt: the positive control of the leakage audit."""

from __future__ import annotations

from pathlib import Path

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs import Completion
from rlsd_cli.leakage.template import teacher_nouns

STREAM = 9_000_001  # of training questions: neither a run's nor the probes'


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
    from rlsd_cli.tasks.load import task_of
    from rlsd_cli.tasks.messages import as_text
    from rlsd_cli.tasks.templates import fields_in_row
    from rlsd_cli.tasks.templates import open_book as open_book_prompt

    run = RunDir.open(run_dir)
    config = RunConfig.model_validate(run.config())
    task = task_of(config)
    _, directory = find_model(run, None)
    model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
    processing = load_tokenizer(directory)
    examples = [task.train_example(STREAM, index) for index in range(count)]
    kind = config.teacher.reference
    shown = [(example, example.reference(kind) or example.answer) for example in examples]
    prompts = [
        open_book_prompt(task, example.prompt, reference, fields_in_row(task, example))
        for example, reference in shown
        if reference
    ]
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
