"""What RLSD's released code can switch on: a warm-up of λ, credit in the thought alone, prompts and reward by type."""

import json

import pytest
import torch

from rlsd_cli.arms.configure import build
from rlsd_cli.arms.rlsd import Options, token_credit
from rlsd_cli.arms.tokens import Tokens
from rlsd_cli.errors import UserError
from rlsd_cli.objectives import linear_decay
from rlsd_cli.tasks.load import task_of
from rlsd_cli.tasks.official import official_text
from rlsd_cli.tasks.templates import fields_in_row, open_book
from rlsd_cli.training.thoughts import inside, thought_mask
from rlsd_cli.verifiers.verdict import Verdict


# By hand, W = 10 and D = 60 from 0.5: half of it at step 5, all at 10, half again 30 steps later, none from 70 on.
@pytest.mark.parametrize(("step", "expected"), [(1, 0.05), (5, 0.25), (10, 0.5), (40, 0.25), (70, 0.0), (90, 0.0)])
def test_lambda_rises_over_the_warm_up_and_falls_after_it(step, expected):
    assert linear_decay(step, 0.5, 60, 10) == pytest.approx(expected)


def test_without_a_warm_up_lambda_is_as_before_to_the_bit():
    assert [linear_decay(step, 0.5, 60, 0) for step in range(1, 80)] == [
        0.5 * max(0.0, 1 - step / 60) for step in range(1, 80)
    ]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["so", " 4"], [0, 0]),
        (["<thought>", "a", "b", "</thought>", "c"], [0, 1, 1, 0, 0]),
        (["x", "<thought>", "a"], [0, 0, 1]),  # never closed: to the end
        (["<thou", "ght>", "a", "</", "thought>", "<thought>", "b"], [0, 0, 1, 0, 0, 0, 1]),
        (["<thought>\n", "a", ".</thought>"], [0, 1, 1]),  # a full stop that shares a token with a tag begins inside
        (["</thought>", "a"], [0, 0]),
        ([], []),
    ],
)
def test_which_pieces_stand_in_a_thought(pieces, expected):
    assert inside(pieces) == [bool(each) for each in expected]


class Letters:
    """A tokenizer of single letters, for which a tag is always the same tokens."""

    def decode(self, ids, skip_special_tokens=False):
        return "".join(map(chr, ids))


def official_rule(row, start, end):
    """Return the mask as the released code makes it: a state that flips where a tag's tokens are met."""
    mask, within, place = [0] * len(row), False, 0
    while place < len(row):
        tag = end if within else start
        if row[place : place + len(tag)] == tag:
            within, place = not within, place + len(tag)
            continue
        mask[place] = int(within)
        place += 1
    return mask


def test_where_tags_are_whole_tokens_the_mask_is_the_official_ones():
    texts = ["<thought>ab</thought><answer>4</answer>", "x<thought>a<b</thought>y<thought>z", "</thought><thought>"]
    start, end = ([ord(letter) for letter in tag] for tag in ("<thought>", "</thought>"))
    width = max(map(len, texts))
    ids = torch.tensor([[ord(letter) for letter in text.ljust(width)] for text in texts])
    mask = torch.tensor([[int(place < len(text)) for place in range(width)] for text in texts])
    expected = torch.tensor([official_rule(row, start, end) for row in ids.tolist()]) * mask
    assert torch.equal(thought_mask(ids, mask, Letters()), expected)


def tokens_with(thought):
    student = torch.tensor([[-1.0, -1.0, -1.0]])
    return Tokens(
        student=student,
        teachers={"teacher": student + 0.1},
        present={"teacher": torch.tensor([True])},
        entropy=torch.zeros(1, 3),
        advantage=torch.tensor([2.0]),
        correct=torch.tensor([True]),
        mask=torch.ones(1, 3),
        ids=torch.ones(1, 3, dtype=torch.long),
        step=1,
        thought=thought,
    )


# By hand: Δ = 0.1 everywhere, w = e^0.1 = 1.10517; λ = 1: Â = 2·1.10517 inside the thought and 2 outside.
def test_credit_moves_in_the_thought_alone():
    options = Options(mix=1.0, mix_decay_steps=0, thought_only=True)
    found = token_credit(tokens_with(torch.tensor([[0.0, 1.0, 0.0]])), options).values
    assert found.tolist() == [[2.0, pytest.approx(2.21034, abs=1e-5), 2.0]]
    everywhere = token_credit(tokens_with(None), options).values
    assert torch.equal(token_credit(tokens_with(torch.ones(1, 3)), options).values, everywhere)


