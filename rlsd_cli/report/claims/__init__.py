"""The paper's claims, each judged on our runs by a stated rule: seen, not seen, undecided, or not tested.

Intervals are 95 % Student-t intervals over training seeds unless a rule says otherwise, one per statement and not
adjusted for their number. With one seed there is no interval, and every claim stays undecided.
"""

from __future__ import annotations

from rlsd_cli.report.claims.base import LEAK_FREE, MARGIN, NOT_TESTED, Claim, Finding
from rlsd_cli.report.claims.distillation import (
    kl_of_opd_falls,
    kl_stagnates,
    leakage_order,
    leakage_rises,
    opsd_falls,
    opsd_peaks_early,
)
from rlsd_cli.report.claims.policy import (
    blame_at_the_error,
    clip_ratio_stable,
    mix_does_not_recover,
    rlsd_above,
    rlsd_does_not_leak,
    rlsd_keeps_entropy,
)
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.missing import Missing

__all__ = ["CLAIMS", "Claim", "Finding", "examine"]

CLAIMS = (
    Claim(
        "opsd_falls",
        "OPSD gains, then falls",
        "Fig. 1(a), 3(b)",
        f"Reward by twentieths of the training; each seed's peak is read at the twentieth where the other seeds peak. "
        f"Seen: rise to the peak and fall from it both above 0. Not seen: the fall is certainly at most {MARGIN}, or "
        "it never rises.",
        opsd_falls,
    ),
    Claim(
        "opsd_peaks_early",
        "OPSD's peak comes early",
        "Fig. 1(a), 3(b)",
        "The twentieth in which each seed's reward is highest. Seen: certainly in the first half of the training. Not "
        "seen: certainly in the second. Not tested where OPSD does not fall.",
        opsd_peaks_early,
    ),
    Claim(
        "leakage_rises",
        "OPSD's leakage rises monotonically",
        "Fig. 3(a)",
        "Leakage by tenths of the training, the highest chosen by the other seeds. Seen: last minus first above 0, and "
        f"the fall from the highest to the last certainly at most {MARGIN}. Not seen: no rise, or that fall certainly "
        f"above {MARGIN}, or a step from a tenth to the next certainly below −{MARGIN} (Bonferroni over the nine).",
        leakage_rises,
    ),
    Claim(
        "leakage_order",
        "Leakage: teacher's top-1 above full above student's top-1",
        "Fig. 3(a)",
        "Mean leakage over the training, paired by seed. Seen: both differences above 0. Not seen: one at or below 0.",
        leakage_order,
    ),
    Claim(
        "kl_stagnates",
        "OPSD's KL to its teacher stagnates",
        "Fig. 3(c)",
        "KL(teacher ‖ student) on the rollouts (the arm's own divergence where that is not logged) by twentieths, the "
        "lowest, chosen by the other seeds, over the first. Seen: certainly above 2/3. Not seen: certainly below.",
        kl_stagnates,
    ),
    Claim(
        "kl_of_opd_falls",
        "OPD's KL to its external teacher falls",
        "Fig. 3(c)",
        "The same KL, last twentieth over the first. Seen: certainly below 2/3. Not seen: certainly above.",
        kl_of_opd_falls,
    ),
    Claim(
        "mix_does_not_recover",
        "GRPO+OPSD does not recover: it ends below GRPO",
        "Table 2",
        "Mean accuracy over the suites, paired by question and seed, interval over both (reward in the last fifth "
        "where nothing is evaluated). Seen: GRPO − GRPO+OPSD above 0. Not seen: at or below 0.",
        mix_does_not_recover,
    ),
    Claim(
        "rlsd_above",
        "RLSD ends above GRPO",
        "Fig. 1, 5(a), Table 2",
        "The same for RLSD − GRPO.",
        rlsd_above,
    ),
    Claim(
        "rlsd_keeps_entropy",
        "RLSD keeps entropy higher than GRPO",
        "Fig. 5(b)",
        "Mean entropy after the first fifth of the training, paired by seed. Seen: difference above 0. Not seen: at or "
        "below 0.",
        rlsd_keeps_entropy,
    ),
    Claim(
        "clip_ratio_stable",
        "The clip ratio of the evidence weights is stable",
        "Fig. 5(c)",
        "Share of clipped tokens, last fifth over first. Seen: certainly within a factor of 2 (the paper's moves "
        "between 3 and 6 %). Not seen: certainly outside.",
        clip_ratio_stable,
    ),
    Claim(
        "rlsd_does_not_leak",
        "RLSD does not leak",
        "Table 1, 3",
        f"Leakage in the last fifth. Seen: certainly at most {LEAK_FREE}. Not seen: certainly more.",
        rlsd_does_not_leak,
    ),
    Claim(
        "blame_at_the_error",
        "RLSD's heaviest blame lies where the error is",
        "Fig. 6",
        "Share of derivations with one planted wrong step whose most negative Â lies in that step or the next, the "
        "teacher seeing what it sees in training. Seen: certainly above one half and above chance. Not seen: certainly "
        "at most that.",
        blame_at_the_error,
    ),
)


def examine(comparison: Comparison) -> list[tuple[Claim, Finding]]:
    """Judge every claim; one that the runs can't speak to is "not tested", with the reason."""
    results = []
    for claim in CLAIMS:
        try:
            results.append((claim, claim.examine(comparison)))
        except Missing as reason:
            results.append((claim, Finding(NOT_TESTED, str(reason))))
    return results
