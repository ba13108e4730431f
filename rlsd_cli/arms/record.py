"""What the suite knows of an arm: a record that any command can read without torch or TRL."""

from __future__ import annotations

import colorsys
import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rlsd_cli.arms.options import NoOptions, Objective
from rlsd_cli.config.layers import Section

if TYPE_CHECKING:
    from torch import Tensor

    from rlsd_cli.arms.rollouts import Rollouts
    from rlsd_cli.arms.tokens import Credit, Distributions, Resampling, Tokens

Marker = Literal[
    "o", "s", "v", "^", "<", ">", "D", "d", "P", "X", "h", "H", "p", "*", "8", "|", "_", "1", "2", "3", "4"
]
DEFAULT_TRAINER = "rlsd_cli.training.trainer:ArmTrainer"


class Look(Section):
    """How an arm is drawn: each of colour, line and marker should tell it from the others by itself.

    Attributes:
        title: Name in figures and tables.
        colour: ``#RRGGBB``.
        line: Lengths of dashes and gaps in points, one after the other; none for a solid line.
        marker: One of matplotlib's.
    """

    title: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$")]
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
    line: tuple[Annotated[float, Field(gt=0, le=100)], ...] = ()
    marker: Marker = "*"


MARKERS: tuple[Marker, ...] = ("*", "p", "8", "H", "d", "<", ">", "h")
LINES = ((2, 2), (4, 1, 1, 1), (7, 1.5, 1.5, 1.5), (1, 2), (3, 1), (9, 2, 2, 2), (5, 3), (1, 1, 4, 1))


def look_of(name: str) -> Look:
    """Return a look made from a name: the same each time, and hardly ever another name's."""
    digest = hashlib.sha256(name.encode()).digest()
    red, green, blue = colorsys.hls_to_rgb(digest[0] / 256, 0.3 + 0.25 * digest[1] / 256, 0.75)
    return Look(
        title="".join(char for char in name.rpartition(".")[2] if char.isprintable())[:40] or "arm",
        colour="#" + "".join(f"{round(255 * part):02X}" for part in (red, green, blue)),
        line=LINES[digest[2] % len(LINES)],
        marker=MARKERS[digest[3] % len(MARKERS)],
    )


@dataclass(frozen=True)
class View:
    """What one teacher sees, and whose weights it has.

    Attributes:
        source: Whence its privileged text: ``reference`` (of the kind ``teacher.reference``), a kind by name,
            ``prompt`` (nothing but the student's prompt), ``sibling:right``, ``sibling:wrong`` (the first such
            completion among the other samples of the question; ``:1``, ``:2`` for the second, the third),
            ``other`` (the reference of another question), ``wrong`` (a wrong reference); or a function of the
            step's `Rollouts` that returns a text, or None, for each of them.
        weights: ``configured`` (``teacher.source``), ``frozen`` (the initial policy), ``external`` (``teacher.model``).
        logps: Whether ``Tokens.teachers`` needs its log-probs; a view that is for the divergence only does not.
    """

    source: str | Callable[[Rollouts], list[str | None]] = "reference"
    weights: Literal["configured", "frozen", "external"] = "configured"
    logps: bool = True


Views = Mapping[str, View]
SEEN = {
    "prompt": "–",
    "sibling:right": "right sibling",
    "sibling:wrong": "wrong sibling",
    "other": "another question's",
    "wrong": "wrong reference",
}


@dataclass(frozen=True)
class Arm:
    """An arm: data and pure functions. One trainer serves them all (`rlsd_cli.training.trainer`).

    Attributes:
        name: The value of ``--method``.
        summary: The objective in one line.
        data: Whose tokens are trained on.
        direction: Who decides whether a token becomes more or less probable.
        look: How it is drawn.
        source: The paper it is from.
        docs: Where it is described.
        options: The section that ``objective`` must satisfy.
        defaults: Configuration that the arm's source prescribes, below presets.
        views: The teachers by name, or a function of the options that returns them; none for an arm without.
        credit: From the tokens and the options of the step to token advantages; GRPO's own where none.
        penalty: From the same to a loss of each token, added to the policy's; gradient through ``tokens.student``.
        divergence: From the whole distributions, the teacher's being those of the view ``teacher``, to a loss of
            each token (n,), added with ``objective.distillation_weight``; GRPO's gets ``objective.policy_weight``.
            Or to that and weights (n,), 0 or above: they are divided by their mean over the micro-batch's tokens
            with a weight, and multiplied with the loss.
        resamples: From the options to how ``Tokens.resampled`` is estimated, by continuations of the policy from the
            start of each step; None where it is not needed.
        claims: Claims that its runs are judged by: keys of claims.
        blame: Whether its credit is measured on planted errors (Fig. 6).
        learns_solutions: Whether it trains on the reference solutions themselves.
        like: The method whose presets it takes where a preset has no file for it; '' for an arm that takes none.
        trainer: The trainer as ``module:Class``.
    """

    name: str
    summary: str
    data: Literal["on-policy", "off-policy"]
    direction: Literal["environment", "teacher", "both"]
    look: Look
    source: str = ""
    docs: str = ""
    options: type[Objective] = NoOptions
    defaults: Mapping[str, Any] = field(default_factory=dict)
    views: Views | Callable[[Any], Views] = field(default_factory=dict)
    credit: Callable[[Tokens, Any], Credit] | None = None
    penalty: Callable[[Tokens, Any], Credit] | None = None
    divergence: Callable[[Distributions, Any], Tensor | tuple[Tensor, Tensor]] | None = None
    resamples: Callable[[Any], Resampling | None] | None = None
    claims: tuple[str, ...] = ()
    blame: bool = False
    learns_solutions: bool = False
    like: str = "grpo"
    trainer: str = DEFAULT_TRAINER

    @property
    def title(self) -> str:
        """Name in figures and tables."""
        return self.look.title

    def views_of(self, options: Any = None) -> Views:
        """Return the teachers by name; of the default options where none are given."""
        return self.views(options or self.options()) if callable(self.views) else self.views

    @property
    def needs_teacher(self) -> bool:
        """Whether the arm runs a teacher's pass."""
        return bool(self.views)

    @property
    def uses_reference(self) -> bool:
        """Whether a teacher sees the reference that ``teacher.reference`` names, with the default options."""
        return any(view.source == "reference" for view in self.views_of().values())

    def teacher_and_reference(self, settings: Mapping[str, Any]) -> tuple[str, str]:
        """Return who the teacher is and what it sees, in words; – where there is none.

        Args:
            settings: A run's ``teacher`` section.
        """
        views = self.views_of()
        if not views:
            return "–", "solution" if self.learns_solutions else "–"
        weights = {"configured": settings["source"], "frozen": "frozen", "external": "larger model"}
        seen = {"reference": settings["reference"]} | SEEN
        sources = [view.source if isinstance(view.source, str) else name for name, view in views.items()]
        return (
            ", ".join(dict.fromkeys(weights[view.weights] for view in views.values())),
            ", ".join(dict.fromkeys(seen.get(source.rstrip(":0123456789"), source) for source in sources)),
        )

    def card(self) -> dict[str, Any]:
        """Return what a run directory keeps of the arm, so that readers need not import it."""
        return {
            "name": self.name,
            "look": self.look.model_dump(mode="json"),
            "summary": self.summary,
            "data": self.data,
            "direction": self.direction,
            "needs_teacher": self.needs_teacher,
            "claims": list(self.claims),
        }

    def load_trainer(self) -> Any:
        """Return the trainer's class; imports TRL, which takes seconds."""
        module, _, name = self.trainer.partition(":")
        return getattr(importlib.import_module(module), name)
