"""Verdicts on curves whose truth is known: seen, equal, not seen, undecided, not testable, not tested."""

import re

import numpy as np
import pytest
from synthetic_runs import write_run

from rlsd_cli.report.claims import examine, paper_claims
from rlsd_cli.report.claims.judge import judged
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.verdicts import judge, judge_within, p_text, signed
from rlsd_cli.statistics import Interval

CLAIMS = {claim.key: claim for claim in paper_claims().claims}
STEPS = 100
T = np.arange(STEPS) / (STEPS - 1)
PEAK = 0.4 + 0.3 * np.minimum(T / 0.2, 1.0) - 0.5 * np.maximum(T - 0.2, 0.0)


def verdict(tmp_path, key, arms, seeds=4, noise=0.02):
    """Return the finding on a claim, judged alone, for arms given as method or method:support to metrics."""
    for number, (name, metrics) in enumerate(arms.items()):
        method, _, support = name.partition(":")
        changes = {"objective": {"support": support}} if support else {}
        for seed in range(seeds):
            rng = np.random.default_rng([number, seed])
            noisy = {each: values + noise * rng.normal(size=STEPS) for each, values in metrics.items()}
            path = tmp_path / f"{name.replace(':', '-')}-{seed}"
            write_run(
                path, method, seed, label=f"{method}-{support}" if support else "", metrics=noisy, changes=changes
            )
    ((_, finding),) = judged([CLAIMS[key]], compare(find_runs([tmp_path])))
    return finding


def FALLS(*shares):
    """Return three variants that leak 0.9, 0.6 and 0.3 and lose these shares of half a point from their peak."""
    names = ("opsd:teacher_top1", "opsd:full", "opsd:student_top1")
    return {
        name: {
            "reward": 0.4 + 0.3 * np.minimum(T / 0.2, 1.0) - 0.5 * share * np.maximum(T - 0.2, 0.0),
            "leakage/rate": leak * T,
        }
        for name, leak, share in zip(names, (0.9, 0.6, 0.3), shares, strict=True)
    }


