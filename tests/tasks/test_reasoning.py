"""reasoning-gym as a task: the generators' own verdicts, reproducible items, held-out questions."""

import inspect
import re
import sys

import pytest
import yaml

from rlsd_cli.arms.configure import build, preset_file
from rlsd_cli.config.layers import read_yaml
from rlsd_cli.config.run import TaskConfig, dump
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.gym_solutions import WRITERS, solution_text
from rlsd_cli.tasks.load import load_task
from rlsd_cli.tasks.reasoning import CHUNK, RUNS_ANSWERS, extract, held_out

SETS = {
    "chain_sum": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1},
    "number_sorting": {"min_numbers": 3, "max_numbers": 3},
    "letter_counting": {"min_words": 2, "max_words": 2},
}


def make_task(sets=SETS, **settings):
    return load_task(TaskConfig(name="reasoning_gym", gym={"sets": sets, **settings}))


def question_of(example):
    return example.prompt[-1]["content"]


def test_generators_ask_in_turn_and_any_question_can_be_made_again_alone():
    task = make_task()
    examples = [task.train_example(3, index) for index in range(9)]
    assert [example.meta["set"] for example in examples] == [*SETS] * 3
    assert len({question_of(example) for example in examples}) == 9
    fresh = make_task()
    assert fresh.train_example(3, 7) == examples[7]
    assert fresh.train_example(4, 7) != examples[7]


def test_no_training_stream_meets_a_held_out_question():
    # 2 terms of 1 digit: 200 questions in all, so that streams would meet them soon.
    task = make_task({"chain_sum": {**SETS["chain_sum"], "max_terms": 2}}, held_out=10)
    kept = {question_of(example) for example in task.suites()["chain_sum"]}
    assert len(kept) == 10
    trained = {question_of(task.train_example(seed, index)) for seed in (-1, 0, 1) for index in range(150)}
    assert len(trained) > 100
    assert not trained & kept
    assert not any(held_out(question) for question in trained)


def test_each_generator_has_a_suite_of_different_questions_that_no_seed_changes():
    suites = make_task(held_out=12).suites()
    assert list(suites) == list(SETS)
    for name, examples in suites.items():
        assert len({question_of(example) for example in examples}) == 12
        assert all(example.meta["set"] == name and held_out(question_of(example)) for example in examples)
    assert suites == make_task(held_out=12).suites()


def test_items_beyond_the_first_chunk_differ_from_those_within_it():
    task = make_task()
    first = {task.entry("number_sorting", "train-0", item)["question"] for item in range(20)}
    second = {task.entry("number_sorting", "train-0", CHUNK + item)["question"] for item in range(20)}
    assert not first & second


@pytest.mark.parametrize("index", range(6))
def test_gold_answer_behind_the_mark_is_right_by_the_generators_own_verifier(index):
    task = make_task()
    example = task.train_example(0, index)
    verdict = task.verify(f"I think. Answer: {example.answer}", example.answer, example.id)
    assert verdict.correct
    assert verdict.extracted == example.answer
    assert not task.verify(f"I think. {example.answer}", example.answer, example.id).correct
    assert not task.verify("Answer: nothing", example.answer, example.id).correct


def test_verifier_of_the_questions_own_generator_is_asked():
    task = make_task()
    sums, sorting = task.train_example(0, 0), task.train_example(0, 1)
    # chain_sum compares numbers; number_sorting reads a list, and takes double quotes for single ones.
    assert task.verify(f"Answer: +{float(sums.answer):.1f}".replace("+-", "-"), sums.answer, sums.id).correct
    text = sorting.answer.replace("'", '"')
    assert text != sorting.answer
    assert task.verify(f"Answer: {text}", sorting.answer, sorting.id).correct


def test_part_of_a_verifiers_score_earns_nothing():
    task = make_task()
    example = task.train_example(0, 0)
    text = f"{example.answer} or 99"
    generator, entry = task.generator("chain_sum", "train-0", 0), task.entry("chain_sum", "train-0", 0)
    assert 0 < generator.score_answer(f"{entry['answer']} or 99", entry) < 1
    verdict = task.verify(f"Answer: {text}", example.answer, example.id)
    assert (verdict.correct, verdict.extracted, task.reward("", verdict)) == (False, text, 0.0)


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("Answer: 7", "7"),
        ("2 + 5 = 7. Answer: 7.\nIndeed.", "7"),
        ("Answer: 6. No. Answer:  7 ", "7"),
        ("Answer:", ""),
        ("7", ""),
        ("Answer:\n7", "7"),
        ("Answer: 3.5.", "3.5"),
    ],
)
def test_extracted_is_the_line_behind_the_last_mark(completion, answer):
    assert extract(completion) == answer


@pytest.mark.parametrize("name", ["chain_sum", "letter_counting", "gsm_symbolic"])
def test_written_solutions_end_in_an_answer_that_the_verifier_takes(name):
    task = make_task({name: {}})
    for index in range(20):
        example = task.train_example(0, index)
        assert len(example.solution) > len(f"Answer: {example.answer}")
        assert task.verify(example.solution, example.answer, example.id).correct


