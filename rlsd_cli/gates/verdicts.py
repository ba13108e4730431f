"""From a probe to its gates, and from gates to a sentence per claim: testable here, or not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlsd_cli.arms import Arm
from rlsd_cli.gates.base import NO_WRONG, Gate, gates
from rlsd_cli.gates.probe import Probed
from rlsd_cli.report.claims.base import Claim
from rlsd_cli.report.claims.papers import claims_of_arm, paper_claims
from rlsd_cli.report.claims.registry import PAPER

# Bounds of our own (docs/probe.md says what each rests on).
SOME_RIGHT = 0.02  # with fewer right answers a reward of 0 and 1 teaches nothing
HEAD_ROOM = 0.95
HABIT = 0.02  # of the open book, below which there is nothing to leak
TOP_1 = 0.5  # a habit below it can't be carried over by an arg max
ALIKE = 0.999  # cosine of two updates that nobody could tell apart over a run
SAME_CONTENT = 0.95  # cosine of what the right and a placebo reference add to GRPO's update

REWARDED = {
    *("ends_above", "in_order", "rise_and_fall", "place_of_peak", "rise", "entropy_above", "table_row"),
    *("clip_ratio", "length_kept"),
}
HABITUAL = {"leakage_comes", "leakage_rises", "leaking_falls", "leakage_at_end"}
APART = {"ends_above", "entropy_above"}


@dataclass(frozen=True)
class Sentence:
    """A claim and whether it can be tested here.

    Attributes:
        claim: Its key.
        statement: What is claimed.
        testable: True, False, or None where a gate was not measured and no other forbids it.
        because: The gate and its number, or why it was not measured; '' where it is testable.
    """

    claim: str
    statement: str
    testable: bool | None
    because: str

    @property
    def text(self) -> str:
        """One sentence."""
        if self.testable:
            return f"{self.statement}: testable here."
        start = "not testable here, because" if self.testable is False else "not known to be testable here:"
        return f"{self.statement}: {start} {self.because}."


def claims_for(arm: Arm, papers: Sequence[str] = (PAPER,)) -> list[Claim]:
    """Return the claims of papers, each key once, and those that the arm brings.

    Raises:
        UserError: There are no claims of such a paper.
    """
    of_papers = {claim.key: claim for paper in papers for claim in paper_claims(paper).claims}
    return [*of_papers.values(), *claims_of_arm(arm.name, arm.title, arm.claims)]


def all_gates(probed: Probed, arm: Arm, claims: Sequence[Claim]) -> list[Gate]:
    """Return the gates of every base, and those of the task's difficulty, of the habit, and of the arm's update.

    Args:
        probed: What was measured.
        arm: Whose update it was.
        claims: That the gates may decide on.
    """
    rows = probed.measured.behaviour.rows
    closed = rows["closed"].right / rows["closed"].n
    opened = rows.get(probed.kind) or rows.get("answer")
    cites = opened.citing / opened.n if opened and opened.n else None
    of_arm = [claim for claim in claims if any(each.partition(":")[0] == arm.name for each in claim.arms)]

    def keys(measures: set[str], among: Sequence[Claim] = claims) -> tuple[str, ...]:
        return tuple(claim.key for claim in among if claim.measure.__name__ in measures)

    alone = probed.why.get("updates", "")
    found = [
        *gates(probed.measured),
        Gate("right closed-book", SOME_RIGHT, closed, "anything that a reward teaches", claims=keys(REWARDED)),
        Gate("right closed-book, head-room left", HEAD_ROOM, closed, "any gain", at_most=True, claims=keys(REWARDED)),
        Gate(
            f"mentions its reference, r = {probed.kind}",
            HABIT,
            cites,
            "whether an open-book habit leaks",
            claims=keys(HABITUAL),
            why="no question has a reference",
        ),
        Gate(
            f"mentions its reference in every second text, r = {probed.kind}",
            TOP_1,
            cites,
            "which top-1 target carries a habit over",
            claims=keys({"leakage_order"}),
            why="no question has a reference",
        ),
    ]
    if arm.name == "grpo" or arm.data == "off-policy":
        return found
    found.append(
        Gate(
            f"cosine of {arm.title}'s update with GRPO's",
            ALIKE,
            probed.mean("cosine", "arm"),
            f"whether {arm.title} does anything else than GRPO",
            at_most=True,
            claims=keys(APART, of_arm),
            why=alone,
        )
    )
    if arm.name == "rlsd":
        found.append(
            Gate(
                "cosine of what a wrong reference and the right one add to GRPO's update",
                SAME_CONTENT,
                probed.mean("increment", "wrong"),
                "whether the content of the reference matters",
                at_most=True,
                claims=("evidence_matters", "blame_at_the_error"),
                why=probed.why.get("placebo") or alone or NO_WRONG,
            )
        )
    return found


def sentences(found: Sequence[Gate], claims: Sequence[Claim]) -> list[Sentence]:
    """Return a sentence for each claim, by the gates that it has to pass."""
    told = []
    for claim in claims:
        asked = [gate for gate in found if claim.key in gate.claims]
        failed = [gate for gate in asked if gate.value is not None and not gate.met]
        unknown = [gate for gate in asked if gate.value is None]
        state = False if failed else None if unknown else True
        numbers = [f"{gate.text} is {gate.value:.3f}, asked {gate.asked}" for gate in failed]
        reasons = numbers or [f"{gate.text} is not measured ({gate.why})" for gate in unknown]
        told.append(Sentence(claim.key, claim.statement, state, "; ".join(reasons)))
    return told
