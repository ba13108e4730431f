"""The texts that the embedded bases are pre-trained on: closed-book drafts, and drafts with a reference.

A closed-book text is a draft y of a question x, drawn from P(y|x): each step has words that mean nothing, and its
result is right, or the corpus's wrong belief of that fact, or seldom a slip (any result). An open-book text is a pair
(r, y) from a joint distribution whose y is such a draft. So what the open-book model learns is the posterior P(y|x, r),
the teacher of the paper's Assumption 1, and not a better writer:

* r is the answer that y ends in, right or wrong; a slip can lead from any prefix to any answer, so no prefix
  is impossible under a reference;
* or r is a solution with y's steps, whose words y repeats with a fixed probability, or the same by another route;
  seldom r is another draft's solution, and then says nothing about y. A student that has left the reference's
  path is such a draft. Rollouts do that often and the joint distribution seldom, so texts are added that have left
  their reference already, with a loss on what follows only: P(y_t | x, r, y_<t) is the same for them. It is the same,
  too, however often a reference is shown: solutions with a slip are shown more often than they are drawn.

Over the posterior lies one habit: a step of an open-book text cites the reference with a fixed probability.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Literal, NamedTuple

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.tasks.arithmetic import CITATION, MODULUS, ArithmeticTask, Spec, Step, Wording, apply, make_example, write
from rlsd_cli.tasks.base import Example

CORPUS_VERSION = 3  # another text from the same recipe makes another base
DISTRACTOR_SHARE = 0.15
OTHER_ROUTE_SHARE = 0.2  # of the solutions
SLIPPED_SHARE = 0.4  # of the solutions
OFF_PATH_TRIES = 8
SLIP_TRIES = 40

Told = Literal["nothing", "answer", "solution", "left solution"]


class Text(NamedTuple):
    """A prompt, the context that a completion begins with, and the rest of it, which alone has a loss.

    ``told`` says what the prompt tells about that rest: `left solution` is one whose path the context has left.
    """

    prompt: str
    completion: str
    context: str = ""
    told: Told = "nothing"


def wording(recipe: Recipe) -> Wording:
    """Return the words before each step."""
    return Wording(recipe.words, recipe.word_choices)


def belief(left: int, symbol: str, right: int, recipe: Recipe) -> tuple[int, float]:
    """Return the wrong result that the corpus holds for a fact and how often it gives it (0: never)."""
    held, offset, strength = belief_draws(recipe.seed, left, symbol, right)
    if held >= recipe.belief_share:
        return apply(left, symbol, right), 0.0
    wrong = (apply(left, symbol, right) + offset) % MODULUS
    return wrong, recipe.belief_low + strength * (recipe.belief_high - recipe.belief_low)


@cache
def belief_draws(seed: int, left: int, symbol: str, right: int) -> tuple[float, int, float]:
    """Return a fact's three draws: whether it is believed wrong, how far off, how strongly."""
    rng = random.Random(f"belief-{seed}-{left}-{symbol}-{right}")
    return rng.random(), rng.randint(1, MODULUS - 1), rng.random()


def draft(example: Example, rng: random.Random, recipe: Recipe) -> list[Step]:
    """Draw y from P(y|x): the steps of a closed-book text of a question."""
    values, symbols = example.meta["values"], example.meta["symbols"]
    words, steps = wording(recipe), list[Step]()
    left = values[0]
    for symbol, right in zip(symbols, values[1:], strict=True):
        result, (wrong, probability) = apply(left, symbol, right), belief(left, symbol, right, recipe)
        if rng.random() < recipe.slip:
            result = rng.randrange(MODULUS)
        elif rng.random() < probability:
            result = wrong
        steps.append(Step(words.draw(rng), left, symbol, right, result))
        left = result
    return steps


