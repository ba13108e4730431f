"""SDPO: the reference is a successful sibling rollout (arXiv 2601.20802).

    loss = mean_t KL(π(· | x, y_<t) ‖ π_EMA(· | x, sibling, y_<t)) on the student's top k entries and a tail

What changes against OPSD: no data set gives the reference; it is the first right completion among
the other samples of the same prompt, never the sample itself. Samples without one are masked.
"""

from __future__ import annotations

import re
from functools import partial

from pydantic import Field

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import Support, chosen_divergence
from rlsd_cli.arms.rollouts import Rollouts, texts_of

THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)


class Options(DivergenceOptions):
    """SDPO's objective. Defaults follow the paper: reverse KL on the top 100 entries and a tail."""

    support: Support = "top_k"
    beta: float = 1.0
    remove_thinking: bool = Field(default=False, description="show the sibling without <think>…</think>")
    feedback: bool = Field(default=False, description="show what the environment says of the rollout, too")


def without_thinking(rollouts: Rollouts) -> list[str | None]:
    """Return each rollout's first right sibling without what it thought, as SDPO's released code shows it."""
    texts = texts_of("sibling:right", rollouts)
    return [text if text is None else THINKING.sub("", text).strip() or None for text in texts]


def with_feedback(rollouts: Rollouts, remove_thinking: bool) -> list[str | None]:
    """Return each rollout's right sibling, where there is one, and what the environment says of the rollout itself."""
    siblings = without_thinking(rollouts) if remove_thinking else texts_of("sibling:right", rollouts)
    both = zip(siblings, rollouts.feedback, strict=True)
    return ["\n\n".join(text for text in each if text) or None for each in both]


def views(options: Options) -> dict[str, View]:
    """Return the teacher's view."""
    if options.feedback:
        return {"teacher": View(partial(with_feedback, remove_thinking=options.remove_thinking))}
    return {"teacher": View(without_thinking if options.remove_thinking else "sibling:right")}


ARM = Arm(
    name="sdpo",
    summary="a divergence to an EMA teacher that sees a successful sibling rollout",
    data="on-policy",
    direction="teacher",
    look=Look(title="SDPO", colour="#E69F00", line=(8, 2), marker="P"),
    source="arXiv 2601.20802",
    docs="docs/arms.md#sdpo",
    options=Options,
    defaults={"teacher": {"source": "ema", "ema_rate": 0.05}},
    views=views,
    divergence=chosen_divergence,
    like="",
)
