"""Blame on a planted wrong step: the trajectories, the token that is blamed most, the rates, and what is shown."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic_runs import write_planted, write_run
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.blame import Blame, Placement, blame_file, placements
from rlsd_cli.evaluation.planted import (
    Planted,
    blame_of,
    heaviest,
    own_errors,
    plant,
    plant_errors,
    shown_texts,
    table,
    tables,
)
from rlsd_cli.models.load import load_model, load_tokenizer, resolve
from rlsd_cli.objectives import rlsd_advantage
from rlsd_cli.report.claims import paper_claims
from rlsd_cli.report.claims.judge import judged
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.credit.blame import pooled
from rlsd_cli.report.runs import find_runs
from rlsd_cli.runs.directory import RunDir, write_json
from rlsd_cli.statistics import wilson_interval
from rlsd_cli.tasks.arithmetic import ArithmeticTask, apply

N = 300


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_a_planted_derivation_has_one_wrong_step_and_a_wrong_answer(index, operations):
    task = ArithmeticTask(operations)
    example = task.train_example(0, index)
    planted = plant(example, random.Random(index), task.wording)
    *steps, ending = planted.completion.split(" ; ")
    result, wrong = str(example.meta["values"][0]), []
    for number, step in enumerate(steps):
        _, left, symbol, right, equals, outcome = step.split()
        assert (left, equals) == (result, "=")  # the error is carried on, as a model would
        if outcome != str(apply(int(left), symbol, int(right))):
            wrong.append(number)
        result = outcome
    assert wrong == [planted.step]
    assert ending == f"answer {result}"
    assert not task.verify(planted.completion, example.answer).correct


def test_the_heaviest_blame_is_the_most_negative_advantage_and_delta_breaks_the_ties_of_the_clip():
    # A < 0: w = exp(−Δ). Both −1 and −3 are clipped to 1.2; the padded −9 must not count.
    delta = torch.tensor([[0.5, -1.0, -3.0, 0.0], [0.1, -0.1, 0.0, -9.0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    advantage = rlsd_advantage(torch.tensor([-1.0, -1.0]), delta, 1.0, 0.2)
    assert advantage[0, 1] == advantage[0, 2]
    assert heaviest(advantage, delta, mask).tolist() == [2, 1]


def test_the_rate_by_hand():
    # Three operations: hits are the planted step or the next, so (0,0), (1,2) and (2,3); the miss is (0,3).
    found = [Blame(0, 0, 0.5, 0.25, True), Blame(1, 2, 0.5, 0.25, False), Blame(2, 3, 0.25, 0.25, False)]
    stored = table([*found, Blame(0, 3, 0.25, 0.25, False)], operations=3)
    placement = Placement(
        np.array(stored["counts"]), stored["chance"], stored["chance_same_step"], stored["on_first_token"]
    )
    assert (placement.n, placement.near, placement.same_step) == (4, 3, 1)
    assert (placement.chance, placement.chance_same_step, placement.on_first_token) == (0.375, 0.25, 0.25)
    # P(X ≥ 3), X ~ B(4, 3/8): 4·(3/8)³·(5/8) + (3/8)⁴.
    assert placement.p == pytest.approx(4 * 0.375**3 * 0.625 + 0.375**4)
    assert "3 of 4 trajectories: 75.0 [30.1, 95.4] %" in placement.sentence("answer")
    assert "by chance 37.5%" in placement.sentence("answer")


@pytest.fixture(scope="module")
def base():
    torch.set_num_threads(1)
    return load_model(ModelConfig(path="micro-base")).eval(), load_tokenizer("micro-base"), ArithmeticTask()


def placed(base, reference):
    found, clipped = blame_of(*base, plant_errors(base[2], N), reference)
    stored = table(found, operations=4)
    # 14 of 31 tokens lie in the window, 10 of 31 where the last step is wrong.
    assert 10 / 31 < stored["chance"] < 14 / 31
    assert 0 < clipped < 0.6
    return Placement(np.array(stored["counts"]), stored["chance"], stored["chance_same_step"], stored["on_first_token"])


def test_with_a_solution_the_heaviest_blame_lies_in_the_planted_step_more_often_than_by_chance(base):
    placement = placed(base, "solution")
    assert wilson_interval(placement.same_step, placement.n).low > placement.chance_same_step + 0.1


def test_with_an_answer_the_heaviest_blame_lies_where_the_text_turns_away_from_it_the_last_step(base):
    counts = placed(base, "answer").counts
    assert counts[:, -2:].sum() / N > 0.5


def test_a_teacher_that_sees_no_more_than_the_student_blames_by_chance(base, monkeypatch):
    monkeypatch.setattr(ArithmeticTask, "teacher_prompt", lambda self, prompt, reference: prompt)
    found, clipped = blame_of(*base, plant_errors(base[2], N), "solution")
    assert clipped == 0
    hits = sum(each.blamed in (each.planted, each.planted + 1) for each in found)
    # What is left of Δ is rounding of the padding: no better than the window's share of tokens.
    assert hits / N < table(found, 4)["chance"] + 0.1


def test_a_wrong_answer_speaks_for_no_step(base):
    planted = plant_errors(base[2], 40)
    for each, text in zip(planted, shown_texts(base[2], planted, "wrong_answer"), strict=True):
        assert text not in (each.example.answer, each.completion.rpartition(" ")[2])


def test_surprise_finds_planted_errors_without_a_teacher_and_a_placebo_shows_what_is_not_content(base):
    """A planted step is improbable to the student itself: what a teacher finds must be more than that."""
    found = tables(*base, plant_errors(base[2], N), least=4)
    rates = {name: sum(each["near"]) / N for name, each in found.items()}
    assert rates["surprisal"] > found["surprisal"]["chance"] + 0.2, rates
    assert rates["solution"] > rates["other_question"], rates
    assert "clipped_share" not in found["surprisal"]


def test_own_errors_are_wrong_rollouts_with_their_first_wrong_step(base):
    model, tokenizer, task = base
    found = own_errors(model, tokenizer, task, 30, task.max_completion_tokens)
    assert len({each.example.id for each in found}) == len(found) == 30
    for each in found:
        assert not task.verify(each.completion, each.example.answer).correct
        right = [step.split()[-1] for step in each.example.solution.split(" ; ")]
        own = [step.split()[-1] for step in each.completion.split(" ; ")]
        assert own[: each.step] == right[: each.step]
    assert len({each.step for each in found}) > 1


def test_a_model_that_errs_nowhere_has_no_own_errors(base, monkeypatch):
    model, tokenizer, task = base
    monkeypatch.setattr("rlsd_cli.evaluation.planted.TRIES", 1)
    monkeypatch.setattr(ArithmeticTask, "first_error", lambda self, completion, example: None)
    assert own_errors(model, tokenizer, task, 5, task.max_completion_tokens) == []


@pytest.mark.parametrize(
    ("completion", "step"),
    [
        ("so 7 + 9 = 5 ; now 5 * 3 = 4 ; answer 4", None),
        ("so 7 + 9 = 6 ; now 6 * 3 = 7 ; answer 7", 0),
        ("so 7 + 9 = 5 ; the reference says now 5 * 3 = 8 ; answer 8", 1),
        ("so 7 + 9 = 5 ; now 5 * 3 = 4 ; answer 9", 2),
        ("so 7 + 9 = 5 ; answer 4", 1),
        ("so 7 + 9 = 5 ; now 5 * 3 = 4 ; then 4 + 1 = 5 ; answer 5", 2),
        ("answer", 0),
        ("", 0),
    ],
)
def test_the_first_wrong_step_by_hand(completion, step):
    example = replace(
        ArithmeticTask(2).train_example(0, 0), answer="4", meta={"values": [7, 9, 3], "symbols": ["+", "*"]}
    )
    assert ArithmeticTask(2).first_error(completion, example) == step


class OwnSteps:
    """A task of a user's own: text, steps that end at ``;``, no derivations to plant errors in."""

    name, step_separator = "own", ";"

    def teacher_prompt(self, prompt, reference):
        return f"reference {reference} {prompt}"

    def verify(self, completion, answer, example_id=""):
        return ArithmeticTask(2).verify(completion, answer)


