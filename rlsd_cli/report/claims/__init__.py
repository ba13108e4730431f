"""Claims, each judged on our runs by a stated rule: seen, equal, not seen, undecided, not testable here, not tested.

Numbers are means over training seeds with Student's t unless a claim says otherwise. A verdict holds at 95 % over all
claims of the page together (Holm). With one seed there is no error, and every claim stays undecided.
"""

from __future__ import annotations

from rlsd_cli.report.claims.base import Claim, Finding, Margin, Measured, NotTestable
from rlsd_cli.report.claims.estimates import Estimate, from_interval, over_seeds
from rlsd_cli.report.claims.judge import Page, examine, judge_paper
from rlsd_cli.report.claims.papers import paper_claims, read_claims
from rlsd_cli.report.claims.registry import Claims, check_paper, claim, known_papers, measure
from rlsd_cli.report.claims.rules import Part

__all__ = [
    "Claim",
    "Claims",
    "Estimate",
    "Finding",
    "Margin",
    "Measured",
    "NotTestable",
    "Page",
    "Part",
    "check_paper",
    "claim",
    "examine",
    "from_interval",
    "judge_paper",
    "known_papers",
    "measure",
    "over_seeds",
    "paper_claims",
    "read_claims",
]
