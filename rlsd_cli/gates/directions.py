"""How much credit can gain: the directions of GRPO's update, of one on the deciding tokens, and of the true one.

Where the cosine on one batch is near 1, credit for tokens moves the weights as GRPO does anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.gates.behaviour import HELD_OUT
from rlsd_cli.generation.continuations import StepCredit, model_sampler, resampled_credit, step_end, steps_of
from rlsd_cli.generation.sample import Samples, sample
from rlsd_cli.objectives import group_advantage, sequence_mean
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Example


@dataclass(frozen=True)
class Directions:
    """Cosines with GRPO's gradient on one batch, means over batches.

    Attributes:
        deciding: Of GRPO's advantage on the deciding tokens alone.
        resampled: Of the true credit, by resampled continuations.
    """

    deciding: float
    resampled: float


def deciding_tokens(samples: Samples, examples: Sequence[Example], tokenizer: Any) -> Tensor:
    """Return (B, T), 1 on each result of a step up to the first wrong one: what follows can't repair the answer.

    A result is the token after `=`; it is right where it is the right derivation's.
    """
    equals = tokenizer.convert_tokens_to_ids("=")
    marks = torch.zeros_like(samples.completion_ids)
    for row, example in enumerate(examples):
        results = [part.split()[0] for part in example.solution.split("= ")[1:]]
        places = (samples.completion_ids[row] == equals).nonzero().flatten().tolist()
        for place, right in zip(places, results, strict=False):
            if place + 1 >= marks.size(1):
                break
            marks[row, place + 1] = 1
            if tokenizer.convert_ids_to_tokens(int(samples.completion_ids[row, place + 1])) != right:
                break
    return marks * samples.completion_mask


def directions(
    model: Any,
    tokenizer: Any,
    task: ArithmeticTask,
    *,
    batches: int,
    prompts: int,
    group_size: int,
    continuations: int,
    seed: int = 0,
) -> Directions:
    """Compare gradients at the model on batches of ``prompts`` groups of held-out questions.

    With no continuations the true credit is left out (NaN).
    """
    torch.manual_seed(seed)
    found = []
    for batch in range(batches):
        questions = [task.train_example(HELD_OUT, batch * prompts + index) for index in range(prompts)]
        examples = [example for example in questions for _ in range(group_size)]
        found.append(one_batch(model, tokenizer, task, examples, group_size, continuations))
    deciding, resampled = torch.tensor(found).mean(dim=0).tolist()
    return Directions(deciding, resampled)


def one_batch(
    model: Any, tokenizer: Any, task: ArithmeticTask, examples: list[Example], group_size: int, continuations: int
) -> tuple[float, float]:
    """Return the two cosines on one batch; ``examples`` has each question ``group_size`` times, side by side."""
    budget = task.max_completion_tokens
    samples = sample(model, tokenizer, [example.prompt for example in examples], max_new_tokens=budget)

    def judge(rows: Sequence[int], texts: Sequence[str]) -> list[float]:
        pairs = zip(rows, texts, strict=True)
        return [float(task.verify(text, examples[row].answer).correct) for row, text in pairs]

    rewards = torch.tensor(judge(range(len(examples)), samples.texts))
    advantage = group_advantage(rewards, group_size).unsqueeze(1).to(model.device)
    true = continuations and true_credit(model, tokenizer, task, samples, examples, rewards.tolist(), continuations)
    logps = sampled_logps(model, samples)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradient(credit: Tensor) -> Tensor:
        surrogate = sequence_mean(credit * logps, samples.completion_mask)
        return torch.cat([part.flatten() for part in torch.autograd.grad(surrogate, parameters, retain_graph=True)])

    plain = gradient(advantage.expand_as(logps))

    def cosine(credit: Tensor) -> float:
        return torch.cosine_similarity(gradient(credit), plain, dim=0).item()

    deciding = cosine(advantage * deciding_tokens(samples, examples, tokenizer))
    return deciding, cosine(true.advantages.to(model.device)) if true else math.nan


def true_credit(
    model: Any,
    tokenizer: Any,
    task: ArithmeticTask,
    samples: Samples,
    examples: Sequence[Example],
    rewards: Sequence[float],
    continuations: int,
) -> StepCredit:
    """Return the true credit of samples of examples, by continuations resampled from each step."""
    ids, mask, budget = samples.completion_ids, samples.completion_mask, task.max_completion_tokens

    def judge(rows: Sequence[int], completions: Sequence[list[int]]) -> list[float]:
        texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
        pairs = zip(rows, texts, strict=True)
        return [float(task.verify(text, examples[row].answer).correct) for row, text in pairs]

    return resampled_credit(
        ids,
        mask,
        steps_of(ids, mask, step_end(tokenizer, task.step_separator, ids)),
        rewards,
        [example.id for example in examples],
        go_on=model_sampler(model, tokenizer, [example.prompt for example in examples], max_new_tokens=budget),
        judge=judge,
        continuations=continuations,
    )


def sampled_logps(model: Any, samples: Samples) -> Tensor:
    """Return the log-probs of the sampled tokens, (B, T), with gradient."""
    width = samples.completion_ids.size(1)
    logits = model(
        input_ids=torch.cat([samples.prompt_ids, samples.completion_ids], dim=1),
        attention_mask=torch.cat([samples.prompt_mask, samples.completion_mask], dim=1),
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    return torch.log_softmax(logits.float(), dim=-1).gather(2, samples.completion_ids.unsqueeze(2)).squeeze(2)
