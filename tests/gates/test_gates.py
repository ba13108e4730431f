"""The gates: met by the shipped bases, failed by models that ignore their references, and shown as they are."""

import json

import pytest
import torch
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.config.recipe import Recipe, parse
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.gates.base import Gate, Measured, gates, measure_base
from rlsd_cli.gates.behaviour import Behaviour, Row, measure_behaviour
from rlsd_cli.gates.directions import Directions, deciding_tokens, directions
from rlsd_cli.gates.floor import Floor, measure_floor
from rlsd_cli.gates.page import END, START, as_json, markdown, replaced
from rlsd_cli.generation.sample import Samples, encode
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.tasks.arithmetic import ArithmeticTask, Step, write
from rlsd_cli.testbed.corpus import wording
from rlsd_cli.testbed.network import build_model, build_tokenizer


def shipped(name):
    torch.set_num_threads(1)
    recipe = parse(name)
    task = ArithmeticTask(recipe.operations, wording(recipe))
    return load_model(ModelConfig(path=name)).eval(), load_tokenizer(name), task


@pytest.fixture(scope="module")
def micro():
    return shipped("micro-base")


@pytest.fixture(scope="module")
def credit():
    return shipped("micro-credit")


@pytest.fixture(scope="module")
def micro_behaviour(micro):
    return measure_behaviour(*micro, 200)


def share(behaviour, row, what):
    return getattr(behaviour.rows[row], what) / behaviour.rows[row].n


def test_the_right_answer_helps_the_base(micro_behaviour):
    gain = share(micro_behaviour, "answer", "right") - share(micro_behaviour, "closed", "right")
    assert gain >= 0.25


def test_the_base_says_a_plausible_wrong_answer_that_it_is_given(micro_behaviour):
    assert micro_behaviour.rows["wrong_answer"].n > 100
    assert share(micro_behaviour, "wrong_answer", "followed") >= 0.5


def test_the_base_follows_a_wrong_solution(micro_behaviour):
    assert share(micro_behaviour, "wrong_solution", "followed") >= 0.9


def test_the_base_is_neither_a_failure_nor_a_solver_and_cites_with_a_reference_only(micro_behaviour):
    assert 0.3 <= share(micro_behaviour, "closed", "right") <= 0.6
    assert share(micro_behaviour, "closed", "citing") <= 0.01
    # Five places to cite with probability 0.12: 1 − 0.88⁵ = 0.47.
    assert share(micro_behaviour, "solution", "citing") == pytest.approx(0.47, abs=0.1)


def test_most_of_opsds_loss_under_solutions_is_information_that_no_student_can_have(micro):
    assert measure_floor(*micro, questions=24, references=32).share >= 0.3


def test_one_reference_holds_no_information(micro):
    found = measure_floor(*micro, questions=8, references=1)
    assert found.information == pytest.approx(0, abs=1e-9)
    assert found.loss > 0.05


def test_on_the_long_chain_credit_for_the_deciding_tokens_is_another_direction_than_grpos(credit):
    assert directions(*credit, batches=6, prompts=8, group_size=8, continuations=0).deciding <= 0.7


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_short_chain_meets_all_gates_but_that_of_credit():
    assert [gate.met for gate in gates(measure_base(*shipped("micro-base")))[:4]] == [True] * 4


def test_a_model_that_ignores_its_reference_meets_no_gate_of_behaviour(micro, monkeypatch):
    monkeypatch.setattr(ArithmeticTask, "teacher_prompt", lambda self, prompt, reference: prompt)
    found = measure_behaviour(*micro, 100)
    measured = Measured(found, Floor(0.3, 0.1), Directions(0.5, 0.5))
    assert [gate.met for gate in gates(measured)][:3] == [False] * 3


def test_a_model_without_any_right_answer_is_measured_all_the_same():
    tokenizer, task = build_tokenizer(), ArithmeticTask(2)
    model = build_model(Recipe(width=16, layers=1, heads=2)).eval()
    found = measure_base(model, tokenizer, task, questions=10, batches=1)
    assert not any(gate.met for gate in gates(found)[:3])
    json.dumps(as_json({"x": found}))


def test_deciding_tokens_are_the_results_up_to_the_first_wrong_one():
    tokenizer, task = build_tokenizer(), ArithmeticTask(3)
    example = task.train_example(0, 0)
    right = [int(part.split()[0]) for part in example.solution.split("= ")[1:]]
    values, symbols = example.meta["values"], example.meta["symbols"]

    def text(results):
        lefts = [values[0], *results[:-1]]
        return write([Step(("so",), *each) for each in zip(lefts, symbols, values[1:], results, strict=True)])

    wrong = [right[0], (right[1] + 1) % 11, 5]
    ids, mask = encode(tokenizer, [text(right), text(wrong)])
    samples = Samples(ids, mask, ids, mask, [], [])
    # A step is six tokens and a separator: results stand at 5, 12 and 19.
    marks = deciding_tokens(samples, [example, example], tokenizer)
    assert [row.nonzero().flatten().tolist() for row in marks] == [[5, 12, 19], [5, 12]]


def test_gates_by_hand():
    rows = {
        "closed": Row(100, 40, None, 0),
        "answer": Row(100, 65, 65, 50),
        "wrong_answer": Row(50, 10, 24, 20),
        "solution": Row(100, 100, 100, 50),
        "wrong_solution": Row(50, 2, 45, 20),
        "other_question": Row(100, 10, 80, 50),
    }
    found = gates(Measured(Behaviour(rows), Floor(0.4, 0.1), Directions(0.7, 0.9)))
    assert [gate.value for gate in found] == pytest.approx([0.25, 0.48, 0.9, 0.25, 0.7])
    assert [gate.met for gate in found] == [True, False, True, False, True]


def test_a_gate_at_its_bound_is_met():
    assert Gate("", 0.5, 0.5, "").met
    assert Gate("", 0.5, 0.5, "", at_most=True).met
    assert not Gate("", 0.5, 0.51, "", at_most=True).met


def test_the_page_keeps_all_but_the_tables():
    page = f"before\n{START}\nold\n{END}\nafter\n"
    assert replaced(page, "new\n") == f"before\n{START}\n\nnew\n\n{END}\nafter\n"
    assert replaced(replaced(page, "new\n"), "new\n") == replaced(page, "new\n")
    with pytest.raises(UserError, match="no marks"):
        replaced("nothing", "new")


def test_the_tables_name_what_a_missed_gate_leaves_untestable():
    rows = {
        name: Row(10, 1, 1, 1) for name in ("answer", "wrong_answer", "solution", "wrong_solution", "other_question")
    }
    measured = Measured(Behaviour({"closed": Row(10, 1, None, 0), **rows}), Floor(1.0, 0.5), Directions(0.9, 0.9))
    text = markdown({"micro-base": measured})
    assert "| says a plausible wrong answer that it is given | ≥ 0.5 | 0.100 | no: can't show" in text
    assert "| closed | 10 | 0.100 | – | 0.000 |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "smollm2"], "is no embedded base"),
        (["--base", "micro-base:citing=2"], "'citing' is 2"),
        (["--page", "nowhere.md"], "nowhere.md does not exist"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, message):
    result = CliRunner().invoke(app, ["testbed", "gates", *arguments])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