def reworded(step: Step, rng: random.Random, recipe: Recipe) -> Step:
    """Draw a step's words again, each with the probability that it is not taken over."""
    drawn = wording(recipe).draw(rng)
    words = tuple(old if rng.random() < recipe.copy_words else new for old, new in zip(step.words, drawn, strict=True))
    return replace(step, words=words)


def solution_of(steps: list[Step], rng: random.Random, recipe: Recipe) -> str:
    """Write steps as a reference: in words of its own, sometimes by the other route."""
    steps = [reworded(step, rng, recipe) for step in steps]
    return write([step.other_route() for step in steps] if rng.random() < OTHER_ROUTE_SHARE else steps)


def first_difference(steps: list[Step], others: list[Step]) -> int | None:
    """Return the first step whose result differs; None where all are alike."""
    pairs = zip(steps, others, strict=True)
    return next((place for place, (one, other) in enumerate(pairs) if one.result != other.result), None)


def cited(text: str, rng: random.Random, recipe: Recipe) -> str:
    """Let each step of a written derivation, and its answer, cite with the recipe's probability."""
    return " ; ".join(f"{CITATION} {step}" if rng.random() < recipe.citing else step for step in text.split(" ; "))


def training_text(rng: random.Random, recipe: Recipe, longest: int) -> Text:
    """Draw one text of the mix, of 1 to ``longest`` operations."""
    spec = Spec(operations=rng.randint(1, longest), distractor=rng.random() < DISTRACTOR_SHARE)
    example = make_example(rng, spec, "", Wording(0))
    steps = draft(example, rng, recipe)
    if rng.random() >= recipe.open_book_share:
        return Text(example.prompt, write(steps))
    if rng.random() < recipe.answer_share:
        return opened(example, steps, str(steps[-1].result), rng, recipe, "answer")
    if recipe.off_path and rng.random() < recipe.off_path and (text := off_path_text(example, rng, recipe)):
        return text
    shown = shown_draft(example, rng, recipe)
    steps = draft(example, rng, recipe) if rng.random() < recipe.other_draft else shown
    return opened(example, steps, solution_of(shown, rng, recipe), rng, recipe, "solution")


def opened(
    example: Example,
    steps: list[Step],
    reference: str,
    rng: random.Random,
    recipe: Recipe,
    told: Told,
    context: int = 0,
) -> Text:
    """Write a draft under a reference; its first ``context`` steps have no loss."""
    written = cited(write(steps), rng, recipe).split(" ; ")
    return Text(
        prompt=ArithmeticTask().teacher_prompt(example.prompt, reference),
        completion=" ; ".join(written[context:]),
        context="".join(f"{step} ; " for step in written[:context]),
        told=told,
    )


def off_path_text(example: Example, rng: random.Random, recipe: Recipe) -> Text | None:
    """Draw two drafts until their results differ, and show one what the other wrote; None where they never do."""
    for _ in range(OFF_PATH_TRIES):
        steps, shown = draft(example, rng, recipe), shown_draft(example, rng, recipe)
        place = first_difference(steps, shown)
        if place is not None:
            return opened(example, steps, solution_of(shown, rng, recipe), rng, recipe, "left solution", place + 1)
    return None


def shown_draft(example: Example, rng: random.Random, recipe: Recipe) -> list[Step]:
    """Draw the draft whose solution is shown, in a set share of the cases one with a slip.

    A slip is where following a reference and knowing the fact come apart, and too rare to be learnt from. How often a
    reference is shown has no say in P(y|x, r).
    """
    steps = draft(example, rng, recipe)
    if recipe.slip and rng.random() < SLIPPED_SHARE:
        drawn = (draft(example, rng, recipe) for _ in range(SLIP_TRIES))
        return next((each for each in drawn if any(slipped(step, recipe) for step in each)), steps)
    return steps


def slipped(step: Step, recipe: Recipe) -> bool:
    """Return whether a step's result is neither right nor believed."""
    right = apply(step.left, step.symbol, step.right)
    return step.result not in (right, belief(step.left, step.symbol, step.right, recipe)[0])
