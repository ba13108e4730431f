"""How much of OPSD's loss no student can remove: I(Y_t; R | X, Y_<t) with solutions as references (Theorem 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.gates.behaviour import HELD_OUT
from rlsd_cli.generation.sample import sample
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.theory.information import distillation_loss, mutual_information

ROWS_PER_PASS = 16


@dataclass(frozen=True)
class Floor:
    """Means over completions, nats per token: OPSD's loss, and the part of it that is mutual information."""

    loss: float
    information: float

    @property
    def share(self) -> float:
        """The floor as a share of the loss."""
        return self.information / self.loss


@torch.no_grad()
def measure_floor(
    model: Any, tokenizer: Any, task: ArithmeticTask, *, questions: int, references: int = 32, seed: int = 0
) -> Floor:
    """Score the student's completions under several right solutions, equally probable, each in words of its own.

    Args:
        model: Student and teacher.
        tokenizer: Its tokenizer.
        task: Asks, and writes the references.
        questions: Held-out questions, one completion each.
        references: R, solutions per question; the information is at most log R.
        seed: Of the sampling.
    """
    torch.manual_seed(seed)
    examples = [task.train_example(HELD_OUT, index) for index in range(questions)]
    samples = sample(model, tokenizer, [each.prompt for each in examples], max_new_tokens=task.max_completion_tokens)
    ids, mask = samples.completion_ids, samples.completion_mask

    def log_probs(prompts: list[str], rows: slice) -> Tensor:
        batch = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left").to(model.device)
        output = model(
            input_ids=torch.cat([batch["input_ids"], ids[rows]], dim=1),
            attention_mask=torch.cat([batch["attention_mask"], mask[rows]], dim=1),
            logits_to_keep=ids.size(1) + 1,
        )
        return torch.log_softmax(output.logits[:, :-1].double(), dim=-1)

    texts = [task.references(example, "solution", references) for example in examples]
    weights = torch.full((references,), 1 / references, dtype=torch.float64, device=model.device)
    losses: list[Tensor] = []
    floors: list[Tensor] = []
    for start in range(0, questions, ROWS_PER_PASS):
        rows = slice(start, start + ROWS_PER_PASS)
        part = list(zip(examples[rows], texts[rows], strict=True))
        closed = log_probs([each.prompt for each, _ in part], rows)
        opened = torch.stack(
            [
                log_probs([task.teacher_prompt(each.prompt, own[place]) for each, own in part], rows)
                for place in range(references)
            ],
            dim=2,
        )
        for found, values in (
            (losses, distillation_loss(weights, opened, closed)),
            (floors, mutual_information(weights, opened)),
        ):
            found.append((values * mask[rows]).sum(1) / mask[rows].sum(1))
    return Floor(torch.cat(losses).mean().item(), torch.cat(floors).mean().item())
