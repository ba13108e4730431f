"""Scoring closed-book what a teacher alone was shown: log-probabilities of candidates after the student's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlsd_cli.leakage.decoys import Decoys, hashed, wrong_reference
from rlsd_cli.leakage.exposure import Scores
from rlsd_cli.tasks.base import Example, ReferenceKind, Task

ROWS = 64  # sequences in one forward pass over text
SAMPLED = 64  # completions that are sampled at once


def spoken(task: Task, example: Example, kind: ReferenceKind, decoy: str) -> str:
    """Return how a student that took over a decoy would say it: the wrong derivation, or the bare wrong answer.

    Args:
        task: The run's.
        example: The question.
        kind: The kind of reference that the teacher saw.
        decoy: The wrong answer.
    """
    text = wrong_reference(example, kind, decoy)
    if kind != "answer" and text:
        return text
    return f"answer {decoy}" if task.name == "arithmetic" else f"The answer is {decoy}."


def log_probabilities(model: Any, processing: Any, prompt: Any, texts: Sequence[str]) -> list[float]:
    """Return the log-probability in nats of each text right after a prompt.

    Args:
        model: A bare transformers model; put into evaluation mode.
        processing: Its tokenizer or, of a vision-language model, its processor.
        prompt: A text or a chat, for a vision-language model with images in it.
        texts: What follows.
    """
    import torch

    from rlsd_cli.generation.sample import encode_prompts
    from rlsd_cli.models.processors import text_tokenizer

    model.eval()
    tokenizer = text_tokenizer(processing)
    ids, mask, vision = encode_prompts(processing, [prompt]).to(model.device)
    follow = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    length = ids.size(1)
    found: list[float] = []
    rows = 1 if vision else ROWS
    for start in range(0, len(follow), rows):
        part = follow[start : start + rows]
        width = max(map(len, part))
        tail = torch.full((len(part), width), tokenizer.pad_token_id, device=model.device)
        tail_mask = torch.zeros_like(tail)
        for row, tokens in enumerate(part):
            tail[row, : len(tokens)] = torch.tensor(tokens, device=model.device)
            tail_mask[row, : len(tokens)] = 1
        with torch.no_grad():
            logits = model(
                input_ids=torch.cat([ids.expand(len(part), -1), tail], dim=1),
                attention_mask=torch.cat([mask.expand(len(part), -1), tail_mask], dim=1),
                **(vision.inputs(width) if vision else {}),
            ).logits[:, length - 1 : length - 1 + width]
        # In double precision: wrong derivations that share all but a digit differ in the last digits of a float.
        logps = torch.log_softmax(logits.double(), dim=-1).gather(2, tail.unsqueeze(2)).squeeze(2)
        found += (logps * tail_mask).sum(dim=1).tolist()
    return found


def score_prompt(
    model: Any, processing: Any, task: Task, example: Example, kind: ReferenceKind, decoys: Decoys
) -> Scores:
    """Score one question closed-book.

    Args:
        model: The student.
        processing: Its tokenizer or processor.
        task: The run's.
        example: The question.
        kind: The kind of text that holds the decoy.
        decoys: Its decoys.
    """
    texts = [spoken(task, example, kind, decoy) for decoy in (decoys.seen, *decoys.unseen)]
    seen, *unseen = log_probabilities(model, processing, example.prompt, texts)
    return Scores(example.id, seen, tuple(unseen))


def follow_shares(
    model: Any, processing: Any, task: Task, chosen: Sequence[tuple[Example, Decoys]], samples: int, budget: int
) -> list[tuple[float, ...]]:
    """Return for each question the share of its samples whose answer is the decoy, then that of each unseen one.

    Args:
        model: The student.
        processing: Its tokenizer or processor.
        task: The run's.
        chosen: The questions with their decoys.
        samples: Completions per question.
        budget: Tokens of a completion.
    """
    import torch

    from rlsd_cli.generation.sample import sample

    torch.manual_seed(hashed("follow", *(example.id for example, _ in chosen)) % 2**63)  # equal audits, equal numbers
    found = []
    together = max(1, SAMPLED // samples)
    for start in range(0, len(chosen), together):
        part = chosen[start : start + together]
        prompts = [example.prompt for example, _ in part for _ in range(samples)]
        said = sample(model, processing, prompts, max_new_tokens=budget).texts
        for place, (example, decoys) in enumerate(part):
            own = said[place * samples : (place + 1) * samples]
            answers = [task.verify(text, example.answer, example.id).extracted for text in own]
            found.append(tuple(answers.count(candidate) / samples for candidate in (decoys.seen, *decoys.unseen)))
    return found
