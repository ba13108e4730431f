"""The five benchmarks on local copies in their own schemas: prompts, verdicts, aggregation, refusals."""

import json
from itertools import product

import datasets
import hub_copies as copies
import numpy as np
import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.suites import BENCHMARKS, judge, load_suite, metrics, score
from rlsd_cli.evaluation.benchmarks.wemath import split_options, verdict_of
from rlsd_cli.tasks.messages import as_text


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def shades(example):
    """Return the red of each image of a prompt, in order, and check that they are the example's images."""
    parts = [part["image"] for part in example.prompt[0]["content"] if part["type"] == "image"]
    assert all(part is image for part, image in zip(parts, example.images, strict=True))
    return [int(np.asarray(image)[0, 0, 0]) for image in parts]


@pytest.fixture
def mmmu(tmp_path):
    rows = [
        copies.mmmu_row("validation_Accounting_1", "<image 1> Which?", "B", "['$6', '$7', 'none', '$9']"),
        copies.mmmu_row("validation_Art_Theory_2", "Which?", "A", "['<image 2>', '<image 3>']", images=3),
        copies.mmmu_row("validation_Math_3", "How many? <image 1>", "['24', 'twenty-four']"),
    ]
    return load_suite("mmmu", copies.mmmu(tmp_path / "mmmu.parquet", rows))


def test_mmmu_puts_images_where_question_and_options_name_them(mmmu):
    assert [shades(example) for example in mmmu] == [[10], [20, 30], [10]]
    kinds = [part["type"] for part in mmmu[1].prompt[0]["content"]]
    assert kinds == ["text", "image", "text", "image", "text"]
    assert "(B) $7" in as_text(mmmu[0].prompt)
    assert "<image" not in as_text(mmmu[1].prompt)


@pytest.mark.parametrize(
    ("completion", "letter"),
    [
        ("Answer: B", "B"),
        ("B", "B"),
        (r"\boxed{\text{B}}", "B"),
        ("The answer is $7.", "B"),
        ("I compare (A) and then choose (B).", "B"),
        ("<think>(B)</think> I choose (C).", "C"),
        ("I do not know.", ""),
        ("Answer: F", ""),
    ],
)
def test_mmmu_option_is_read_as_the_official_code_reads_it_but_never_guessed(mmmu, completion, letter):
    verdict = judge(completion, mmmu[0])
    assert (verdict.extracted, verdict.correct) == (letter, letter == "B")


@pytest.mark.parametrize(
    ("completion", "correct"),
    [
        ("Answer: 24", True),
        ("There are 24.00 of them, so 24", True),
        ("It is twenty-four altogether", True),
        ("Answer: 25", False),
        ("<think>24</think>Answer: 2,400", False),
        ("", False),
    ],
)
def test_mmmu_open_answer_matches_any_gold_by_number_or_contained_text(mmmu, completion, correct):
    assert judge(completion, mmmu[2]).correct is correct


def test_mmmu_overall_weighs_questions_and_disciplines_stand_beside_it(mmmu):
    verdicts, found = score(mmmu, ["Answer: B", "Answer: B", "Answer: 24"])
    assert [verdict.correct for verdict in verdicts] == [True, False, True]
    assert found == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy/Art and Design": 0.0,
        "accuracy/Business": 1.0,
        "accuracy/Science": 1.0,
    }


def test_mmmu_in_the_hubs_layout_joins_its_subjects(tmp_path):
    configs = []
    for subject in ("Accounting", "Art"):
        row = copies.mmmu_row(f"validation_{subject}_1", "<image 1>?", "A", "['x', 'y']")
        copies.mmmu(tmp_path / subject / "validation-00000-of-00001.parquet", [row])
        configs.append(
            f"- config_name: {subject}\n  data_files:\n  - split: validation\n    path: {subject}/validation-*"
        )
    (tmp_path / "README.md").write_text("---\nconfigs:\n" + "\n".join(configs) + "\n---\n")
    found = load_suite("mmmu", str(tmp_path))
    assert [example.meta["subject"] for example in found] == ["Accounting", "Art"]


