"""From numbers to verdicts: the rules, Holm over a page, floors of the error, gates, controls, selectors."""

import json
import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import Estimate, Part, examine, from_interval, over_seeds, paper_claims, read_claims
from rlsd_cli.report.claims.judge import judged, step_down
from rlsd_cli.report.claims.rules import RULES
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.gates import GatesFile, gates_file, read_gates
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.statistics import Interval

CLAIMS = {claim.key: claim for claim in paper_claims().claims}


def estimate(low, high):
    """Return an estimate whose 95 % interval is [low, high], so precise in its degrees of freedom as to be normal."""
    return Estimate((low + high) / 2, (high - low) / 2 / 1.959964, 1e9, 5)


def verdict(rule, low, high, margin=0.02):
    p_values = {"x": RULES[rule].p_values([Part("x", estimate(low, high), margin)])}
    return step_down(p_values)["x"][0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.01, 0.01, "equal"),
        (0.001, 0.015, "equal"),  # certainly above 0, and certainly too little to count
        (0.005, 0.03, "seen"),
        (0.03, 0.05, "seen"),
        (-0.03, 0.01, "not seen"),  # the paper's effect is excluded, a loss is not
        (-0.05, -0.03, "not seen"),
        (-0.03, 0.03, "undecided"),
        (-0.001, 0.03, "undecided"),
    ],
)
def test_a_contrast_is_judged_by_zero_and_by_the_smallest_effect_that_counts(low, high, expected):
    assert verdict("contrast", low, high) == expected


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        ("all_above", 0.005, 0.015, "not seen"), ("all_above", 0.01, 0.03, "seen"), ("all_above", -1, 1, "undecided"),
        ("at_most", 0.0, 0.01, "seen"), ("at_most", 0.03, 0.04, "not seen"), ("at_most", 0.01, 0.03, "undecided"),
        ("at_least", 0.03, 0.04, "seen"), ("at_least", 0.0, 0.01, "not seen"), ("at_least", 0.01, 0.03, "undecided"),
        ("within", -0.01, 0.01, "seen"), ("within", -0.04, -0.03, "not seen"), ("within", 0.01, 0.03, "undecided"),
        ("signs", 0.001, 0.002, "seen"), ("signs", -0.002, -0.001, "not seen"), ("signs", -1, 1, "undecided"),
    ],
)  # fmt: skip
def test_the_other_rules_by_the_whole_interval(rule, low, high, expected):
    assert verdict(rule, low, high) == expected


def test_a_rule_of_several_parts_needs_all_for_seen_and_one_for_not_seen():
    above, below = Part("a", estimate(0.03, 0.05), 0.02), Part("b", estimate(-0.05, -0.03), 0.02)
    p_values = {"both": RULES["contrast"].p_values([above, above]), "one": RULES["contrast"].p_values([above, below])}
    assert {key: found[0] for key, found in step_down(p_values).items()} == {"both": "seen", "one": "not seen"}


def test_holm_asks_more_of_a_claim_among_many():
    # p = 0.004 one-sided is 0.008 two-sided: seen alone, 0.08 and undecided beside nine claims with nothing to show.
    lone = {"a": {"seen": 0.004}}
    many = lone | {f"n{i}": {"seen": 0.5} for i in range(9)}
    assert step_down(lone)["a"] == ("seen", pytest.approx(0.008))
    assert step_down(many)["a"] == ("undecided", pytest.approx(0.08))


def test_holm_steps_down_after_each_success():
    # Two-sided 0.002 and 0.04: the second is tested at 0.05 / 1 once the first is through.
    found = step_down({"a": {"seen": 0.001}, "b": {"seen": 0.02}})
    assert found == {"a": ("seen", pytest.approx(0.004)), "b": ("seen", pytest.approx(0.04))}