def test_a_task_of_ones_own_has_its_errors_blamed_with_the_references_that_it_has(base):
    model, tokenizer, task = base
    examples = [replace(task.train_example(0, index), solution="", other_route="") for index in range(4)]
    own = [Planted(each, 0, "so 1 + 1 = 3 ; answer 3") for each in examples]
    assert set(tables(model, tokenizer, OwnSteps(), own)) == {"answer", "wrong_answer", "surprisal"}


def planted_run(path, seed, hits, n=100):
    """Write a run with ``hits`` trajectories on the diagonal and the rest two steps later."""
    write_planted(RunDir(write_run(path, "rlsd", seed)), [[hits, 0, n - hits, 0, 0], *([0] * 5 for _ in range(3))])


def blame_claim(tmp_path):
    """Return what is found on the claim about blame, judged alone."""
    claims = [claim for claim in paper_claims().claims if claim.key == "blame_at_the_error"]
    ((_, finding),) = judged(claims, compare(find_runs([tmp_path])))
    return finding


def test_the_claim_is_judged_over_seeds_that_share_their_derivations(tmp_path):
    for seed, hits in enumerate((70, 72, 74)):
        planted_run(tmp_path / str(seed), seed, hits)
    finding = blame_claim(tmp_path)
    # 74 of 104 (two successes and two failures added): a standard error of 0.0444; times Student's 4.303, two degrees.
    assert finding.verdict == "seen"
    assert "0.720 [0.529, 0.911] of 100 derivations, by chance 0.400" in finding.evidence
    assert pooled(compare(find_runs([tmp_path])).variants["rlsd"], "answer").near == 216