def test_split_without_public_answers_is_refused(tmp_path):
    row = copies.mmmu_row("test_Art_1", "?", "?", "['x', 'y']")
    with pytest.raises(UserError, match="no public answers in this split: use the split 'validation'"):
        load_suite("mmmu", copies.mmmu(tmp_path / "test.parquet", [row]))


@pytest.fixture
def mathvista(tmp_path):
    rows = [
        {
            "pid": "1",
            "question": "Larger?",
            "query": "Hint: choose.\nQuestion: Larger?\nChoices:\n(A) yes\n(B) no",
            "choices": ["yes", "no"],
            "answer": "no",
            "question_type": "multi_choice",
            "answer_type": "text",
            "metadata": {"task": "geometry problem solving"},
        },
        {"pid": "2", "question": "How many?", "answer": "14", "question_type": "free_form", "answer_type": "integer"},
        {"pid": "3", "question": "?", "answer": "1.45", "precision": 2.0, "answer_type": "float"},
        {"pid": "4", "question": "?", "answer": "[2007, 2008]", "answer_type": "list"},
    ]
    return load_suite("mathvista", copies.mathvista(tmp_path / "data" / "testmini-0.parquet", rows))


@pytest.mark.parametrize(
    ("index", "completion", "correct"),
    [
        (0, r"\boxed{B}", True),
        (0, "The answer is no.", True),
        (0, r"\boxed{nope}", False),
        (1, r"\boxed{14}", True),
        (1, r"\boxed{14.0}", True),
        (1, r"\boxed{14 apples}", True),
        (1, "14", True),
        (1, "There are 14 of them", False),
        (1, r"\boxed{15}", False),
        (2, r"\boxed{1.449}", True),
        (2, r"\boxed{\$1.45}", True),
        (2, r"\boxed{1.46}", False),
        (3, r"\boxed{[2007, 2008]}", True),
        (3, "Answer: [2007,2008.0]", True),
        (3, r"\boxed{[2008, 2007]}", False),
    ],
)
def test_mathvista_judges_by_the_type_of_the_answer(mathvista, index, completion, correct):
    assert judge(completion, mathvista[index]).correct is correct


def test_mathvista_asks_in_the_official_words_and_counts_per_task(mathvista):
    assert as_text(mathvista[0].prompt).startswith("\nHint: choose.\nQuestion: Larger?")
    assert shades(mathvista[0]) == [7]
    found = metrics(mathvista, [True, False, False, True])
    assert found["accuracy"] == 0.5
    assert found["accuracy/geometry problem solving"] == 1.0


@pytest.fixture
def mathvision(tmp_path):
    rows = [
        {"id": "1", "question": "What?\n<image1>", "answer": "60"},
        {"id": "2", "question": "Which?\n<image1>", "options": list("ABCDE"), "answer": "C", "level": 2},
        {"id": "3", "question": "How long?", "options": ["3", "4"], "answer": "B", "level": 2, "subject": "length"},
        {"id": "5", "question": "Which letter?", "options": ["A", "B", "D", "E", "G"], "answer": "D"},
        {"id": "4", "question": "Exactly?", "answer": "\\frac{1}{3}", "level": 5},
    ]
    return load_suite("mathvision", copies.mathvision(tmp_path / "test.parquet", rows))


@pytest.mark.parametrize(
    ("index", "completion", "correct"),
    [
        (0, r"\boxed{60}", True),
        (0, r"\boxed{60.001}", True),
        (0, r"\boxed{60.1}", False),
        (1, r"\boxed{C}", True),
        (1, r"\boxed{c}", True),
        (1, r"\boxed{D}", False),
        (2, r"\boxed{B}", True),
        (2, r"\boxed{4}", True),
        (2, r"\boxed{3}", False),
        (3, r"\boxed{D}", True),
        (3, r"\boxed{E}", True),
        (3, r"\boxed{G}", False),
        (4, r"\boxed{\frac{2}{6}}", True),
        (4, r"\boxed{0.33}", True),
        (4, r"\boxed{0.34}", False),
    ],
)
def test_mathvision_takes_letter_value_or_two_decimals(mathvision, index, completion, correct):
    assert judge(completion, mathvision[index]).correct is correct


def test_mathvision_counts_per_level_and_subject(mathvision):
    found = metrics(mathvision, [True, True, False, True, False])
    assert found["accuracy/2"] == 0.5
    assert found["accuracy/length"] == 0.0
    assert shades(mathvision[0]) == [7]


