"""Where RLSD puts the blame in a derivation with one planted wrong step.

A question of the arithmetic task has one right derivation. One of its steps gets a wrong result, the
error is carried on correctly, and the answer comes out wrong: the rollout's advantage is negative, and
exactly one step deserves the blame. Both passes of RLSD then score the tokens, and the step of the token
with the most negative Â is compared with the planted one.

The clip makes many tokens share the lowest Â, A·(1+ε_w); the unclipped Δ orders those (it is what the
clip was applied to, so the order is the one that w_t has before it).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.blame import Blame, blame_file
from rlsd_cli.generation.sample import Samples, encode
from rlsd_cli.objectives import rlsd_advantage
from rlsd_cli.runs.directory import RunDir, write_json
from rlsd_cli.tasks.arithmetic import MODULUS, ArithmeticTask, Step, Wording, apply, write
from rlsd_cli.training.probe import PROBE_EPSILON_W, score

if TYPE_CHECKING:
    from rlsd_cli.tasks.base import Example

PLANTED_STREAM = -2  # neither a run's training stream (from 0) nor the probe's (−1)
Reference = Literal["answer", "solution", "other_route"]
REFERENCES: tuple[Reference, ...] = ("answer", "solution", "other_route")
ADVANTAGE = -1.0  # any negative A gives the same order of the tokens


@dataclass(frozen=True)
class Planted:
    """A derivation with one wrong step (counted from 0) and the wrong answer that it leads to."""

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


def steps_of(ids: Tensor, separator: int) -> Tensor:
    """Return the step that each token of (B, T) belongs to, from 0; a separator ends the step it follows."""
    ends = (ids == separator).long()
    return ends.cumsum(dim=1) - ends


def measure(
    model: Any, tokenizer: Any, task: ArithmeticTask, n: int, reference: Reference, seed: int = 0
) -> tuple[list[Blame], float]:
    """Plant an error in ``n`` derivations and find the step that is blamed most.

    Args:
        model: A bare transformers model, both student and teacher.
        tokenizer: Its tokenizer.
        task: Where the questions come from.
        n: Trajectories.
        reference: What the teacher sees: answer, solution, other_route.
        seed: Of the places and values of the errors.

    Returns:
        One `Blame` per trajectory, and the share of tokens whose weight the clip bounds from above.
    """
    rng = random.Random(f"planted-{seed}")
    planted = [plant(task.train_example(PLANTED_STREAM, index), rng, task.wording) for index in range(n)]
    prompt_ids, prompt_mask = encode(tokenizer, [each.example.prompt for each in planted])
    ended = [f"{each.completion} {tokenizer.eos_token}" for each in planted]
    batch = tokenizer(ended, return_tensors="pt", padding=True, padding_side="right")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    samples = Samples(prompt_ids, prompt_mask, ids, mask, [each.completion for each in planted], [False] * n)
    prompts = [task.teacher_prompt(each.example.prompt, each.example.reference(reference)) for each in planted]
    delta = score(model, samples, *encode(tokenizer, prompts), temperature=1.0).delta
    token_advantage = rlsd_advantage(torch.full((n,), ADVANTAGE), delta, 1.0, PROBE_EPSILON_W)
    places = heaviest(token_advantage, delta, mask)
    steps = steps_of(ids, tokenizer.convert_tokens_to_ids(";"))
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
    task = task_of(config)
    if not isinstance(task, ArithmeticTask):
        raise UserError(
            f"--planted needs derivations whose steps are known, which only the task 'arithmetic' has; {run_dir.path} "
            f"has '{config.task.name}'."
        )
    step, directory = find_model(run_dir, None)
    model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
    tokenizer = load_tokenizer(directory)
    references = {}
    for reference in REFERENCES:
        found, clipped = measure(model, tokenizer, task, n, reference)
        references[reference] = {"clipped_share": clipped, **table(found, config.task.operations)}
    result = {"checkpoint_step": step, "n": n, "epsilon_w": PROBE_EPSILON_W, "references": references}
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
