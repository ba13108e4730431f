"""Theorem 1 at each checkpoint of a run: loads models, samples completions, scores them under every reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.artifacts import RunDir
from rlsd_cli.config import ModelConfig, RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.sampling import Samples, encode, sample
from rlsd_cli.tasks.arithmetic import CITATION
from rlsd_cli.tasks.base import Example, Task
from rlsd_cli.theory.estimate import FloorEstimate, TokenTerms, join, summarise, token_terms
from rlsd_cli.theory.references import Prior, References, belief_references, kind_references

CHUNK_ELEMENTS = 2**24  # of (rows, T, R, V) in float64: 128 MB
QUESTION_STREAM = -1  # the probe's stream: run seeds start at 0, so no run trains on it


@dataclass(frozen=True)
class FloorOptions:
    """How the floor is estimated.

    Attributes:
        questions: Held-out questions Q, from the training distribution.
        samples: The student's completions per question.
        prior: Which P(r|x); see `rlsd_cli.theory.references`.
        seed: Of the sampling; the same at every checkpoint.
    """

    questions: int = 100
    samples: int = 4
    prior: Prior = "kinds"
    seed: int = 0


@dataclass(frozen=True)
class CheckpointFloor:
    """The estimate at one checkpoint; step 0 is the model before training."""

    step: int
    estimate: FloorEstimate


@dataclass(frozen=True)
class Pair:
    """A student and the model that runs its teacher's pass (the same object for an online teacher)."""

    step: int
    student: Any
    teacher: Any


def run_pairs(run_dir: RunDir, config: RunConfig) -> Iterator[Pair]:
    """Yield student and teacher before training and at each whole checkpoint, oldest first.

    The teacher is the run's own: the checkpoint itself, the initial model, or the copy saved in the
    checkpoint. Arms without a teacher (SFT, GRPO) are measured against themselves, open-book.

    Raises:
        UserError: The run has no whole checkpoint, or its teacher is an external model.
    """
    from rlsd_cli.arms import load_arm
    from rlsd_cli.models import load_model
    from rlsd_cli.training.checkpoints import TEACHER_FILE, checkpoints, is_complete

    if config.teacher.model is not None:
        raise UserError(
            "the teacher of this run is an external model without a reference, so Theorem 1 does not apply: "
            "give a run of OPSD, SDPO, GRPO or RLSD."
        )
    found = [(step, path) for step, path in checkpoints(run_dir.checkpoints_dir) if is_complete(path)]
    if not found:
        raise UserError(f"{run_dir.path} has no whole checkpoint yet: let the training reach train.save_every steps.")

    def load(path: str) -> Any:
        return load_model(ModelConfig(path=path)).eval()

    initial = load(config.model.path)
    yield Pair(0, initial, initial)
    source = config.teacher.source if load_arm(config.method).needs_teacher else "online"
    for step, path in found:
        student = load(str(path))
        if source == "online":
            yield Pair(step, student, student)
        elif source == "frozen":
            yield Pair(step, student, initial)
        else:
            teacher = load(str(path))
            teacher.load_state_dict(teacher_weights(path / TEACHER_FILE))
            yield Pair(step, student, teacher)


def teacher_weights(path: Path) -> dict[str, Tensor]:
    """Read the teacher's copy of a checkpoint.

    Raises:
        UserError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"the teacher's weights {path} cannot be read: {error}.") from None


def estimate_run(
    path: Path, options: FloorOptions, on_step: Callable[[int], None] = lambda step: None
) -> list[CheckpointFloor]:
    """Estimate loss and floor at every checkpoint of a run.

    Args:
        path: A run directory.
        options: Questions, samples, seed.
        on_step: Called with each step before its models are scored.

    Raises:
        UserError: The directory is no run, has no checkpoint, or its task lacks a kind of reference.
    """
    from rlsd_cli.models import load_tokenizer
    from rlsd_cli.tasks.load import load_task

    run_dir = RunDir.open(path)
    config = RunConfig.model_validate(run_dir.config())
    task = load_task(config.task)
    examples = [task.train_example(QUESTION_STREAM, index) for index in range(options.questions)]
    tokenizer = load_tokenizer(config.model.path)
    scorer = Scorer(config, options, task, tokenizer, examples)
    results = []
    for pair in run_pairs(run_dir, config):
        on_step(pair.step)
        results.append(CheckpointFloor(pair.step, scorer.estimate(pair)))
    return results


@dataclass(frozen=True)
class Scorer:
    """What the estimates of a run's checkpoints have in common."""

    config: RunConfig
    options: FloorOptions
    task: Task
    tokenizer: Any
    examples: list[Example]

    @torch.no_grad()
    def estimate(self, pair: Pair) -> FloorEstimate:
        """Sample the student's completions and score them under every reference, in float64."""
        count, temperature = self.options.samples, self.config.train.temperature
        budget = self.config.train.max_completion_tokens or self.task.max_completion_tokens
        torch.manual_seed(self.options.seed)
        references = self.references(pair.student, budget, temperature)
        repeated = [example.prompt for example in self.examples for _ in range(count)]
        samples = sample(pair.student, self.tokenizer, repeated, max_new_tokens=budget, temperature=temperature)
        student, teacher = pair.student.double(), pair.teacher.double()
        prompts = [self.teacher_prompts(references, place) for place in range(references.weights.size(1))]
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

    def references(self, student: Any, budget: int, temperature: float) -> References:
        """Return P(r|x) of the questions under the chosen prior."""
        if self.options.prior == "kinds":
            return kind_references(self.examples, self.config.task.name)
        return belief_references(
            student, self.tokenizer, self.task, self.examples, max_new_tokens=budget, temperature=temperature
        )

    def teacher_prompts(self, references: References, place: int) -> tuple[Tensor, Tensor]:
        """Return the open-book prompts (B, P') with each question's reference at ``place``, and their mask."""
        prompts = [
            self.task.teacher_prompt(example.prompt, texts[place])
            for example, texts in zip(self.examples, references.texts, strict=True)
            for _ in range(self.options.samples)
        ]
        return encode(self.tokenizer, prompts)


def next_token_logits(model: Any, prompt_ids: Tensor, prompt_mask: Tensor, samples: Samples, rows: slice) -> Tensor:
    """Return the logits after each (prompt, y_<t), (rows, T, V), in the model's own precision."""
    completion, mask = samples.completion_ids[rows], samples.completion_mask[rows]
    return (
        model(
            input_ids=torch.cat([prompt_ids[rows].to(model.device), completion], dim=1),
            attention_mask=torch.cat([prompt_mask[rows].to(model.device), mask], dim=1),
            logits_to_keep=completion.size(1) + 1,
        )
        .logits[:, :-1]
        .cpu()
    )


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Return log-probs of the softmax at the sampling temperature, in float64."""
    return torch.log_softmax(logits.double() / temperature, dim=-1)
