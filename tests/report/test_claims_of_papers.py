"""Claims of other papers: their files, what they measure, and the page that judges them."""

import numpy as np
import pytest
from support.synthetic_runs import write_run
from typer.testing import CliRunner

from rlsd_cli.arms import ARMS
from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import check_paper, judge_paper, known_papers, paper_claims
from rlsd_cli.report.claims.measures.efficiency import first_reached
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.gates import Gate, GatesFile
from rlsd_cli.report.runs import find_runs

STEPS = 200
T = np.linspace(0, 1, STEPS)
RELEASED = {"objective": {"entry_clip": 0.05}, "teacher": {"source": "frozen"}}


def write_arms(tmp_path, arms, seeds=4, noise=0.01):
    """Write seeds of arms: by label, the method, changes of its configuration, and its metrics."""
    for number, (label, (method, changes, metrics)) in enumerate(arms.items()):
        for seed in range(seeds):
            rng = np.random.default_rng([number, seed])
            noisy = {key: values + noise * rng.normal(size=len(values)) for key, values in metrics.items()}
            path = tmp_path / f"{label}-{seed}"
            write_run(path, method, seed, label="" if label == method else label, metrics=noisy, changes=changes)
    return compare(find_runs([tmp_path]))


def rises(until, length=27.0, steps=STEPS):
    """Return a reward that rises from 0.4 to 0.7 by this share of the training and stays there, and a length."""
    t = np.linspace(0, 1, steps)
    return {
        "reward": 0.4 + 0.3 * np.minimum(t / until, 1.0),
        "completions/mean_length": np.full(steps, length),
    }


def verdicts(comparison, paper):
    page = judge_paper(comparison, paper)
    return {claim.key: finding for claim, finding in [*page.claims, *page.controls]}


def test_every_file_names_claims_with_a_source_and_arms_that_there_are():
    assert known_papers()[0] == "2604.03128"
    assert {"2601.18734", "2601.20802", "2606.11709", "2605.19436", "2605.15155", "2606.04036"} <= set(known_papers())
    for paper in known_papers()[1:]:
        claims = paper_claims(paper)
        assert paper in claims.title
        assert 2 <= len(claims.claims) <= 3
        for claim in claims.claims:
            assert claim.place
            assert "{" not in claim.sentence
            assert {arm.partition(":")[0] for arm in claim.arms} <= {*ARMS, "base"}
            assert claim.controls or claim.measure.__name__ == "length_kept", claim.key


@pytest.mark.parametrize("name", ["2601.18734", "arXiv:2601.18734", "arxiv 2601.18734v3", " 2601.18734 "])
def test_a_paper_is_found_by_its_number_however_it_is_written(name):
    assert check_paper(name) == "2601.18734"


@pytest.mark.parametrize("name", ["2601.18735", "opsd", "../claims/of-arms", "of-arms", ""])
def test_an_unknown_paper_is_one_sentence_with_the_known_ones(name):
    with pytest.raises(UserError, match=r"there are: 2604\.03128, 2601\.18734"):
        judge_paper(compare([]), name)


# By hand: means 1, 2, 3, 4 with 10 tokens a part. Level 3 is first met in the third part: 30 tokens, of which it took
# 10. Level 0.5 is met in the first: 10 tokens. Level 9 never: all 40, and not reached.
def test_what_is_spent_until_a_level_by_hand():
    rewards = np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))
    ends = np.tile([10.0, 20.0, 30.0, 40.0], (3, 1))
    spent, reached, width = first_reached(rewards, ends, np.array([3.0, 0.5, 9.0]))
    assert spent.tolist() == [30.0, 10.0, 40.0]
    assert reached.tolist() == [True, True, False]
    assert width.tolist() == [10.0, 10.0, 10.0]


def opsd_beside_grpo(until, length=27.0):
    return {"grpo": ("grpo", {}, rises(0.9)), "released": ("opsd", RELEASED, rises(until, length))}


@pytest.mark.parametrize(
    ("until", "length", "expected"),
    [
        (0.04, 27.0, "seen"),  # of the 0.9 that GRPO takes
        (0.04, 270.0, "not seen"),  # as soon, with ten times the tokens
        (0.5, 27.0, "not seen"),
        (5.0, 27.0, "not seen"),  # it never gets there
    ],
)
def test_an_eighth_of_the_tokens(tmp_path, until, length, expected):
    found = verdicts(write_arms(tmp_path, opsd_beside_grpo(until, length)), "2601.18734")
    assert found["grpo_half_way"].verdict == "seen", "the positive control"
    assert found["eighth_of_the_tokens"].verdict == expected
    if until == 5.0:
        assert "4 of 4 seeds of released never get there" in found["eighth_of_the_tokens"].evidence