CASES = [
    ("opsd_falls", {"opsd": {"reward": PEAK}}, "seen"),
    ("opsd_falls", {"opsd": {"reward": PEAK[::-1]}}, "seen"),
    ("opsd_falls", {"opsd": {"reward": 0.4 + 0.3 * T}}, "not seen"),  # it never falls
    ("opsd_falls", {"opsd": {"reward": 0.8 - 0.5 * T}}, "not seen"),  # it never rises
    ("opsd_peaks_early", {"opsd": {"reward": PEAK}}, "seen"),
    ("opsd_peaks_early", {"opsd": {"reward": PEAK[::-1]}}, "not seen"),
    ("opsd_peaks_early", {"opsd": {"reward": 0.4 + 0.3 * T}}, "not tested"),
    ("leakage_rises", {"opsd": {"leakage/rate": T}}, "seen"),
    ("leakage_rises", {"opsd": {"leakage/rate": np.minimum(2 * T, 0.9)}}, "seen"),  # it saturates
    ("leakage_rises", {"opsd": {"leakage/rate": np.where(T < 0.6, T, 1.2 - T)}}, "not seen"),  # it falls back
    ("leakage_rises", {"opsd": {"leakage/rate": np.where(T < 0.5, 1.8 * T, 1.0 - 0.2 * T)}}, "not seen"),  # slowly
    ("leakage_rises", {"opsd": {"leakage/rate": T - 0.2 * ((T > 0.4) & (T < 0.6))}}, "not seen"),  # for a while
    ("leakage_rises", {"opsd": {"leakage/rate": 0.3 - 0.1 * T}}, "not seen"),
    (
        "leakage_order",
        {
            f"opsd:{s}": {"leakage/rate": r * T}
            for s, r in (("teacher_top1", 0.9), ("full", 0.6), ("student_top1", 0.3))
        },
        "seen",
    ),
    (
        "leakage_order",
        {
            f"opsd:{s}": {"leakage/rate": r * T}
            for s, r in (("teacher_top1", 0.6), ("full", 0.9), ("student_top1", 0.3))
        },
        "not seen",
    ),
    ("kl_stagnates", {"opsd": {"distillation/loss": 0.37 - 0.05 * T}}, "seen"),
    ("kl_stagnates", {"opsd": {"distillation/loss": 0.9 - 0.8 * T}}, "not seen"),
    ("kl_stagnates", {"opsd": {"distillation/loss": 0.3 - 0.25 * np.sin(np.pi * T)}}, "not seen"),  # it comes back
    ("kl_of_opd_falls", {"opd": {"distillation/loss": 0.9 - 0.8 * T}}, "seen"),
    ("kl_of_opd_falls", {"opd": {"distillation/loss": 0.37 - 0.02 * T}}, "not seen"),
    ("mix_does_not_recover", {"grpo": {"reward": 0.4 + 0.3 * T}, "grpo_opsd": {"reward": PEAK}}, "seen"),
    ("mix_does_not_recover", {"grpo": {"reward": PEAK}, "grpo_opsd": {"reward": 0.4 + 0.3 * T}}, "not seen"),
    ("rlsd_above", {"grpo": {"reward": 0.4 + 0.2 * T}, "rlsd": {"reward": 0.4 + 0.3 * T}}, "seen"),
    ("rlsd_above", {"grpo": {"reward": 0.4 + 0.3 * T}, "rlsd": {"reward": 0.4 + 0.2 * T}}, "not seen"),
    # Half a point apart, with an error of a fifth of a point: the paper's 2.3 points are excluded on both sides.
    ("rlsd_above", {"grpo": {"reward": 0.4 + 0.3 * T}, "rlsd": {"reward": 0.405 + 0.3 * T}}, "equal"),
    ("rlsd_above_twice", {"grpo": {"reward": T}, "rlsd": {"reward": T}}, "not tested"),
    ("rlsd_keeps_entropy", {"grpo": {"entropy": 0.5 - 0.4 * T}, "rlsd": {"entropy": 0.5 - 0.2 * T}}, "seen"),
    ("rlsd_keeps_entropy", {"grpo": {"entropy": 0.5 - 0.2 * T}, "rlsd": {"entropy": 0.5 - 0.4 * T}}, "not seen"),
    # A thirtieth of what GRPO loses is certain and too small to count.
    ("rlsd_keeps_entropy", {"grpo": {"entropy": 0.9 - 0.6 * T}, "rlsd": {"entropy": 0.92 - 0.6 * T}}, "equal"),
    # GRPO's entropy does not collapse: there is nothing to keep.
    ("rlsd_keeps_entropy", {"grpo": {"entropy": 0.3 + 0 * T}, "rlsd": {"entropy": 0.4 + 0 * T}}, "not testable here"),
    ("opsd_leaks", {"opsd": {"leakage/rate": T}}, "seen"),
    ("opsd_leaks", {"opsd": {"leakage/rate": 0.02 + 0.03 * T}}, "equal"),
    ("leaking_falls", FALLS(1, 0.6, 0.3), "seen"),
    ("leaking_falls", FALLS(0.3, 0.6, 1), "not seen"),
    ("leaking_falls", {"opsd": {"reward": PEAK, "leakage/rate": T}}, "not tested"),
    ("rlsd_keeps_length", {a: {"completions/mean_length": 27 + 0 * T} for a in ("grpo", "rlsd")}, "seen"),
    (
        "rlsd_keeps_length",
        {"grpo": {"completions/mean_length": 27 + 0 * T}, "rlsd": {"completions/mean_length": 27 - 9 * T}},
        "not seen",
    ),
    ("table3_rlsd", {"rlsd": {"reward": 0.3 + 0.5 * T, "leakage/rate": 0 * T}}, "seen"),
    ("table3_rlsd", {"rlsd": {"reward": 0.3 + 0.5 * T, "leakage/rate": T}}, "not seen"),
    (
        "table3_opsd_online",
        {"opsd": {"distillation/loss": 0.5 - 0.2 * np.sin(np.pi * T), "reward": 0.4 + 0.3 * T, "leakage/rate": T}},
        "seen",
    ),
]


@pytest.mark.parametrize(("key", "arms", "expected"), CASES, ids=[f"{c[0]}-{c[2]}-{i}" for i, c in enumerate(CASES)])
def test_the_verdict_follows_the_curve(tmp_path, key, arms, expected):
    assert verdict(tmp_path, key, arms).verdict == expected


@pytest.mark.parametrize(("end", "expected"), [(0.06, "seen"), (0.16, "not seen"), (0.01, "not seen")])
def test_the_clip_ratio_is_stable_within_a_factor_of_two(tmp_path, end, expected):
    share = 0.05 + (end - 0.05) * T
    arms = {"rlsd": {"rlsd/weight_clip_low": share / 2, "rlsd/weight_clip_high": share / 2}}
    assert verdict(tmp_path, "clip_ratio_stable", arms, noise=0.001).verdict == expected


@pytest.mark.parametrize(("rate", "expected"), [(0.0, "seen"), (0.3, "not seen")])
def test_rlsd_does_not_leak_below_one_in_a_hundred(tmp_path, rate, expected):
    arms = {"rlsd": {"leakage/rate": np.full(STEPS, rate)}}
    assert verdict(tmp_path, "rlsd_does_not_leak", arms, noise=0.0).verdict == expected


