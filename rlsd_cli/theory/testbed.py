"""The theory on a trained model: Theorem 1's floor, and RLSD's direction, at each checkpoint of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.config.run import RunConfig
from rlsd_cli.generation.sample import Samples, encode, sample
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.statistics import Interval
from rlsd_cli.tasks.arithmetic import CITATION
from rlsd_cli.tasks.base import Example, Task
from rlsd_cli.theory.alignment import Rollouts, batch_cosines, over_batches
from rlsd_cli.theory.credit_checks import EPSILON_W, MIXES
from rlsd_cli.theory.estimate import FloorEstimate, TokenTerms, join, summarise, token_terms
from rlsd_cli.theory.pairs import Pair, run_pairs, whole_checkpoints
from rlsd_cli.theory.references import Prior, References, belief_references, kind_references

CHUNK_ELEMENTS = 2**24  # of (rows, T, R, V) in float64: 128 MB
QUESTION_STREAM = -1  # the probe's stream: run seeds start at 0, so no run trains on it


@dataclass(frozen=True)
class FloorOptions:
    """How the estimates are made.

    Attributes:
        questions: Held-out questions Q, from the training distribution.
        samples: The student's completions per question.
        prior: Which P(r|x); see `rlsd_cli.theory.references`.
        batches: Batches of the run's size on which RLSD's gradient is compared with GRPO's.
        seed: Of the sampling; the same at every checkpoint.
    """

    questions: int = 100
    samples: int = 4
    prior: Prior = "kinds"
    batches: int = 4
    seed: int = 0


@dataclass(frozen=True)
class CheckpointFloor:
    """The estimates at one checkpoint; step 0 is the model before training.

    Attributes:
        step: Training steps done.
        estimate: Loss and floor.
        cosines: λ → cos(RLSD, GRPO) over batches; empty where no batch had an advantage.
    """

    step: int
    estimate: FloorEstimate
    cosines: dict[float, Interval]


def estimate_run(
    path: Path, options: FloorOptions, on_step: Callable[[int], None] = lambda step: None
) -> list[CheckpointFloor]:
    """Estimate loss, floor and direction at every checkpoint of a run.

    Args:
        path: A run directory.
        options: Questions, samples, prior, batches, seed.
        on_step: Called with each step before its models are scored.

    Raises:
        UserError: The directory is no run, has no checkpoint, or its task lacks a kind of reference.
    """
    from rlsd_cli.models.load import load_tokenizer
    from rlsd_cli.tasks.load import task_of

    run_dir = RunDir.open(path)
    config = RunConfig.model_validate(run_dir.config())
    found = whole_checkpoints(run_dir)
    scorer = Scorer(config, options, task_of(config), load_tokenizer(str(found[0][1])))
    results = []
    for pair in run_pairs(config, found):
        on_step(pair.step)
        estimate = scorer.floor(pair)
        results.append(CheckpointFloor(pair.step, estimate, scorer.direction(pair)))
    return results


@dataclass(frozen=True)
class Scorer:
    """What the estimates of a run's checkpoints have in common."""

    config: RunConfig
    options: FloorOptions
    task: Task
    tokenizer: Any

    def questions(self, start: int, count: int) -> list[Example]:
        """Return held-out questions from the training distribution."""
        return [self.task.train_example(QUESTION_STREAM, start + index) for index in range(count)]

    def sample(self, student: Any, examples: list[Example]) -> Samples:
        """Return the student's own completion of each example."""
        return sample(
            student,
            self.tokenizer,
            [example.prompt for example in examples],
            max_new_tokens=self.budget,
            temperature=self.config.train.temperature,
        )

    @property
    def budget(self) -> int:
        """Tokens of a completion at most."""
        return self.config.train.max_completion_tokens or self.task.max_completion_tokens

    def open_book(self, examples: list[Example], texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return the open-book prompts (B, P') of the examples with their references, and the mask."""
        pairs = zip(examples, texts, strict=True)
        return encode(self.tokenizer, [self.task.teacher_prompt(example.prompt, text) for example, text in pairs])

    @torch.no_grad()
    def floor(self, pair: Pair) -> FloorEstimate:
        """Sample the student's completions and score them under every reference, in float64."""
        count, temperature = self.options.samples, self.config.train.temperature
        torch.manual_seed(self.options.seed)
        examples = self.questions(0, self.options.questions)
        references = self.references(pair.student.float(), examples)
        repeated = [example for example in examples for _ in range(count)]
        samples = self.sample(pair.student, repeated)
        student, teacher = pair.student.double(), pair.teacher.double()
        prompts = [
            self.open_book(repeated, [texts[place] for texts in references.texts for _ in range(count)])
            for place in range(references.weights.size(1))
        ]
        weights = references.weights.repeat_interleave(count, dim=0).unsqueeze(1)
        marked = self.tokenizer(CITATION.split()[0], add_special_tokens=False)["input_ids"][0]
        width, vocabulary = samples.completion_ids.size(1), student.config.get_text_config().vocab_size
        rows = max(1, CHUNK_ELEMENTS // (width * vocabulary * len(prompts)))
        parts: list[TokenTerms] = []
        for start in range(0, len(repeated), rows):
            part = slice(start, start + rows)
            closed = next_token_logits(student, samples.prompt_ids, samples.prompt_mask, samples, part)
            opened = [next_token_logits(teacher, ids, mask, samples, part) for ids, mask in prompts]
            log_student, log_teacher = tempered(closed, temperature), tempered(torch.stack(opened, dim=2), temperature)
            parts.append(token_terms(weights[part], log_teacher, log_student, marked))
        return summarise(join(parts), samples.completion_mask.double().cpu(), count, references.names)

    def references(self, student: Any, examples: list[Example]) -> References:
        """Return P(r|x) of the questions under the chosen prior."""
        if self.options.prior == "kinds":
            return kind_references(examples, self.task)
        return belief_references(
            student,
            self.tokenizer,
            self.task,
            examples,
            max_new_tokens=self.budget,
            temperature=self.config.train.temperature,
        )

    def direction(self, pair: Pair) -> dict[float, Interval]:
        """Return λ → cos(RLSD, GRPO) over batches of the run's size, under the run's own kind of reference."""
        train, kind = self.config.train, self.config.teacher.reference
        torch.manual_seed(self.options.seed)
        parameters = [parameter for parameter in pair.student.parameters() if parameter.requires_grad]
        cosines: list[list[float]] = []
        for batch in range(self.options.batches):
            questions = self.questions(self.options.questions + batch * train.prompts_per_step, train.prompts_per_step)
            examples = [example for example in questions for _ in range(train.group_size)]
            samples = self.sample(pair.student, examples)
            verdicts = [self.task.verify(t, e.answer).correct for t, e in zip(samples.texts, examples, strict=True)]
            prompts = self.open_book(examples, [example.reference(kind) for example in examples])
            with torch.no_grad():
                teacher = self.sampled_logps(pair.teacher, *prompts, samples)
            student = self.sampled_logps(pair.student, samples.prompt_ids, samples.prompt_mask, samples)
            rewards = torch.tensor(verdicts, dtype=torch.float64)
            rollouts = Rollouts(student, teacher, samples.completion_mask.double().cpu(), rewards, train.group_size)
            cosines.append(batch_cosines(parameters, rollouts, MIXES, EPSILON_W))
        found = {mix: over_batches([row[index] for row in cosines]) for index, mix in enumerate(MIXES)}
        return {mix: interval for mix, interval in found.items() if interval.n}

    def sampled_logps(self, model: Any, ids: Tensor, mask: Tensor, samples: Samples) -> Tensor:
        """Return log-probs of the sampled tokens after the given prompts, (B, T)."""
        logits = next_token_logits(model, ids, mask, samples, slice(None))
        chosen = samples.completion_ids.cpu().unsqueeze(2)
        return tempered(logits, self.config.train.temperature).gather(2, chosen).squeeze(2)


def next_token_logits(model: Any, prompt_ids: Tensor, prompt_mask: Tensor, samples: Samples, rows: slice) -> Tensor:
    """Return the logits after each (prompt, y_<t), (rows, T, V), in the model's own precision."""
    completion, mask = samples.completion_ids[rows], samples.completion_mask[rows]
    output = model(
        input_ids=torch.cat([prompt_ids[rows].to(model.device), completion], dim=1),
        attention_mask=torch.cat([prompt_mask[rows].to(model.device), mask], dim=1),
        logits_to_keep=completion.size(1) + 1,
    )
    return output.logits[:, :-1].cpu()


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Return log-probs of the softmax at the sampling temperature, in float64."""
    return torch.log_softmax(logits.double() / temperature, dim=-1)
