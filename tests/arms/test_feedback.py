"""SDPO with the environment's feedback: what the testbed and the verifiers say, and that the teacher sees it."""

import pytest
from trainers import one_batch

from rlsd_cli.arms.rollouts import Rollouts, texts_of
from rlsd_cli.arms.sdpo import Options, views
from rlsd_cli.tasks.arithmetic import ArithmeticTask, Wording
from rlsd_cli.tasks.feedback import feedback_on
from rlsd_cli.verifiers.load import load_verifier
from rlsd_cli.verifiers.verdict import Verdict

TASK = ArithmeticTask(operations=2, wording=Wording(1, 8))


# By hand, modulo 11: 7 + 9 = 5, then 5 * 3 = 4.
@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("so 7 + 9 = 5 ; now 5 * 3 = 4 ; answer 4", ""),
        ("so 7 + 9 = 6 ; now 6 * 3 = 7 ; answer 7", "7 + 9 = 5"),
        ("so 7 + 9 = 5 ; now 5 * 3 = 7 ; answer 7", "5 * 3 = 4"),
        ("so 7 + 9 = 5 ; now 5 * 3 = 4 ; answer 7", "answer 4"),
        ("so 7 + 9 = 5", "5 * 3 = 4"),
        ("", "7 + 9 = 5"),
        ("9 9 9", "7 + 9 = 5"),
    ],
)
def test_the_testbed_says_what_the_first_wrong_step_should_have_been(completion, expected):
    prompt = "question 7 + 9 * 3 ?"
    assert TASK.feedback(prompt, completion, TASK.verify(completion, "4")) == expected
    noted = "question note 3 - 2 ; 7 + 9 * 3 ?"  # a distractor is no part of the question
    assert TASK.feedback(noted, completion, TASK.verify(completion, "4")) == expected


def test_every_right_derivation_of_the_testbed_gets_none_and_every_wrong_answer_some():
    for index in range(50):
        example = TASK.train_example(0, index)
        assert TASK.feedback(example.prompt, example.solution, TASK.verify(example.solution, example.answer)) == ""
        wrong = example.solution.rpartition(" ")[0] + f" {(int(example.answer) + 1) % 11}"
        assert TASK.feedback(example.prompt, wrong, TASK.verify(wrong, example.answer)) == f"answer {example.answer}"


class Silent:
    """A task without feedback of its own."""


def test_of_other_tasks_it_is_the_verifiers_reason():
    verdict = load_verifier("math")("<answer>5</answer>", "4")
    told = feedback_on(Silent(), "?", "<answer>5</answer>", verdict)
    assert verdict.why
    assert told == f"Feedback on an earlier attempt, which answered 5: {verdict.why}."
    assert feedback_on(Silent(), "?", "<answer>4</answer>", Verdict(True, "4", "math")) == ""
    assert feedback_on(Silent(), "?", "", Verdict(False, "", "")) == ""
    assert "gave no answer" in feedback_on(Silent(), "?", "", Verdict(False, "", "nothing found"))


def rollouts(correct, feedback):
    n = len(correct)
    return Rollouts(
        ["q"] * n, [f"<think>t{i}</think>text {i}" for i in range(n)], correct, ["1"] * n, {}, "answer", n, feedback
    )


def test_the_teacher_sees_the_sibling_and_the_feedback_each_where_there_is_one():
    shown = rollouts([True, False, False], ["", "fix it", ""])
    source = views(Options(feedback=True, remove_thinking=True))["teacher"].source
    assert texts_of(source, shown) == [None, "text 0\n\nfix it", "text 0"]
    alone = rollouts([False, False], ["fix it", ""])
    assert texts_of(source, alone) == ["fix it", None]


def test_without_feedback_the_view_is_as_before():
    assert views(Options())["teacher"].source == "sibling:right"


def test_a_step_of_training_shows_it(tiny_trainer):
    trainer = tiny_trainer("sdpo", {"objective": {"feedback": True}})
    rows, batch = one_batch(trainer)
    assert batch["teacher_present"].all(), "a random model is wrong everywhere, and each rollout is told why"
    opened = trainer.processing_class.decode(batch["teacher_prompt_ids"][0], skip_special_tokens=True)
    text = trainer.reward.record["completion"][0]
    told = ArithmeticTask().feedback(rows[0]["prompt"], text, Verdict(False, ""))
    assert opened.startswith(f"reference {told} question"), opened
    assert trainer._compute_loss(trainer.model, batch).item() != 0