def test_partial_sums_and_letter_counts_of_solutions_are_right():
    task = make_task()
    for index in range(0, 60, 3):
        *steps, _ = task.train_example(1, index).solution.split(". ")
        for step in steps[0].split(", "):
            left, right = step.split(" = ")
            first, symbol, second = left.split(" ")
            assert int(first) + int(second) * (1 if symbol == "+" else -1) == int(right)
    for index in range(2, 62, 3):
        example = task.train_example(1, index)
        counts = [int(part.rsplit(": ", 1)[1]) for part in example.solution.split(". Answer")[0].split(", ")]
        assert sum(counts) == int(example.answer)


def test_generator_without_a_writer_has_the_answer_only_and_says_so():
    task = make_task()
    example = task.train_example(0, 1)
    assert "number_sorting" not in WRITERS
    assert example.solution == solution_text("number_sorting", {}) == ""
    assert example.reference("answer") == example.answer
    with pytest.raises(UserError, match=r"no reference of the kind .* set teacher\.reference=answer"):
        task.teacher_prompt(example.prompt, example.solution)


def test_prompt_is_instruction_answered_examples_and_question():
    task = make_task({"chain_sum": SETS["chain_sum"]}, shots=2, instruction="Be brief.")
    example = task.train_example(0, 5)
    assert [turn["role"] for turn in example.prompt] == ["system", *["user", "assistant"] * 2, "user"]
    assert example.prompt[0]["content"] == "Be brief."
    assert all(turn["content"].startswith("Answer: ") for turn in example.prompt[2:5:2])
    assert task.train_example(9, 3).prompt[:5] == example.prompt[:5]
    assert [turn["role"] for turn in make_task(instruction="").train_example(0, 0).prompt] == ["user"]


def test_teacher_sees_the_reference_behind_the_question_and_the_student_never():
    task = make_task(shots=1)
    example = task.train_example(0, 0)
    open_book = task.teacher_prompt(example.prompt, example.solution)
    assert open_book[:-1] == example.prompt[:-1]
    assert open_book[-1]["content"].startswith(question_of(example))
    assert example.solution in open_book[-1]["content"]
    assert example.solution not in str(example.prompt)


def test_reference_may_stand_before_the_question():
    task = make_task(open_book="Reference: {reference}\n\n{question}")
    example = task.train_example(0, 0)
    assert task.teacher_prompt(example.prompt, "7")[-1]["content"] == f"Reference: 7\n\n{question_of(example)}"
    with pytest.raises(UserError, match=r"open_book.*must hold \{question\} and \{reference\}"):
        build([{"method": "rlsd", "task": {"name": "reasoning_gym", "gym": {"sets": {"gcd": {}}, "open_book": "?"}}}])


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"chain_sums": {}}, "has no generator 'chain_sums', did you mean 'chain_sum'"),
        ({"chain_sum": {"terms": 3}}, r"task\.gym\.sets\.chain_sum is not valid: .*unexpected keyword.*terms"),
        ({"chain_sum": {"min_terms": 0}}, "chain_sum is not valid: min_terms must be positive"),
    ],
)
def test_wrong_generator_or_setting_is_told_in_one_sentence(sets, message):
    with pytest.raises(UserError, match=message):
        make_task(sets)


def test_generators_whose_verifier_runs_the_answer_as_code_are_refused_and_no_other():
    from reasoning_gym.factory import DATASETS

    runs = re.compile(r"\b(eval|exec|parse_expr|sympify)\((user_)?answer\b")
    found = {
        name for name, (kind, _) in DATASETS.items() if runs.search(inspect.getsource(sys.modules[kind.__module__]))
    }
    assert found == RUNS_ANSWERS
    with pytest.raises(UserError, match="verifier of 'n_queens' runs what a model answers as a program"):
        make_task({"n_queens": {}})


def test_generator_with_too_few_questions_is_told():
    few = {"chain_sum": {**SETS["chain_sum"], "max_terms": 2}}
    with pytest.raises(UserError, match=r"has only \d+ different questions to hold out: lower task\.gym\.held_out"):
        make_task(few, held_out=60).suites()


def test_missing_package_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(UserError, match=r"run `pip install 'rlsd-cli\[smollm2\]'`"):
        make_task()


def test_configuration_names_generators_with_this_task_and_with_no_other():
    sets = {"task": {"name": "reasoning_gym", "gym": {"sets": {"chain_sum": {}, "gcd": {"max_value": 20}}}}}
    config = build([{"method": "grpo"}, sets, {"task": {"gym": {"sets": {"chain_sum": None}}}}])
    assert config.task.gym.sets == {"gcd": {"max_value": 20}}
    assert build([yaml.safe_load(dump(config))]) == config
    assert "gym" not in yaml.safe_load(dump(build([{"method": "grpo"}])))["task"]
    for wrong in ({"name": "reasoning_gym"}, {"gym": {"sets": {"gcd": {}}}}):
        with pytest.raises(UserError, match="give both, or neither"):
            build([{"method": "grpo", "task": wrong}])


@pytest.mark.parametrize("method", ["grpo", "opsd", "rlsd", "grpo_opsd", "sdpo", "sft"])
def test_preset_smollm2_asks_the_same_questions_of_every_arm(method):
    config = build([read_yaml(preset_file("smollm2", method))])
    reference = build([read_yaml(preset_file("smollm2", "rlsd"))])
    assert config.method == method
    assert (config.task, config.model) == (reference.task, reference.model)
    budget = {"learning_rate"}
    assert config.train.model_dump(exclude=budget) == reference.train.model_dump(exclude=budget)
