"""How often the heaviest blame lies at or just after a planted wrong step, per variant and reference."""

from __future__ import annotations

from rlsd_cli.evaluation.blame import ERRORS, WORDS
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.credit.blame import measured, pooled, variants_measured
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.statistics import p_text

COLUMNS = (
    "Errors",
    "Teacher sees",
    "Trajectories",
    "At or just after",
    "By chance",
    "In the step",
    "By chance (step)",
    "On a first token",
)


def planted_rates(comparison: Comparison) -> Table:
    """Return the rates with their intervals beside those of a token chosen at random.

    Raises:
        Missing: No run was measured.
    """
    variants = in_order(variants_measured(comparison))
    names = styles(variants)
    rows = []
    for variant, errors in ((variant, errors) for variant in variants for errors in ERRORS):
        by_seed = measured(variant, errors)
        for reference, words in WORDS.items():
            each = [found[reference] for found in by_seed.values() if reference in found]
            if not each:
                continue
            total = pooled(variant, reference, errors)
            rows.append(
                (
                    f"{names[variant.label].name} (n={len(each)})",
                    [
                        Cell(text=errors),
                        Cell(text=words),
                        Cell(text=str(total.n)),
                        Cell.of(total.interval, most=1.0),
                        Cell(value=total.chance, text=f"({p_text(total.p)})"),
                        Cell(value=total.same_step / total.n),
                        Cell(value=total.chance_same_step),
                        Cell(value=total.on_first_token),
                    ],
                )
            )
    caption = (
        "Derivations with one planted wrong step, the error carried on to a wrong answer: share of trajectories whose "
        "most negative Â (λ = 1; ties of the clip go to the lowest Δ) lies in the wrong step or the next [95 % "
        "interval over n seeds and the derivations, which all seeds share; with one seed Wilson's], beside a token "
        "chosen at random (one-sided p with the derivation as the unit: binomial for one seed, else t), and in the "
        "wrong step alone. Last column: the most blamed "
        "token is the first of its step and no number; there the open-book base would often cite its reference "
        "instead. Errors: planted, or the first wrong step of wrong rollouts of the model's own, one per question. "
        "Placebos: a wrong answer, another question's solution, and no teacher (the token least probable to the "
        "student). Base: the untrained model."
    )
    return Table("planted_rates", caption, COLUMNS, rows)