def test_completions_without_a_thought_are_grpo_s(tiny_trainer):
    from trainers import one_batch, reward_even_length

    trainer = reward_even_length(tiny_trainer("rlsd", {"objective": {"thought_only": True}}))
    _, batch = one_batch(trainer)
    plain = reward_even_length(tiny_trainer("grpo", folder="b"))
    _, same = one_batch(plain)
    assert trainer._compute_loss(trainer.model, batch).item() == pytest.approx(
        plain._compute_loss(plain.model, same).item(), abs=1e-6
    )
    assert trainer.means.take()["rlsd/thought"] == 0


CHOICE = {
    "problem": "<image> Which one? ",
    "answer": "B",
    "problem_type": "Multiple choice",
    "options": ["A. red", "B. blue"],
    "id": "c",
}
MATHS = {"problem": "What is 3 + 4?", "answer": "7", "problem_type": "Math", "options": None, "id": "m"}


@pytest.fixture
def official(tmp_path):
    def make(rows=(CHOICE, MATHS), teacher=None, **data):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps({"images": [], **row}) + "\n" for row in rows))
        section = {"path": str(path), "layout": "rlsd", "held_out": 0, "instruction": "Think, then answer."}
        section |= {"prompts": "official", "reward": "official", **data}
        layer = {"method": "rlsd", "task": {"name": "dataset", "data": section}}
        return build([layer, {"teacher": teacher or {}}])

    return make


def by_id(task):
    return {example.id: example for example in (task.train_example(0, index) for index in range(2))}


def test_the_students_prompt_has_role_format_question_and_options_in_the_official_order(official):
    asked = by_id(task_of(official()))
    text = asked["c"].prompt[0]["content"]
    order = [
        "good at",
        "[Multiple choice]",
        "Think, then answer.",
        "letter of the right option",
        "Which one?",
        "B. blue",
    ]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert text.count("Think, then answer.") == 1, "the instruction does not follow once more"
    assert "Options" not in asked["m"].prompt[0]["content"]
    assert "mathematical" in asked["m"].prompt[0]["content"]


@pytest.mark.parametrize("kind", ["", None, "astrology", 7])
def test_an_unknown_problem_type_is_a_general_question(kind):
    assert "[General]" in official_text("Why?", kind, None, "Think.")


def test_the_teachers_template_has_the_bare_question_the_reference_and_the_format(official):
    task = task_of(official(teacher={"template": "{question}\n\n{reference}\n\n{instruction}"}))
    example = by_id(task)["c"]
    prompt = open_book(task, example.prompt, "B", fields_in_row(task, example))
    assert prompt[-1]["content"] == "Which one?\n\nB\n\nThink, then answer."


# The released code: 0.9 accuracy + 0.1 format for mathematics, accuracy alone for every other type and for none.
@pytest.mark.parametrize(("name", "plain", "formatted"), [("m", 0.9, 1.0), ("c", 1.0, 1.0)])
def test_only_mathematics_is_rewarded_for_its_format(official, name, plain, formatted):
    task = task_of(official())
    answer = by_id(task)[name].answer
    for text, value in (
        (f"<answer>{answer}</answer>", plain),
        (f"<thought>x</thought><answer>{answer}</answer>", formatted),
    ):
        verdict = task.verify(text, answer, name)
        assert verdict.correct
        assert task.reward(text, verdict) == pytest.approx(value)
    assert task.reward("<thought>x</thought><answer>no</answer>", Verdict(False, "no")) == 0.0


def test_a_reward_by_problem_type_needs_the_types(official, tmp_path):
    bare = [{key: value for key, value in row.items() if key != "problem_type"} for row in (CHOICE, MATHS)]
    with pytest.raises(UserError, match=r"task\.data\.columns\.problem_type"):
        task_of(official(bare))
    with pytest.raises(UserError, match="stands for questions of two problem types"):
        task_of(official([CHOICE, MATHS | {"id": "c"}]))


def test_official_prompts_are_for_text(official):
    chats = [row | {"problem": [{"role": "user", "content": "?"}]} for row in (CHOICE, MATHS)]
    with pytest.raises(UserError, match="prompts=official words text"):
        task_of(official(chats)).train_example(0, 0)


def test_older_runs_keep_their_configuration():
    written = build([{"method": "rlsd"}]).model_dump()
    assert not {"mix_warmup_steps", "thought_only"} & set(written["objective"])
