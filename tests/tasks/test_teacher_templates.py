"""The teacher's prompt as the user writes it: templates for every task, columns of ready prompts, what is refused."""

import json

import pytest

from rlsd_cli.arms import load_arm
from rlsd_cli.arms.configure import build
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.load import task_of
from rlsd_cli.tasks.templates import fields_in_row, open_book, with_text
from rlsd_cli.training.data import training_set
from rlsd_cli.training.references import check_references

ROWS = [
    {"prompt": f"What is {n} + {n}?", "answer": str(2 * n), "solution": f"{n} + {n} = {2 * n}", "hint": f"double {n}"}
    for n in range(8)
]


@pytest.fixture
def dataset(tmp_path):
    """A function that configures a run on eight sums; rows may be changed."""

    def make(teacher, rows=ROWS, method="opsd", **data):
        path = tmp_path / "sums.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        section = {"path": str(path), "held_out": 0, "instruction": "Answer briefly.", **data}
        layer = {"method": method, "task": {"name": "dataset", "data": section}, "teacher": teacher}
        return build([layer, {"train": {"steps": 2, "prompts_per_step": 4}}])

    return make


def first_prompt(config):
    """Return the open-book prompt of the first training question, by the row that training sees and by the example."""
    task = task_of(config)
    row = training_set(config, task)[0]
    by_row = open_book(task, row["prompt"], row["solution"], row.get("fields"))
    example = task.train_example(config.seed, 0)
    assert by_row == open_book(task, example.prompt, example.solution, fields_in_row(task, example))
    return by_row, example


def test_a_template_has_the_questions_text_without_the_instruction_and_the_reference(dataset):
    config = dataset({"template": "Q: {question}\nSeen: {reference}\n{instruction}"})
    prompt, example = first_prompt(config)
    question = example.prompt[-1]["content"].removesuffix("\n\nAnswer briefly.")
    assert prompt == [{"role": "user", "content": f"Q: {question}\nSeen: {example.solution}\nAnswer briefly."}]


def test_a_template_may_name_any_column_and_the_students_whole_prompt(dataset):
    prompt, example = first_prompt(dataset({"template": "{prompt} | {hint} | {{{reference}}}"}))
    n = example.answer and int(example.answer) // 2
    assert prompt[-1]["content"] == f"{example.prompt[-1]['content']} | double {n} | {{{example.solution}}}"


def test_a_column_of_ready_prompts_is_the_teachers_prompt_as_text_or_as_a_chat(dataset):
    rows = [row | {"ready": f"open {row['answer']}"} for row in ROWS]
    prompt, example = first_prompt(dataset({"prompt_column": "ready"}, rows))
    assert prompt == [{"role": "user", "content": f"open {example.answer}"}]
    chat = [[{"role": "system", "content": "s"}, {"role": "user", "content": row["answer"]}] for row in ROWS]
    rows = [row | {"ready": turns} for row, turns in zip(ROWS, chat, strict=True)]
    prompt, example = first_prompt(dataset({"prompt_column": "ready"}, rows))
    assert [turn["content"] for turn in prompt] == ["s", example.answer]


def test_a_template_serves_the_testbed_and_text_prompts_and_equals_its_own_to_the_letter():
    own, config = (
        ArithmeticTask(),
        build([{"method": "opsd", "teacher": {"template": "reference {reference} {question}"}}]),
    )
    task = task_of(config)
    example = task.train_example(0, 3)
    assert task.teacher_prompt(example.prompt, example.solution) == own.teacher_prompt(example.prompt, example.solution)
    assert not hasattr(task, "row_fields")


def test_a_template_keeps_images_in_front_and_the_turns_before():
    chat = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "image", "image": 1}, {"type": "text", "text": "old"}]},
    ]
    assert with_text(chat, "new") == [
        chat[0],
        {"role": "user", "content": [chat[1]["content"][0], {"type": "text", "text": "new"}]},
    ]
    assert chat[1]["content"][1]["text"] == "old"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Q: {question}", "shows the teacher nothing more"),
        ("{reference", "it is no template"),
        ("{} {reference}", "a field is a plain name"),
        ("{reference:>10}", "a field is a plain name"),
        ("{reference.strip}", "a field is a plain name"),
        ("{reference[0]}", "a field is a plain name"),
        ('{"json": "{reference}"}', "a field is a plain name"),
    ],
)
def test_a_template_that_cant_be_filled_is_refused_when_the_configuration_is_read(template, words):
    with pytest.raises(UserError, match=words):
        build([{"method": "opsd"}, {"teacher": {"template": template}}])


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ({"template": "{refrence} {question}"}, r"teacher\.template names 'refrence'.*did you mean 'reference'.*hint"),
        ({"prompt_column": "readyy"}, r"teacher\.prompt_column names 'readyy', which there is not; there are:.*hint"),
        ({"template": "{reference}", "prompt_column": "hint"}, "give one of them"),
        ({"references": [{"kind": "answer"}, {"kind": "answer"}]}, "name 'answer' twice"),
        ({"references": [{"kind": "answer", "weight": 0}]}, "weight"),
        ({"references": []}, "references"),
    ],
)
def test_what_is_not_there_is_one_sentence_before_a_model_is_loaded(dataset, teacher, words):
    with pytest.raises(UserError, match=words):
        task_of(dataset(teacher))


def test_an_empty_ready_prompt_names_its_row(dataset):
    with pytest.raises(UserError, match=r"row 2 of .*sums.jsonl is empty in column 'hint'"):
        task_of(
            dataset({"prompt_column": "hint"}, [row | ({"hint": ""} if n == 2 else {}) for n, row in enumerate(ROWS)])
        )


def test_a_column_without_a_data_set_is_refused():
    with pytest.raises(UserError, match=r"prompt_column is for a data set, and the task is 'arithmetic'"):
        task_of(build([{"method": "opsd", "teacher": {"prompt_column": "x"}}]))


def test_a_template_that_would_show_the_truth_beside_decoys_is_refused(dataset):
    config = dataset({"template": "{solution}"})
    task_of(config)
    with pytest.raises(UserError, match="knows nothing of decoys"):
        task_of(config.model_copy(update={"leakage": config.leakage.model_copy(update={"decoy_share": 0.1})}))


def test_an_arm_whose_teacher_sees_siblings_takes_no_ready_prompts(dataset):
    config = dataset({"prompt_column": "hint"}, method="sdpo")
    with pytest.raises(UserError, match="sees what was sampled"):
        check_references(config, load_arm("sdpo"), task_of(config))


def test_a_template_is_given_on_the_command_line_as_it_stands():
    given = parse_assignment("teacher.template=Note: {reference}")
    assert build([{"method": "opsd"}, given]).teacher.template == "Note: {reference}"
    assert "template" not in build([{"method": "opsd"}]).model_dump()["teacher"], "older runs keep their configuration"
