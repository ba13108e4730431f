"""Text benchmarks as data: their files, local copies in the hub's columns, own files, refusals."""

import json

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.suites import find, judge, load_suite, metrics
from rlsd_cli.evaluation.benchmarks.text import FOLDER, read_file, text_benchmarks
from rlsd_cli.evaluation.settings import EvalOptions
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.verifiers.roles import verify_roles

# One row each, as the hub data set has its columns; the contents are made up.
ROWS = {
    "gsm8k": {"question": "Ann has 3 pens and buys 4. How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"},
    "math500": {"problem": "Halve 1.", "solution": r"\boxed{\frac{1}{2}}", "answer": r"\frac{1}{2}", "level": 1}
    | {"subject": "Algebra", "unique_id": "test/algebra/1.json"},
    "amc23": {"id": 0, "question": "What is 3 times 9?", "answer": 27.0, "url": "-"},
    "aime24": {"id": 60, "problem": "What is 200 + 4?", "solution": "204", "answer": "204", "url": "-", "year": "2024"},
    "aime25": {"id": "0", "problem": "What is 70?", "answer": "70"},
    "knights": {"quiz": "Zoey says: we are both knaves.", "solution_text": "Zoey is a knave, and Oliver is a knight."}
    | {"names": ["Zoey", "Oliver"], "solution": [False, True], "index": 1},
    "gpqa": {"Question": "Which is heaviest?", "Correct Answer": "lead", "Incorrect Answer 1": "air"}
    | {
        "Incorrect Answer 2": "water",
        "Incorrect Answer 3": "wood",
        "Record ID": "rec1",
        "High-level domain": "Physics",
    },
}
RIGHT = {
    "gsm8k": r"\boxed{7}",
    "math500": r"\boxed{0.5}",
    "amc23": r"\boxed{27}",
    "aime24": r"\boxed{204}",
    "aime25": r"\boxed{70}",
    "knights": "He can't be one. CONCLUSION: **Oliver is a knight**, and Zoey is a knave.",
    "gpqa": "Answer: lead",
}
WRONG = {
    "gsm8k": r"\boxed{4}",
    "math500": r"\boxed{2}",
    "amc23": "It is 27.",
    "aime24": r"\boxed{205}",
    "aime25": r"<think>\boxed{70}",
    "knights": "CONCLUSION: Zoey is a knave.",
    "gpqa": "Answer: wood",
}


def copy(tmp_path, rows, name="copy.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ROWS)
def test_local_copy_is_asked_and_judged(tmp_path, name):
    (example,) = load_suite(name, copy(tmp_path, [ROWS[name]]))
    assert judge(RIGHT[name], example).correct
    verdict = judge(WRONG[name], example)
    assert not verdict.correct
    assert verdict.why
    assert as_text(example.prompt).endswith(find(name).instruction)
    assert metrics([example], [True])["accuracy"] == 1.0
    assert "unanswerable" not in example.meta


def test_every_file_is_a_benchmark_of_its_name_with_options_that_eval_knows():
    known = text_benchmarks()
    assert set(known) == {path.stem for path in FOLDER.glob("*.yaml")} == set(ROWS)
    for benchmark in known.values():
        EvalOptions(**benchmark.sampling)
        assert benchmark.protocol


def test_options_of_gpqa_are_shuffled_alike_each_time_and_not_all_the_same_way(tmp_path):
    rows = [{**ROWS["gpqa"], "Question": f"Which is heaviest, {n}?", "Record ID": f"rec{n}"} for n in range(20)]
    path = copy(tmp_path, rows)
    letters = [example.meta["letter"] for example in load_suite("gpqa", path)]
    assert letters == [example.meta["letter"] for example in load_suite("gpqa", path)]
    assert len(set(letters)) == 4


def test_question_without_an_id_has_its_rows_number_and_levels_are_broken_down(tmp_path):
    examples = load_suite("gsm8k", copy(tmp_path, [ROWS["gsm8k"]] * 2))
    assert [example.id for example in examples] == ["0", "1"]
    levels = load_suite("math500", copy(tmp_path, [{**ROWS["math500"], "level": n} for n in (1, 5)], "m.jsonl"))
    assert metrics(levels, [True, False]) == {
        "accuracy": 0.5,
        "accuracy/1": 1.0,
        "accuracy/5": 0.0,
        "accuracy/Algebra": 0.5,
    }


def test_benchmark_of_ones_own_is_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nhub: nobody/mine\ncolumns: {question: chat.text, answer: gold}\n"
        "options: {column: choices}\nverifier: choice\ninstruction: Choose.\n"
    )
    row = {"chat": {"text": "Which?"}, "gold": "B", "choices": ["x", "y"]}
    good, bad = load_suite(str(file), copy(tmp_path, [row, {**row, "gold": "D"}]))
    assert as_text(good.prompt).startswith("Which?\n(A) x\n(B) y")
    assert judge(r"\boxed{B}", good).correct
    assert bad.meta["unanswerable"] == "has the answer 'D', which is none of its 2 options"
    assert not judge(r"\boxed{D}", bad).correct


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [x", "cannot be read"),
        ("name: mine\nhub: h\ncolumns: {question: q}\nverifier: math", "columns.answer"),
        ("name: mine\nhub: h\ncolumns: {question: q, answer: a}\nverifier: maths", "verifier"),
        ("name: mine\nhub: h\ncolumns: {question: q, answer: a}\nverifier: choice", "go together"),
        ("name: mine\nhub: h\ncolumns: {question: q, answer: a}\nverifier: math\ntemprature: 1", "temprature"),
        ("[]", "describes no benchmark"),
    ],
)
def test_file_that_describes_no_benchmark_is_refused_in_a_sentence(tmp_path, content, message):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_file(file)


def test_copy_of_other_columns_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no copy of gsm8k: it has no column 'question'"):
        load_suite("gsm8k", copy(tmp_path, [{"q": "1", "answer": "2"}]))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("CONCLUSION:\n(1) Zoey is a knave.\n(2) Oliver is a knight.", True),
        ("<answer>Zoey is a knave, Oliver is a knight</answer>", True),
        ("CONCLUSION: Zoey is a knight. CONCLUSION: Zoey is a knave and Oliver is a knight.", True),
        ("<think>CONCLUSION: Zoey is a knave, Oliver is a knight.", False),
        ("CONCLUSION: Zoey is a knave, Oliver is a knave.", False),
        ("CONCLUSION: Zoey is a knave, Oliver is a knight, Zoey is a knight.", False),
        ("CONCLUSION: Zoey is a knave, Oliver is a knight, Ann is a knight.", False),
        ("Zoey is a knave, Oliver is a knight.", False),
        ("CONCLUSION:", False),
    ],
)
def test_roles_are_right_only_where_all_are_and_stand_in_the_conclusion(text, right):
    assert verify_roles(text, "Zoey is a knave, and Oliver is a knight.").correct is right
