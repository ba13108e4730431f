"""The probe: the same held-out prompts at fixed steps, sampled by the policy and scored open-book.

It is the same for every arm and touches neither the weights nor the random state of training,
so arms can be compared on it, and a run with another probing interval learns the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.divergences import kl_entries
from rlsd_cli.generation.sample import Encoded, Samples, encode_prompts, sample
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.models.images import Vision
from rlsd_cli.models.processors import text_tokenizer
from rlsd_cli.objectives import evidence_weight, group_advantage, rlsd_advantage
from rlsd_cli.runs.directory import write_parquet
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.tasks.templates import fields_in_row, open_book
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.head import chunk_rows, head_of, last_hidden_states
from rlsd_cli.verifiers.load import judge_all
from rlsd_cli.verifiers.reasoning import opening_before, template_opening

PROBE_STREAM = -1  # run seeds start at 0, so no run trains on this stream
PROBE_EPSILON_W = 0.2
ROWS_PER_PASS = 32


@dataclass(frozen=True)
class TokenScores:
    """What both passes say of each completion token; every tensor is (B, T), in nats, 0 on padding.

    ``student`` is the closed-book log-probability of the sampled token.
    """

    delta: Tensor
    entropy: Tensor
    kl_forward: Tensor
    kl_reverse: Tensor
    student: Tensor


@contextmanager
def separate_randomness(seed: int) -> Iterator[None]:
    """Run the block with its own random state and restore training's afterwards."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def score(
    model: Any,
    samples: Samples,
    teacher_ids: Tensor,
    teacher_mask: Tensor,
    teacher_vision: Vision | None = None,
    *,
    temperature: float,
) -> TokenScores:
    """Score completions closed-book and open-book with the same model.

    Args:
        model: A bare transformers model.
        samples: B completions of up to T tokens.
        teacher_ids: (B, P') open-book prompts, left-padded.
        teacher_mask: (B, P').
        teacher_vision: The images of the open-book prompts.
        temperature: Of both softmaxes.
    """
    student = Encoded(samples.prompt_ids, samples.prompt_mask, samples.vision)
    teacher = Encoded(teacher_ids, teacher_mask, teacher_vision)
    parts = [
        _score_rows(model, samples, student, teacher, temperature, slice(start, start + ROWS_PER_PASS))
        for start in range(0, len(samples.texts), ROWS_PER_PASS)
    ]
    return TokenScores(*(torch.cat([getattr(part, name) for part in parts]) for name in TokenScores.__annotations__))


def _score_rows(
    model: Any, samples: Samples, closed: Encoded, opened: Encoded, temperature: float, rows: slice
) -> TokenScores:
    ids, mask = samples.completion_ids[rows], samples.completion_mask[rows]
    width = ids.size(1)

    def hidden(prompts: Encoded) -> Tensor:
        with last_hidden_states(model) as captured:
            model(
                input_ids=torch.cat([prompts.ids[rows], ids], dim=1),
                attention_mask=torch.cat([prompts.mask[rows], mask], dim=1),
                logits_to_keep=1,
                **(prompts.vision.rows(rows).inputs(width) if prompts.vision else {}),
            )
        return captured[-1][:, -width - 1 : -1][mask.bool()]

    student, teacher = hidden(closed), hidden(opened)
    sampled = ids[mask.bool()].unsqueeze(1)
    chunk, head = chunk_rows(model), head_of(model)
    columns: list[Tensor] = []
    for start in range(0, sampled.size(0), chunk):
        part = slice(start, start + chunk)
        log_s = torch.log_softmax(head(student[part]) / temperature, dim=-1)
        log_t = torch.log_softmax(head(teacher[part]) / temperature, dim=-1)
        own = log_s.gather(1, sampled[part])
        gain = (log_t.gather(1, sampled[part]) - own).squeeze(1)
        entropy = -kl_entries(log_s, torch.zeros_like(log_s)).sum(dim=1)
        forward, reverse = kl_entries(log_t, log_s).sum(dim=1), kl_entries(log_s, log_t).sum(dim=1)
        columns.append(torch.stack([gain, entropy, forward, reverse, own.squeeze(1)]))
    values = torch.cat(columns, dim=1)
    grid = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    return TokenScores(*(grid.masked_scatter(mask.bool(), row) for row in values))


def others_references(references: list[str]) -> list[str]:
    """Return for each reference the next one that differs, going round; where all are equal, the reference itself."""
    count = len(references)
    later = ((references[(i + shift) % count] for shift in range(1, count)) for i in range(count))
    return [next((text for text in others if text != own), own) for own, others in zip(references, later, strict=True)]


def correlation(one: Tensor, other: Tensor) -> float:
    """Return Pearson's correlation of two (n,), NaN where one of them does not vary."""
    if one.numel() < 2 or one.std() == 0 or other.std() == 0:
        return float("nan")
    return torch.corrcoef(torch.stack([one, other]))[0, 1].item()