def test_wrong_verdicts_on_a_page_of_nulls_stay_below_one_in_twenty():
    # 400 pages of 12 claims without an effect, 5 seeds each; margins far away, so a verdict "seen" is an error.
    rng, pages = np.random.default_rng(0), 400
    wrong = 0
    for _ in range(pages):
        p_values = {
            str(i): RULES["contrast"].p_values([Part("x", over_seeds(rng.normal(size=5)), 100.0)]) for i in range(12)
        }
        for each in p_values.values():
            each.pop("equal"), each.pop("not seen")
        wrong += any(found[0] == "seen" for found in step_down(p_values).values())
    # One-sided half of 5 % is 2.5 %, so 10 of 400 are expected; above 22 the chance is below 0.001.
    assert wrong <= 22


def test_p_values_are_those_of_students_t_and_agree_with_the_interval():
    values = np.array([0.1, 0.3, 0.2, 0.5])
    found = over_seeds(values)
    assert 2 * found.p_above(0.05) == pytest.approx(ttest_1samp(values, 0.05).pvalue)
    assert found.p_above(found.interval().low) == pytest.approx(0.025)
    assert found.p_below(found.interval().high) == pytest.approx(0.025)


def test_equal_places_in_every_seed_are_no_certainty():
    # Twentieths: a standard deviation of 0.05/√12 per seed stays, though the three are equal.
    found = over_seeds([0.575] * 3, grid=0.05)
    assert found.error == pytest.approx(0.05 / math.sqrt(12) / math.sqrt(3))
    assert over_seeds([0.575] * 3).error == 0


def test_no_leak_in_any_rollout_leaves_the_binomial_error():
    found = over_seeds([0.0, 0.0], trials=100)
    assert found.error == pytest.approx(math.sqrt(2 / 104 * 102 / 104 / 104))  # Agresti and Coull: 2 of 104


def test_equal_answers_to_every_question_are_no_certainty():
    found = from_interval(Interval(0.0, 0.0, 0.0, 2), questions=10)
    assert found.interval().high > 0.5  # two seeds and ten questions say next to nothing
    assert from_interval(Interval(0.2, 0.1, 0.3, 5), questions=10).interval() == pytest.approx((0.2, 0.1, 0.3, 5))


def test_one_seed_decides_nothing():
    assert not over_seeds([0.7]).known
    assert over_seeds([0.7]).p_above(0.0) == 1.0


def arm(tmp_path, method, reward, seeds=4, evidence="", steps=60, **more):
    """Write runs of an arm with a constant reward; ``evidence`` is a placebo's name."""
    label = f"{method}-{evidence}" if evidence else more.pop("label", "")
    changes = {"objective": {"evidence": evidence}} if evidence else {}
    for seed in range(seeds):
        noise = 0.01 * np.random.default_rng([seed, len(label), int(1000 * reward)]).normal(size=steps)
        path = tmp_path / f"{label or method}-{seed}"
        write_run(path, method, seed, label=label, changes=changes, metrics={"reward": reward + noise})


PLACEBOS = ("wrong_reference", "other_reference", "permuted", "noise", "sign_mean", "surprisal")


@pytest.mark.parametrize(
    ("noise", "expected"),
    [(0.6, "seen"), (0.7, "not seen"), (None, "undecided")],
    ids=["above all", "not above one", "one was not run"],
)
def test_the_evidence_matters_only_above_every_placebo(tmp_path, noise, expected):
    arm(tmp_path, "rlsd", 0.7)
    for name in PLACEBOS:
        reward = noise if name == "noise" else 0.6
        if reward is not None:
            arm(tmp_path, "rlsd", reward, evidence=name)
    ((_, finding),) = judged([CLAIMS["evidence_matters"]], compare(find_runs([tmp_path])))
    assert finding.verdict == expected
    assert ("not run: rlsd:evidence=noise" in finding.evidence) == (noise is None)


@pytest.mark.parametrize(("oracle", "expected"), [(0.7, "equal"), (0.5, "not testable here"), (None, "equal")])
def test_a_null_counts_only_where_the_positive_control_is_seen(tmp_path, oracle, expected):
    arm(tmp_path, "grpo", 0.5)
    arm(tmp_path, "rlsd", 0.5)
    if oracle is not None:
        arm(tmp_path, "rlsd", oracle, evidence="vine")
    found = {claim.key: finding for claim, finding in examine(compare(find_runs([tmp_path]))).claims}["rlsd_above"]
    assert found.verdict == expected
    assert found.control == f"oracle above: {({0.7: 'seen', 0.5: 'equal', None: 'not tested'})[oracle]}"