@pytest.fixture
def zerobench(tmp_path):
    rows = [
        {"question_id": "1", "question_text": "How many?", "question_answer": "1,204"},
        {"question_id": "2", "question_text": "Which?", "question_answer": "Blue Whale"},
    ]
    pictures = [copies.picture(1), copies.picture(2)]
    rows = [row | {"question_images_decoded": pictures, "question_images": ["a", "b"]} for row in rows]
    return load_suite("zerobench", copies.zerobench(tmp_path / "zerobench.parquet", rows))


@pytest.mark.parametrize(
    ("index", "completion", "correct"),
    [
        (0, "Let us see {12}. No: {1204}", True),
        (0, "The final answer is {1204.0}.", True),
        (0, r"\boxed{1204}", True),
        (0, "<answer>1,204</answer>", True),
        (0, "{1205}", False),
        (0, "I see 1204 of them.", False),
        (0, "1204", True),
        (1, '{"blue  whale."}', True),
        (1, "{a blue whale}", False),
        (1, "<think>{blue whale}</think>", False),
    ],
)
def test_zerobench_is_exact_match_of_the_last_braces(zerobench, index, completion, correct):
    assert judge(completion, zerobench[index]).correct is correct


def test_zerobench_shows_every_image_before_the_text(zerobench):
    assert shades(zerobench[0]) == [1, 2]
    assert as_text(zerobench[0].prompt).endswith("like this: {final answer}")


TWO_STEPS = ("2steps_1", "2steps_2", "2steps_multi")
THREE_STEPS = ("3steps_1", "3steps_2", "3steps_3", "3steps_multi")


@pytest.fixture
def wemath(tmp_path):
    # As on the hub: the questions of a problem are not together.
    rows = [copies.wemath_row(name, key, "B") for key in TWO_STEPS for name in ("2steps_1", "2steps_2", "2steps_3")]
    rows += [copies.wemath_row("3steps_1", key, "B") for key in THREE_STEPS]
    return lambda **given: load_suite("wemath", copies.wemath(tmp_path / "testmini.parquet", rows), **given)


def test_wemath_score_is_the_one_computed_by_hand(wemath):
    examples = wemath()
    assert [example.id for example in examples[:3]] == ["2steps_1-1", "2steps_1-2", "2steps_1-multi"]
    right = {
        "2steps_1": (True, True, True),  # complete mastery
        "2steps_2": (True, True, False),  # inadequate generalisation
        "2steps_3": (True, False, True),  # strict: rote memorisation, loose: complete mastery
        "3steps_1": (False, True, True, False),  # insufficient knowledge
    }
    correct = [flag for name in right for flag in right[name]]
    found = metrics(examples, correct)
    assert found["problems"] == 4
    assert found["score_strict"] == pytest.approx((4 - 0.5 * 1 - 1 - 1) / 4)  # the official 525 − ½IG − RM − IK
    assert found["score_loose"] == pytest.approx((4 - 0.5 * 1 - 0 - 1) / 4)
    assert found["RM_strict"] == pytest.approx(1 / 2)
    assert found["RM_loose"] == 0.0
    assert (found["IK_strict"], found["IG_strict"], found["CM_strict"]) == (0.25, 0.25, 0.25)
    assert (found["accuracy/2 steps"], found["accuracy/3 steps"]) == (pytest.approx(2 / 3), 0.0)
    assert found["accuracy"] == pytest.approx(9 / 13)


def test_wemath_limit_keeps_whole_problems_and_leaves_the_rest_out_of_the_score(wemath):
    examples = wemath(limit=5)
    assert metrics(examples, [True] * 5)["problems"] == 1
    assert metrics(examples[:2], [True, False]) == {"accuracy": 0.5}


@pytest.mark.parametrize("steps", [2, 3])
def test_wemath_every_outcome_is_of_exactly_one_kind_and_loose_is_never_worse(steps):
    points = {"CM": 1.0, "IG": 0.5, "IK": 0.0, "RM": 0.0}
    for *parts, whole in product((True, False), repeat=steps + 1):
        strict, loose = verdict_of(parts, whole)
        assert points[loose] >= points[strict]
        assert (strict in {"CM", "RM"}) == whole == (loose in {"CM", "RM"})