@pytest.mark.parametrize("key", CLAIMS)
def test_without_runs_no_claim_is_tested_and_the_reason_is_given(tmp_path, key):
    write_run(tmp_path / "sft", "sft", evaluated=False)
    ((_, finding),) = judged([CLAIMS[key]], compare(find_runs([tmp_path])))
    assert finding.verdict == "not tested"
    assert finding.p is None
    assert "there is no run of" in finding.evidence


@pytest.mark.parametrize("key", ["opsd_falls", "opsd_peaks_early", "leakage_rises", "kl_stagnates"])
def test_one_seed_leaves_a_claim_undecided(tmp_path, key):
    arms = {"opsd": {"reward": PEAK, "leakage/rate": T, "distillation/loss": 0.4 - 0.1 * T}}
    assert verdict(tmp_path, key, arms, seeds=1).verdict == "undecided"


def test_one_seed_leaves_the_comparison_of_arms_undecided_even_when_evaluated(tmp_path):
    for method in ("grpo", "rlsd"):
        write_run(tmp_path / method, method, 0)
    found = {claim.key: finding for claim, finding in examine(compare(find_runs([tmp_path]))).claims}
    for key in ("rlsd_above", "rlsd_keeps_entropy", "clip_ratio_stable", "rlsd_does_not_leak"):
        assert found[key].verdict == "undecided", key


def test_unfinished_runs_are_not_judged(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"{seed}", "opsd", seed, state="running")
    found = {claim.key: finding for claim, finding in examine(compare(find_runs([tmp_path]))).claims}
    assert found["opsd_falls"].verdict == "not tested"
    assert "unfinished" in found["opsd_falls"].evidence


def test_the_evaluation_decides_between_arms_where_there_is_one(comparison):
    found = {claim.key: finding for claim, finding in examine(comparison).claims}
    assert "mean accuracy over 3 suites" in found["mix_does_not_recover"].evidence
    assert "sign-flip p" in found["mix_does_not_recover"].evidence
    assert found["mix_does_not_recover"].verdict == "seen"


def test_evidence_names_the_seeds_and_the_interval(comparison):
    tested = [finding for _, finding in examine(comparison).claims if finding.p is not None]
    assert len(tested) > 12
    for finding in tested:
        assert "(seeds 0, 1, 2)" in finding.evidence
        assert re.search(r"\[.+, .+\]", finding.evidence)


def test_equal_arms_are_rarely_called_different(tmp_path):
    # At 95 % about one in twenty pairs of equal arms may be called seen; twelve pairs, at most three.
    decided = 0
    for trial in range(12):
        for number, method in enumerate(("grpo", "rlsd")):
            for seed in range(3):
                rng = np.random.default_rng([trial, number, seed])
                reward = 0.5 + 0.05 * rng.normal() + 0.02 * rng.normal(size=STEPS)
                write_run(tmp_path / f"{trial}-{method}-{seed}", method, seed, metrics={"reward": reward})
        runs = [run for run in find_runs([tmp_path]) if run.path.name.startswith(f"{trial}-")]
        ((_, finding),) = judged([CLAIMS["rlsd_above"]], compare(runs))
        decided += finding.verdict in ("seen", "not seen")
    assert decided <= 3


def interval(low, high):
    return Interval((low + high) / 2, low, high, 3)


NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.2, "yes"), (-0.2, 0.0, "no"), (-0.1, 0.1, "undecided"), (0.0, 0.0, "no")]
)
def test_judge_by_the_whole_interval(low, high, expected):
    assert judge(interval(low, high)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.1, 0.1, "yes"), (0.3, 0.4, "no"), (-0.9, -0.8, "no"), (0.1, 0.4, "undecided"), (-9, 9, "undecided")],
)
def test_judge_within_by_the_whole_interval(low, high, expected):
    assert judge_within(interval(low, high), -0.2, 0.2) == expected


def test_without_an_interval_nothing_is_judged():
    assert judge(Interval(0.5, NAN, NAN, 1)) == "undecided"
    assert judge_within(Interval(0.5, NAN, NAN, 1), 0, 1) == "undecided"


def test_numbers_are_written_with_sign_and_interval():
    assert signed(Interval(-0.1, -0.2, 0.05, 3)) == "−0.100 [−0.200, +0.050]"
    assert signed(Interval(0.1, NAN, NAN, 1)) == "+0.100 [–, –]"
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.0416) == "p = 0.042"