def test_twice_the_steps_are_counted_from_the_main_variant(tmp_path):
    arm(tmp_path, "rlsd", 0.7)
    arm(tmp_path, "grpo", 0.5)
    arm(tmp_path, "grpo", 0.6, steps=120, label="grpo-long")
    runs = compare(find_runs([tmp_path]))
    assert chosen(runs, "grpo:steps=2x").label == "grpo-long"
    ((_, finding),) = judged([CLAIMS["rlsd_above_twice"]], runs)
    assert finding.verdict == "seen"
    with pytest.raises(Missing, match="no run of rlsd with steps=2x"):
        chosen(runs, "rlsd:steps=2x")


GATE = {"name": "reads its reference", "value": 0.012, "threshold": 0.5, "passed": False, "claims": ["rlsd_above"]}


def test_a_failed_gate_of_the_base_forbids_its_claims_and_is_named(tmp_path):
    arm(tmp_path / "runs", "grpo", 0.5)
    arm(tmp_path / "runs", "rlsd", 0.7)
    runs = compare(find_runs([tmp_path / "runs"]))
    gates_file(tmp_path, "models/micro-base").write_text(json.dumps({"gates": [GATE]}))
    runs.gates = read_gates(tmp_path, runs)
    assert list(runs.gates) == ["micro-base"]
    found = {c.key: f for c, f in examine(runs).claims}["rlsd_above"]
    assert found.verdict == "not testable here"
    assert "fails the gate 'reads its reference': 0.012, asked 0.5" in found.evidence
    runs.gates = {"micro-base": GatesFile.model_validate({"gates": [GATE | {"passed": True}]})}
    assert {c.key: f for c, f in examine(runs).claims}["rlsd_above"].verdict == "seen"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claims: {a: {statement: x, measure: ends_abov, rule: contrast, margin: 1, text: y}}", "did you mean"),
        (
            "claims: {a: {statement: x, measure: rise, rule: contrast, margin: {threshold: t}, text: y}}",
            "threshold 't'",
        ),
        ("claims: {a: {statement: x, measure: rise, rule: contrast, margin: {}, text: y}}", "needs a value"),
        ("claims: {a: {statement: x, measure: rise, rule: best, margin: 1, text: y}}", "rule"),
        (
            "claims: {a: {statement: x, measure: rise, rule: contrast, margin: 1, text: y, controls: [b]}}",
            "the control 'b'",
        ),
    ],
)
def test_a_file_of_claims_with_a_fault_is_refused_in_one_sentence(tmp_path, text, message):
    path = tmp_path / "claims.yaml"
    path.write_text("title: t\n" + text)
    with pytest.raises(UserError, match=message):
        read_claims(path)


def test_every_claim_states_its_numbers_and_no_control_is_missing():
    for claim in paper_claims().claims:
        assert "{" not in claim.sentence
        assert claim.place
        assert claim.margin.source or claim.rule == "all_above"


@pytest.mark.parametrize(("cites", "expected"), [(0.47, "not testable here"), (0.7, "seen"), (None, "seen")])
def test_the_order_of_leakage_needs_a_habit_that_a_top_1_target_can_carry(tmp_path, cites, expected):
    for support, rate in (("teacher_top1", 0.9), ("full", 0.6), ("student_top1", 0.3)):
        for seed in range(3):
            leak = rate + 0.01 * np.random.default_rng([seed, int(10 * rate)]).normal(size=60)
            write_run(
                tmp_path / f"{support}-{seed}",
                "opsd",
                seed,
                label=support,
                changes={"objective": {"support": support}},
                metrics={"leakage/rate": leak},
            )
    runs = compare(find_runs([tmp_path]))
    measured = {} if cites is None else {"open_book_cites": cites}
    runs.gates = {"micro-base": GatesFile.model_validate({"gates": [], "measured": measured})}
    ((_, finding),) = judged([CLAIMS["leakage_order"]], runs)
    assert finding.verdict == expected