@pytest.mark.parametrize(
    "completion", ["<Thought process>: <<so>> <Answer>: <<B>>", "<Answer>: B", r"\boxed{4}", "B. 4"]
)
def test_wemath_understands_its_own_form_and_ours(wemath, completion):
    assert judge(completion, wemath(limit=1)[0]).correct


def test_wemath_options_are_split_at_their_letters():
    assert split_options("A. 300, 400;B. 1.5 m; C. a. b; E. No correct answer") == [
        "300, 400",
        "1.5 m",
        "a. b",
        "No correct answer",
    ]


def test_wemath_json_of_the_repository_finds_its_images_beside_it(tmp_path):
    (tmp_path / "2steps").mkdir()
    copies.picture(33).save(tmp_path / "2steps" / "1-1.png")
    row = copies.wemath_row("2steps_1", "2steps_1", "C") | {"image_path": "2steps/1-1.png"}
    (tmp_path / "testmini.json").write_text(json.dumps([row]))
    assert shades(load_suite("wemath", str(tmp_path / "testmini.json"))[0]) == [33]


def test_instruction_of_the_caller_replaces_the_benchmarks_own(wemath):
    text = as_text(wemath(limit=1, instruction="Use <answer>.")[0].prompt)
    assert text.endswith("Use <answer>.")
    assert "<Thought process>" not in text


def test_copy_of_another_benchmark_is_refused_with_the_column_it_lacks(tmp_path):
    path = copies.zerobench(tmp_path / "z.parquet", [{"question_id": "1", "question_images_decoded": []}])
    with pytest.raises(UserError, match="is no copy of wemath: it has no column 'ID' but question_id"):
        load_suite("wemath", path)


def test_unknown_benchmark_is_told_with_the_nearest_name():
    with pytest.raises(UserError, match="did you mean 'mathvista'"):
        load_suite("mathvist")


def test_hub_benchmark_without_network_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for benchmark in BENCHMARKS.values():
        with pytest.raises(UserError, match="nor to be had from the hub"):
            load_suite(benchmark.name)


def test_gold_of_mathvista_is_an_options_text_even_if_it_is_a_letter(tmp_path):
    row = {"pid": "1", "question": "Which point?", "choices": ["C", "A", "D", "B"], "answer": "A"}
    (example,) = load_suite("mathvista", copies.mathvista(tmp_path / "v.parquet", [row | {"answer_type": "text"}]))
    assert [judge(text, example).correct for text in (r"\boxed{B}", r"\boxed{A}", r"\boxed{(B) A}")] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("answer", ["F", "b)", "7", "None", ""])
def test_question_whose_answer_is_no_option_is_marked_and_never_right(tmp_path, answer):
    rows = [{"id": str(n), "question": "Which?", "options": ["2", "3", "5"], "answer": "A"} for n in range(2)]
    rows[1]["answer"] = answer
    good, bad = load_suite("mathvision", copies.mathvision(tmp_path / "v.parquet", rows))
    assert "unanswerable" not in good.meta
    if answer == "b)":  # a letter in another dress
        assert judge(r"\boxed{B}", bad).correct
    else:
        assert "unanswerable" in bad.meta
        assert not any(judge(rf"\boxed{{{said}}}", bad).correct for said in ("A", "F", "7", "None", "3"))


def test_options_beyond_the_tenth_have_letters(tmp_path):
    options = [str(n) for n in range(12)]
    row = copies.mmmu_row("validation_Math_1", "Which? <image 1>", "K", repr(options))
    (example,) = load_suite("mmmu", copies.mmmu(tmp_path / "m.parquet", [row]))
    assert "(L) 11" in as_text(example.prompt)
    assert judge("Answer: K", example).correct
    assert not judge("Answer: L", example).correct


@pytest.mark.parametrize("said", [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{½}", r"\boxed{A}"])
def test_value_of_an_option_counts_in_any_form(tmp_path, said):
    row = {"id": "1", "question": "Which?", "options": [r"$\frac12$", r"$\frac13$"], "answer": "A"}
    (example,) = load_suite("mathvision", copies.mathvision(tmp_path / "v.parquet", [row]))
    assert judge(said, example).correct