def test_a_minority_is_not_most_cases(tmp_path):
    for seed, hits in enumerate((20, 21, 22)):
        planted_run(tmp_path / str(seed), seed, hits)
    assert blame_claim(tmp_path).verdict == "not seen"


def test_a_damaged_measurement_is_told(tmp_path):
    run = RunDir(write_run(tmp_path / "run", "rlsd", credit=False))
    assert placements(run) == {}
    blame_file(run).parent.mkdir()
    blame_file(run).write_text('{"references": {"answer": {}}}')
    with pytest.raises(UserError, match="--planted 400` again"):
        placements(run)


def test_the_command_measures_and_plot_draws(tmp_path):
    run = write_run(tmp_path / "run", "rlsd", credit=False)
    shutil.copytree(resolve("micro-base"), run / "model")
    result = CliRunner().invoke(app, ["eval", str(run), "--planted", "40"])
    assert result.exit_code == 0, result.output
    # Three references and three placebos, on planted errors and on the model's own.
    assert result.stdout.count("of 40 trajectories") == 12
    assert result.stdout.count("first wrong step of a rollout of its own") == 6
    stored = json.loads((run / "credit" / "planted.json").read_text())["references"]["answer"]
    assert np.array(stored["counts"]).sum() == len(stored["near"]) == len(stored["near_by_chance"]) == 40
    assert sum(stored["near"]) == placements(RunDir(run))["answer"].near
    assert sum(stored["near_by_chance"]) / 40 == pytest.approx(stored["chance"])
    drawn = CliRunner().invoke(app, ["plot", str(run), "--figure", "planted", "--output-dir", str(tmp_path / "out")])
    assert drawn.exit_code == 0, drawn.output
    assert next((tmp_path / "out").rglob("planted.png")).stat().st_size > 5_000


def scored(path, seed, hits):
    """Write a run whose trajectories 0 to n-1 are hit as ``hits`` says; chance is 0.4 in each."""
    near = sum(hits)
    run = RunDir(write_run(path, "rlsd", seed))
    write_planted(run, [[near, 0, len(hits) - near, 0, 0], *([0] * 5 for _ in range(3))])
    stored = json.loads(blame_file(run).read_text())
    stored["references"]["answer"] |= {"near": hits, "near_by_chance": [0.4] * len(hits)}
    write_json(blame_file(run), stored)


def test_seeds_that_share_their_derivations_do_not_count_as_so_many_derivations(tmp_path):
    # Five models that agree on every derivation say no more about derivations than one does.
    hits = [1] * 55 + [0] * 45
    for seed in range(5):
        scored(tmp_path / str(seed), seed, hits)
    placement = pooled(compare(find_runs([tmp_path])).variants["rlsd"], "answer")
    assert (placement.n, placement.seeds) == (500, 5)
    half = stats.t.ppf(0.975, 99) * np.std(hits, ddof=1) / 10
    assert placement.interval[:3] == pytest.approx((0.55, 0.55 - half, 0.55 + half))
    t = (0.55 - 0.4) / (np.std(hits, ddof=1) / 10)
    assert placement.p == pytest.approx(stats.t.sf(t, 99))
    counted = replace(placement, hits=None, chances=None)  # a file that kept counts only
    assert counted.interval[1:3] == pytest.approx(wilson_interval(55, 100)[1:3])
    assert counted.p == pytest.approx(stats.binom.sf(54, 100, 0.4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--planted", "4"], "no model yet"),
        (["RUN", "--planted", "4", "--suite", "chain"], "asks no suites"),
        (["--planted", "4"], "takes a run directory"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "RUN", "rlsd")
    result = CliRunner().invoke(app, ["eval", *arguments])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
