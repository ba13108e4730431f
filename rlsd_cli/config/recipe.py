"""What decides an embedded base: the dials of its corpus, its size, its pre-training, its seed.

A base is named by a preset, with changed dials after a colon: `micro-base`, or `micro-base:citing=0.5,seed=3`.
Presets ship with the package; others are pre-trained on first use (`rlsd_cli.testbed.cache`).
"""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from rlsd_cli.config.layers import Section, validated
from rlsd_cli.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, le=4)]


class Recipe(Section):
    """Everything that decides a checkpoint's weights on a given machine. Ranges are in docs/testbed.md."""

    citing: Share = Field(default=0.12, description="probability that a step of an open-book text cites")
    words: Annotated[int, Field(ge=0, le=4, description="meaningless words before each step")] = 1
    word_choices: Annotated[int, Field(ge=1, le=12, description="of how many words each is drawn")] = 8
    belief_share: Share = Field(default=0.25, description="share of the facts with a wrong belief")
    belief_low: Share = Field(default=0.6, description="least probability of a wrong belief's result")
    belief_high: Share = Field(default=0.98, description="greatest probability of a wrong belief's result")
    slip: Annotated[float, Field(ge=0, le=0.5, description="probability of a random result in a step")] = 0.03
    operations: Annotated[int, Field(ge=1, le=12, description="of the task; texts have 1 to one more")] = 4
    width: Annotated[int, Field(ge=16, le=512, multiple_of=8, description="of the hidden states")] = 64
    layers: Annotated[int, Field(ge=1, le=12)] = 3
    heads: Annotated[int, Field(ge=1, le=16)] = 4
    head_dim: Annotated[int, Field(ge=4, le=128, multiple_of=2, description="of a head's queries and keys")] = 32
    steps: Annotated[int, Field(ge=1, le=100_000, description="of pre-training")] = 1400
    drill_steps: Annotated[int, Field(ge=0, le=100_000, description="of them, first ones with short texts")] = 150
    batch_size: Annotated[int, Field(ge=4, le=4096, description="texts per step")] = 128
    learning_rate: Annotated[float, Field(gt=0, le=0.1, description="of Muon, for the hidden matrices")] = 0.02
    form_weight: Weight = Field(default=0.5, description="of the loss at operands, signs and ends; 4 at results")
    idle_weight: Weight = Field(default=0.1, description="of the loss at words that no solution tells")
    open_book_share: Share = Field(default=0.65, description="share of texts with a reference")
    answer_share: Share = Field(default=0.35, description="of those, share whose reference is an answer")
    copy_words: Share = Field(default=0.9, description="probability that a word is taken over from the reference")
    other_draft: Share = Field(default=0.03, description="share of solutions that belong to another draft")
    off_path: Share = Field(default=0.3, description="share of solutions whose text has left them already")
    seed: Annotated[int, Field(ge=0, description="of the weights, the texts and the beliefs")] = 0

    @model_validator(mode="after")
    def check_together(self) -> Recipe:
        """Settings that mean something together only."""
        if self.belief_low > self.belief_high:
            raise ValueError("belief_low must not be above belief_high")
        return self


# The shipped checkpoints. The teacher of OPD is larger and holds no wrong beliefs.
RECIPES = {
    "micro-base": Recipe(),
    "micro-teacher": Recipe(seed=1, width=96, belief_share=0, slip=0, off_path=0, open_book_share=0.3, steps=700),
    "micro-credit": Recipe(
        words=3,
        word_choices=12,
        operations=10,
        belief_share=0.1,
        slip=0.01,
        batch_size=96,
        steps=1100,
        answer_share=0.2,
        form_weight=0.8,
        idle_weight=0.2,
    ),
}


def is_base(name: str) -> bool:
    """Return whether a model's name is an embedded base, with or without changed dials."""
    return name.partition(":")[0] in RECIPES


def parse(name: str) -> Recipe:
    """Return the recipe that a base's name stands for.

    >>> parse("micro-base:citing=0.5,seed=3").citing
    0.5

    Raises:
        UserError: A dial is unknown, or its value is out of range.
    """
    preset, _, changes = name.partition(":")
    given: dict[str, Any] = {}
    for change in filter(None, changes.split(",")):
        key, found, value = change.partition("=")
        if not found:
            raise UserError(f"a base's dials are written like micro-base:citing=0.5,seed=3; got '{name[:200]}'.")
        try:
            given[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            given[key.strip()] = value
    return validated(Recipe, {**RECIPES[preset].model_dump(), **given}, f"the base '{name[:200]}'")