def test_an_arm_that_only_some_seeds_bring_there_is_never_called_faster(tmp_path):
    comparison = write_arms(tmp_path, opsd_beside_grpo(0.04))
    write_run(tmp_path / "released-3", "opsd", 3, label="released", changes=RELEASED, metrics=rises(9.0))
    comparison = compare(find_runs([tmp_path]))
    assert verdicts(comparison, "2601.18734")["eighth_of_the_tokens"].verdict != "seen"


def test_where_grpo_gains_nothing_there_is_nothing_to_be_reached(tmp_path):
    flat = {"reward": np.full(STEPS, 0.5), "completions/mean_length": np.full(STEPS, 27.0)}
    arms = {"grpo": ("grpo", {}, flat), "released": ("opsd", RELEASED, rises(0.1))}
    found = verdicts(write_arms(tmp_path, arms), "2601.18734")["eighth_of_the_tokens"]
    assert found.verdict == "not testable here"
    assert "does not certainly gain" in found.evidence


def test_where_grpo_is_there_at_once_an_eighth_of_it_is_not_told_apart(tmp_path):
    at_once = rises(0.9) | {"reward": np.full(STEPS, 0.7)}
    arms = {"grpo": ("grpo", {}, rises(0.15)), "released": ("opsd", RELEASED, at_once)}
    found = verdicts(write_arms(tmp_path, arms), "2601.18734")["eighth_of_the_tokens"]
    assert found.verdict == "not testable here"
    assert "the shortest part of a training that is told apart" in found.evidence


def test_a_quarter_of_the_generations_counts_rollouts_not_tokens(tmp_path):
    arms = {"grpo": ("grpo", {}, rises(0.9)), "released": ("sdpo", {"objective": {"beta": 0.5}}, rises(0.1, 270.0))}
    assert verdicts(write_arms(tmp_path, arms), "2601.20802")["quarter_of_the_generations"].verdict == "seen"


FALLING = {"reward": 0.4 + 0.3 * np.minimum(T / 0.2, 1) - 0.3 * np.maximum(T - 0.2, 0)}


@pytest.mark.parametrize(
    ("steps", "online", "frozen", "expected"),
    [
        (500, FALLING, "flat", "seen"),
        (200, FALLING, "flat", "undecided"),  # too short to show it
        (200, FALLING, "falls", "not seen"),  # long enough to refute it
        (500, "flat", "flat", "not testable here"),  # the positive control fails: nothing falls here at all
    ],
)
def test_no_fall_over_500_steps(tmp_path, steps, online, frozen, expected):
    t = np.linspace(0, 1, steps)
    falls = {"reward": 0.4 + 0.3 * np.minimum(t / 0.2, 1) - 0.3 * np.maximum(t - 0.2, 0)}
    flat = {"reward": 0.4 + 0.3 * np.minimum(t / 0.2, 1)}
    course = {"flat": flat, "falls": falls}
    arms = {
        "opsd": ("opsd", {}, falls if online is FALLING else flat),
        "released": ("opsd", RELEASED, course[frozen]),
    }
    assert verdicts(write_arms(tmp_path, arms), "2601.18734")["no_fall_over_500_steps"].verdict == expected


def test_a_gate_of_the_base_bars_the_claims_of_other_papers_too(tmp_path):
    comparison = write_arms(tmp_path, {"grpo": ("grpo", {}, rises(0.9)), "cepo": ("cepo", {}, rises(0.2))})
    assert verdicts(comparison, "2605.19436")["above_grpo"].verdict != "not testable here"
    gate = Gate(name="credit can help", value=0.0, threshold=1.0, passed=False, claims=["rlsd_above"])
    comparison.gates = {"micro-base": GatesFile(gates=[gate])}
    found = verdicts(comparison, "2605.19436")["above_grpo"]
    assert found.verdict == "not testable here"
    assert "credit can help" in found.evidence


def test_the_command_judges_another_papers_claims_and_refuses_unknown_ones(tmp_path):
    write_arms(tmp_path / "runs", opsd_beside_grpo(0.04))
    run = CliRunner().invoke(
        app,
        [
            "plot",
            str(tmp_path / "runs"),
            "--figure",
            "summary",
            "--claims",
            "2601.18734",
            "--output-dir",
            str(tmp_path / "o"),
        ],
    )
    assert run.exit_code == 0, run.output
    assert "with an eighth of the generated tokens: seen" in run.output
    report = (tmp_path / "o/REPORT.md").read_text()
    assert report.index("## The claims\n") < report.index("## The claims of Self-Distilled Reasoner, OPSD")
    refused = CliRunner().invoke(app, ["plot", str(tmp_path / "runs"), "--claims", "2601.9"])
    assert isinstance(refused.exception, UserError)
    assert "there are no claims of a paper '2601.9'; there are: 2604.03128, 2601.18734" in str(refused.exception)
