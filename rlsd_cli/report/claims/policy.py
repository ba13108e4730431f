"""Claims about the arms with a reward: RLSD and GRPO+OPSD beside GRPO."""

from __future__ import annotations

import numpy as np

from rlsd_cli.report.accuracy import difference
from rlsd_cli.report.claims.base import LEAK_FREE, NOT_SEEN, SEEN, WITHIN, Finding, arm, seeds_of
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.credit.blame import measured
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.measures import fifths, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.verdicts import UNDECIDED, judge, judge_within, p_text, signed
from rlsd_cli.statistics import t_interval


def _better(comparison: Comparison, upper: str, lower: str) -> Finding:
    """Judge whether one arm ends above another: by the suites where both are evaluated, else by the reward."""
    first, second = arm(comparison, upper), arm(comparison, lower)
    seeds, left, right = matched(fifths(first, "reward"), fifths(second, "reward"))
    reward = t_interval(left[:, -1] - right[:, -1])
    text = f"{upper} − {lower}: reward in the last fifth {signed(reward)} {seeds_of(seeds)}"
    suites = sorted(set(suites_of(first)) & set(suites_of(second)))
    if not suites:
        return Finding(judge(reward, 0.0, SEEN, NOT_SEEN), f"{text}; not evaluated on the suites")
    found = difference(first, second, suites)
    evidence = (
        f"{upper} − {lower}: mean accuracy over {len(suites)} suites {signed(found.interval)}, "
        f"sign-flip {p_text(found.p)} {seeds_of(found.seeds)}; reward in the last fifth {signed(reward)}"
    )
    # One seed gives an interval over questions, but says nothing about the arm.
    verdict = judge(found.interval, 0.0, SEEN, NOT_SEEN) if len(found.seeds) > 1 else UNDECIDED
    return Finding(verdict, evidence)


def mix_does_not_recover(comparison: Comparison) -> Finding:
    """GRPO+OPSD ends below GRPO."""
    return _better(comparison, "grpo", "grpo_opsd")


def rlsd_above(comparison: Comparison) -> Finding:
    """RLSD ends above GRPO."""
    return _better(comparison, "rlsd", "grpo")


def rlsd_keeps_entropy(comparison: Comparison) -> Finding:
    """RLSD's entropy stays above GRPO's."""
    ours, theirs = (fifths(arm(comparison, name), "entropy") for name in ("rlsd", "grpo"))
    seeds, left, right = matched(ours, theirs)
    gap = t_interval((left - right)[:, 1:].mean(axis=1))
    evidence = (
        f"after the first fifth RLSD {left[:, 1:].mean():.5f}, GRPO {right[:, 1:].mean():.5f} nats per token, "
        f"difference {signed(gap, 5)} {seeds_of(seeds)}"
    )
    return Finding(judge(gap, 0.0, SEEN, NOT_SEEN), evidence)


def rlsd_does_not_leak(comparison: Comparison) -> Finding:
    """RLSD's rollouts do not cite a reference."""
    seeds, values = fifths(arm(comparison, "rlsd"), "leakage/rate")
    rate = t_interval(values[:, -1]).within(0.0, 1.0)
    evidence = f"leakage in the last fifth {rate.mean:.4f}"
    evidence += f" [{rate.low:.4f}, {rate.high:.4f}] {seeds_of(seeds)}" if rate.known else f" {seeds_of(seeds)}"
    return Finding(judge_within(rate, -1.0, LEAK_FREE, SEEN, NOT_SEEN), evidence)


def clip_ratio_stable(comparison: Comparison) -> Finding:
    """The share of clipped evidence weights stays about the same."""
    variant = arm(comparison, "rlsd")
    seeds, values = fifths(variant, "rlsd/weight_clip_low+rlsd/weight_clip_high")
    if (values <= 0).any():
        raise Missing("no weight was clipped in some fifth of the training, so there is no ratio")
    logs = t_interval(np.log(values[:, -1] / values[:, 0]))
    verdict = judge_within(logs, -np.log(WITHIN), np.log(WITHIN), SEEN, NOT_SEEN)
    ratio = [float(np.exp(part)) for part in logs[:3]]
    ends = f" [{ratio[1]:.2f}, {ratio[2]:.2f}]" if logs.known else ""
    shares = ", ".join(f"{share:.3f}" for share in values.mean(axis=0))
    evidence = f"share of tokens clipped by fifths of the training {shares}; last over first {ratio[0]:.2f}{ends} "
    return Finding(verdict, evidence + seeds_of(seeds))


def blame_at_the_error(comparison: Comparison) -> Finding:
    """RLSD's heaviest blame lies at or just after the step that is wrong."""
    variant = arm(comparison, "rlsd")
    kind = str(variant.option("teacher.reference", "answer"))
    found = {seed: each[kind] for seed, each in measured(variant).items() if kind in each}
    if not found:
        raise Missing(f"no run of {variant.label} has credit/planted.json with its own reference")
    rate = t_interval([each.near / each.n for each in found.values()]).within(0.0, 1.0)
    chance = max(each.chance for each in found.values())
    ends = f" [{rate.low:.3f}, {rate.high:.3f}]" if rate.known else ""
    evidence = (
        f"{rate.mean:.3f}{ends} of {sum(each.n for each in found.values())} trajectories, by chance {chance:.3f} "
        f"{seeds_of(tuple(found))}"
    )
    return Finding(judge(rate, max(0.5, chance), SEEN, NOT_SEEN), evidence)
