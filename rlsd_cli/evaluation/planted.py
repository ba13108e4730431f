"""Where RLSD puts the blame: in a derivation with one planted wrong step, and in wrong rollouts of the model's own.

Planted. A question of the arithmetic task has one right derivation. One of its steps gets a wrong result, the
error is carried on correctly, and the answer comes out wrong: the rollout's advantage is negative, and
exactly one step deserves the blame. Both passes of RLSD then score the tokens, and the step of the token
with the most negative Â is compared with the planted one.

Own. The model's wrong rollouts, where the task can tell their first wrong step (``first_error``).

Beside the teacher stand placebos: a wrong answer, another question's solution, and no teacher at all, the token that
the student itself thinks least of.

The clip makes many tokens share the lowest Â, A·(1+ε_w); the unclipped Δ orders those (it is what the
clip was applied to, so the order is the one that w_t has before it).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.blame import Blame, blame_file
from rlsd_cli.generation.continuations import step_end, steps_of
from rlsd_cli.generation.sample import Samples, encode, sample
from rlsd_cli.leakage.decoys import draw
from rlsd_cli.objectives import rlsd_advantage
from rlsd_cli.runs.directory import RunDir, write_json
from rlsd_cli.tasks.arithmetic import MODULUS, ArithmeticTask, Step, Wording, apply, write
from rlsd_cli.tasks.base import Example, ReferenceKind
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.training.probe import PROBE_EPSILON_W, others_references, score

PLANTED_STREAM = -2  # neither a run's training stream (from 0) nor the probe's (−1)
Source = Literal["answer", "solution", "other_route", "wrong_answer", "other_question", "surprisal"]
KINDS: tuple[ReferenceKind, ...] = ("answer", "solution", "other_route")
PLACEBOS: tuple[Source, ...] = ("wrong_answer", "other_question", "surprisal")
ADVANTAGE = -1.0  # any negative A gives the same order of the tokens
TRIES = 20  # questions asked per wrong rollout of the model's own that is looked for


@dataclass(frozen=True)
class Planted:
    """A derivation with a wrong step (the first one, counted from 0) and the wrong answer that it leads to."""

    example: Example
    step: int
    completion: str


def plant(example: Example, rng: random.Random, wording: Wording) -> Planted:
    """Put a wrong result into one step, drawn evenly, and carry it on to a wrong answer.

    An error that a later multiplication by 0 would undo is drawn again: a right answer earns no blame.
    """
    values, symbols = example.meta["values"], example.meta["symbols"]
    while True:
        wrong, result = rng.randrange(len(symbols)), values[0]
        steps: list[Step] = []
        for number, (symbol, value) in enumerate(zip(symbols, values[1:], strict=True)):
            outcome = apply(result, symbol, value)
            if number == wrong:
                outcome = rng.choice([other for other in range(MODULUS) if other != outcome])
            steps.append(Step(wording.draw(rng), result, symbol, value, outcome))
            result = outcome
        if str(result) != example.answer:
            return Planted(example, wrong, write(steps))


def heaviest(token_advantage: Tensor, delta: Tensor, mask: Tensor) -> Tensor:
    """Return the index of the token with the most negative Â in each row; ties go to the lowest Δ.

    Args:
        token_advantage: (B, T).
        delta: (B, T) privileged gain, nats.
        mask: (B, T), 1 on completion tokens.

    Returns:
        (B,) indices.
    """
    shown = token_advantage.masked_fill(mask == 0, torch.inf)
    tied = shown == shown.min(dim=1, keepdim=True).values
    return delta.masked_fill(~tied, torch.inf).argmin(dim=1)


def plant_errors(task: ArithmeticTask, n: int, seed: int = 0) -> list[Planted]:
    """Plant an error in each of ``n`` derivations; ``seed`` is of their places and values."""
    rng = random.Random(f"planted-{seed}")
    return [plant(task.train_example(PLANTED_STREAM, index), rng, task.wording) for index in range(n)]


def own_errors(model: Any, tokenizer: Any, task: Any, n: int, max_new_tokens: int, seed: int = 0) -> list[Planted]:
    """Sample until there are ``n`` wrong rollouts of the model's own, one per question, with a known first wrong step.

    Args:
        model: A bare transformers model.
        tokenizer: Its tokenizer.
        task: One with ``first_error(completion, example)``, the first wrong step or None (docs/adding-a-task.md).
        n: Rollouts; fewer where the model errs in less than one of 20.
        max_new_tokens: Budget of a rollout.
        seed: Of the sampling.
    """
    found: list[Planted] = []
    torch.manual_seed(seed)
    for start in range(0, TRIES * n, n):
        examples = [task.train_example(PLANTED_STREAM, index) for index in range(start, start + n)]
        rolled = sample(model, tokenizer, [each.prompt for each in examples], max_new_tokens=max_new_tokens)
        for text, example, cut in zip(rolled.texts, examples, rolled.truncated, strict=True):
            wrong = not cut and not task.verify(text, example.answer, example.id).correct
            step = task.first_error(text, example) if wrong else None
            if step is not None:
                found.append(Planted(example, step, text))
        if len(found) >= n:
            break
    return found[:n]


def shown_texts(task: Any, planted: list[Planted], source: Source) -> list[str]:
    """Return what the teacher sees of each question; of ``surprisal`` nothing is used.

    A wrong answer is neither the right one nor the one that the derivation ends in: it speaks for no step.
    """
    if source == "surprisal":
        return [each.example.answer for each in planted]
    if source == "other_question":
        texts = [each.example.solution for each in planted]
        return others_references(texts)
    if source != "wrong_answer":
        return [each.example.reference(source) for each in planted]
    pool = [each.example.answer for each in planted]
    found = []
    for each in planted:
        own = task.verify(each.completion, each.example.answer, each.example.id).extracted
        drawn = draw(0, each.example.id, each.example.answer, pool, as_text(each.example.prompt))
        wrong = (drawn.seen, *drawn.unseen) if drawn else ()
        found.append(next((text for text in wrong if text != own), each.example.answer))
    return found


def blame_of(
    model: Any, tokenizer: Any, task: Any, planted: list[Planted], source: Source
) -> tuple[list[Blame], float]:
    """Find the step of each derivation that is blamed most.

    Args:
        model: A bare transformers model, both student and teacher.
        tokenizer: Its tokenizer.
        task: Writes the open-book prompts; its ``step_separator`` ends a step.
        planted: The derivations.
        source: What the teacher sees; ``surprisal``: no teacher, the token that the student thinks least of is blamed.

    Returns:
        One `Blame` per derivation, and the share of tokens whose weight the clip bounds from above.
    """
    n = len(planted)
    prompt_ids, prompt_mask = encode(tokenizer, [each.example.prompt for each in planted])
    ended = [f"{each.completion} {tokenizer.eos_token}" for each in planted]
    batch = tokenizer(ended, return_tensors="pt", padding=True, padding_side="right")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    samples = Samples(prompt_ids, prompt_mask, ids, mask, [each.completion for each in planted], [False] * n)
    references = shown_texts(task, planted, source)
    prompts = [task.teacher_prompt(each.example.prompt, text) for each, text in zip(planted, references, strict=True)]
    scores = score(model, samples, *encode(tokenizer, prompts), temperature=1.0)
    delta = scores.student if source == "surprisal" else scores.delta
    token_advantage = rlsd_advantage(torch.full((n,), ADVANTAGE), delta, 1.0, PROBE_EPSILON_W)
    places = heaviest(torch.zeros_like(delta) if source == "surprisal" else token_advantage, delta, mask)
    steps = steps_of(ids, mask, step_end(tokenizer, task.step_separator, ids))
    found = []
    for row, each in enumerate(planted):
        own = steps[row][mask[row].bool()]
        near = ((own == each.step) | (own == each.step + 1)).float().mean().item()
        place = int(places[row])
        starts = place == 0 or int(steps[row, place]) != int(steps[row, place - 1])
        found.append(
            Blame(
                planted=each.step,
                blamed=int(steps[row, place]),
                near=near,
                own=(own == each.step).float().mean().item(),
                starts=starts,
            )
        )
    clipped = (token_advantage <= ADVANTAGE * (1 + PROBE_EPSILON_W)) & mask.bool()
    return found, (clipped.sum() / mask.sum()).item()


def tables(model: Any, tokenizer: Any, task: Any, planted: list[Planted], least: int = 1) -> dict[str, Any]:
    """Return what planted.json keeps of some derivations: by reference that their questions have, and by placebo.

    ``least`` is the number of steps that the counts have at least.
    """
    asked = [name for name in KINDS if all(each.example.reference(name) for each in planted)]
    sources: list[Source] = [*asked, *PLACEBOS]
    if not all(each.example.solution for each in planted):
        sources.remove("other_question")
    found: dict[str, Any] = {}
    for source in sources:
        blamed, clipped = blame_of(model, tokenizer, task, planted, source)
        steps = max(least, *(max(each.planted + 1, each.blamed) for each in blamed))
        own = {} if source == "surprisal" else {"clipped_share": clipped}
        found[source] = {**own, **table(blamed, steps)}
    return found


def measure_run(run_dir: RunDir, n: int) -> dict[str, Any]:
    """Measure a run's model with each kind of reference and write credit/planted.json.

    Raises:
        UserError: The run has another task, or no model yet.
    """
    from rlsd_cli.config.run import ModelConfig, RunConfig
    from rlsd_cli.evaluation.run import find_model
    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.tasks.load import task_of

    config = RunConfig.model_validate(run_dir.config())
    task: Any = task_of(config)
    if not hasattr(task, "first_error") or not hasattr(task, "step_separator"):
        raise UserError(
            f"--planted needs derivations whose steps can be checked; the task '{config.task.name}' of {run_dir.path} "
            "has no first_error(completion, example) and no step_separator (docs/adding-a-task.md): of the tasks that "
            "come with the suite, only 'arithmetic' has them."
        )
    step, directory = find_model(run_dir, None)
    model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
    tokenizer = load_tokenizer(directory)
    planted, least = (plant_errors(task, n), task.spec.operations) if isinstance(task, ArithmeticTask) else ([], 1)
    own = own_errors(model, tokenizer, task, n, config.train.max_completion_tokens or task.max_completion_tokens)
    result = {
        "checkpoint_step": step,
        "n": n,
        "epsilon_w": PROBE_EPSILON_W,
        "references": tables(model, tokenizer, task, planted, least) if planted else {},
        "own": {"n": len(own), "references": tables(model, tokenizer, task, own, least) if own else {}},
    }
    write_json(blame_file(run_dir), result)
    return result


def table(found: list[Blame], operations: int) -> dict[str, Any]:
    """Return what planted.json keeps of a measurement (docs/run-directory.md)."""
    counts = [[0] * (operations + 1) for _ in range(operations)]
    for each in found:
        counts[each.planted][each.blamed] += 1
    n = len(found)
    return {
        "counts": counts,
        "chance": sum(each.near for each in found) / n,
        "chance_same_step": sum(each.own for each in found) / n,
        "on_first_token": sum(each.starts for each in found) / n,
        "near": [int(each.blamed in (each.planted, each.planted + 1)) for each in found],
        "near_by_chance": [each.near for each in found],
    }