class Probe:
    """Samples and scores the probe prompts of a run."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        log = context.config.log
        examples = [context.task.train_example(PROBE_STREAM, index) for index in range(log.probe_prompts)]
        self.examples = [example for example in examples for _ in range(log.probe_group)]
        kind = context.config.teacher.reference
        # A question without a reference of the teacher's kind is opened with its answer, whatever the arm.
        self.references = [example.reference(kind) or example.answer for example in self.examples]
        self.teacher_prompts = self._opened(self.references)
        self.placebo_prompts = self._opened(others_references(self.references))

    def _opened(self, references: list[str]) -> list[Any]:
        """Return the open-book prompts of the examples with these references."""
        pairs = zip(self.examples, references, strict=True)
        task = self.context.task
        return [open_book(task, each.prompt, reference, fields_in_row(task, each)) for each, reference in pairs]

    def due(self, step: int) -> bool:
        """Tell whether the probe runs after ``step`` (0 is before training)."""
        return step % self.context.config.log.probe_every == 0 or step == self.context.config.train.steps

    def run(self, model: Any, step: int, write: bool = True) -> dict[str, float]:
        """Probe the model after ``step`` and return the probe/* metrics.

        Args:
            model: A bare transformers model.
            step: Optimisation steps done.
            write: Whether this process writes credit/step-NNNNNN.parquet.
        """
        config, task, tokenizer = self.context.config, self.context.task, self.context.tokenizer
        was_training = model.training
        model.eval()
        with separate_randomness(config.seed * 1_000_003 + step):
            samples = sample(
                model,
                tokenizer,
                [example.prompt for example in self.examples],
                max_new_tokens=config.train.max_completion_tokens or task.max_completion_tokens,
                temperature=config.train.temperature,
                variables=config.model.chat_template_kwargs,
            )
        own = config.teacher.chat_template_kwargs
        opened = config.model.chat_template_kwargs if own is None else own
        teacher = encode_prompts(tokenizer, self.teacher_prompts, opened).to(model.device)
        scores = score(model, samples, *teacher, temperature=config.train.temperature)
        placebo = encode_prompts(tokenizer, self.placebo_prompts, opened).to(model.device)
        control = score(model, samples, *placebo, temperature=config.train.temperature).delta
        model.train(was_training)
        opening = template_opening(tokenizer, config.model.chat_template_kwargs)
        said = [opening_before(e.prompt, opening) + t for t, e in zip(samples.texts, self.examples, strict=True)]
        verdicts = judge_all(task.verify, [(t, e.answer, e.id) for t, e in zip(said, self.examples, strict=True)])
        rewards = torch.tensor([float(verdict.correct) for verdict in verdicts])
        advantage = group_advantage(rewards, config.log.probe_group)
        if write:
            self._write(step, samples, scores, control, verdicts, rewards, advantage)
        mask, tokens = samples.completion_mask, samples.completion_mask.sum()
        mentions = [leaks(t, as_text(e.prompt)) for t, e in zip(samples.texts, self.examples, strict=True)]
        return {
            "probe/accuracy": rewards.mean().item(),
            "probe/leakage": sum(mentions) / len(mentions),
            "probe/length": mask.sum(dim=1).float().mean().item(),
            "probe/entropy": (scores.entropy.sum() / tokens).item(),
            "probe/kl_forward": (scores.kl_forward.sum() / tokens).item(),
            "probe/kl_reverse": (scores.kl_reverse.sum() / tokens).item(),
            "probe/delta_abs": (scores.delta.abs().sum() / tokens).item(),
            "probe/delta_abs_placebo": (control.abs().sum() / tokens).item(),
            "probe/delta_placebo_correlation": correlation(scores.delta[mask.bool()], control[mask.bool()]),
        }

    def _write(
        self,
        step: int,
        samples: Samples,
        scores: TokenScores,
        placebo: Tensor,
        verdicts: list[Any],
        rewards: Tensor,
        advantage: Tensor,
    ) -> None:
        """Write the token-level credit of the probe's completions."""
        import pandas as pd

        delta = scores.delta.cpu()
        weight = evidence_weight(advantage, delta, PROBE_EPSILON_W)
        token_advantage = rlsd_advantage(advantage, delta, 1.0, PROBE_EPSILON_W)
        lengths = samples.completion_mask.sum(dim=1).tolist()
        tokenizer = text_tokenizer(self.context.tokenizer)

        def rows(values: Tensor) -> list[list[float]]:
            return [row[:length].tolist() for row, length in zip(values.cpu().double(), lengths, strict=True)]

        frame = pd.DataFrame(
            {
                "step": step,
                "prompt_id": [example.id for example in self.examples],
                "sample_id": [i % self.context.config.log.probe_group for i in range(len(self.examples))],
                "prompt": [as_text(example.prompt) for example in self.examples],
                "completion": samples.texts,
                "reference": self.references,
                "answer": [example.answer for example in self.examples],
                "extracted": [verdict.extracted for verdict in verdicts],
                "reward": rewards.tolist(),
                "correct": [verdict.correct for verdict in verdicts],
                "why": [verdict.why for verdict in verdicts],
                "advantage": advantage.tolist(),
                "tokens": [
                    [tokenizer.decode([token]) for token in row[:length].tolist()]
                    for row, length in zip(samples.completion_ids, lengths, strict=True)
                ],
                "delta": rows(delta),
                "delta_placebo": rows(placebo),
                "weight": rows(weight),
                "token_advantage": rows(token_advantage),
                "entropy": rows(scores.entropy),
                "kl": rows(scores.kl_forward),
            }
        )
        write_parquet(self.context.run_dir.credit_dir / f"step-{step:06d}.parquet", frame)
