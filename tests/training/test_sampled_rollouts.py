"""What rollouts are drawn from, and in which words of the chat template, on either side."""

import pytest
import torch
from trainers import one_batch

from rlsd_cli.errors import UserError
from rlsd_cli.models.limits import check_variables
from rlsd_cli.training import fast_rollouts
from rlsd_cli.training.arguments import vllm_arguments

PENALTY = {"rollout": {"presence_penalty": 2.0}, "train": {"temperature": 0.7, "max_completion_tokens": 20}}


def test_a_presence_penalty_draws_the_same_by_either_loop(tiny_trainer, monkeypatch):
    own, other = (tiny_trainer("grpo", PENALTY, folder=folder) for folder in "ab")
    torch.manual_seed(3)
    _, first = one_batch(own)
    monkeypatch.setattr(fast_rollouts, "decodable", lambda model: False)  # so that TRL's `generate` does it
    torch.manual_seed(3)
    _, second = one_batch(other)
    assert torch.equal(first["completion_ids"], second["completion_ids"])
    assert "generate" not in vars(own.model), "the model's own method is back"


def repeats(trainer):
    torch.manual_seed(0)
    _, batch = one_batch(trainer)
    rows = [
        row[mask.bool()].tolist() for row, mask in zip(batch["completion_ids"], batch["completion_mask"], strict=True)
    ]
    return sum(len(row) - len(set(row)) for row in rows)


def test_a_penalty_makes_repetitions_rarer_and_none_changes_nothing(tiny_trainer):
    plain = {"train": PENALTY["train"]}
    assert repeats(tiny_trainer("grpo", PENALTY, folder="a")) < repeats(tiny_trainer("grpo", plain, folder="b"))


def test_vllm_is_asked_for_the_penalty_with_the_images_bias(tiny_config):
    rollout = tiny_config("grpo", {"rollout": {"engine": "vllm", "presence_penalty": 1.5}}).rollout

    class Vision:
        image_token_id = 7

        def get_text_config(self):
            return self

    assert vllm_arguments(rollout, Vision(), 8)["generation_kwargs"] == {
        "logit_bias": {7: -100.0},
        "presence_penalty": 1.5,
    }
    assert "generation_kwargs" not in vllm_arguments(
        tiny_config("grpo", {"rollout": {"engine": "vllm"}}).rollout, object.__new__(Plain), 8
    )


class Plain:
    """The configuration of a text model."""

    image_token_id = None
    max_position_embeddings = 64

    def get_text_config(self):
        return self


@pytest.mark.parametrize("value", [-2.1, 2.5, "much"])
def test_a_penalty_out_of_range_is_refused(tiny_config, value):
    with pytest.raises(UserError, match=r"rollout\.presence_penalty"):
        tiny_config("grpo", {"rollout": {"presence_penalty": value}})


TEMPLATE = (
    "{% for turn in messages %}{{ turn['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}{{ 'so' if enable_thinking else 'thus' }}{% endif %}"
)


@pytest.fixture
def chatty(tiny_trainer, tiny_config, tiny_model, tmp_path, monkeypatch):
    """A function that builds a trainer on chats, whose template has a thinking mode."""
    import json
    import shutil

    import datasets
    from transformers import AutoTokenizer

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "chatty"
    shutil.copytree(tiny_model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    rows = [{"prompt": f"question {n} + 1 ?", "answer": str(n + 1), "solution": f"answer {n + 1}"} for n in range(6)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"path": str(path), "held_out": 0, "instruction": "", "max_completion_tokens": 8}
    layer = {"model": {"path": str(folder)}, "task": {"name": "dataset", "data": data}}

    def make(method, *layers, name="run"):
        return tiny_trainer(method, layer, *layers, folder=name)

    return make


def ends(trainer, ids, mask):
    return {trainer.processing_class.decode(row[kept.bool()][-1:]) for row, kept in zip(ids, mask, strict=True)}


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ({}, None, ("thus", "thus")),
        ({"enable_thinking": True}, None, ("so", "so")),
        ({}, {"enable_thinking": True}, ("thus", "so")),
        ({"enable_thinking": True}, {}, ("so", "thus")),
    ],
)
def test_each_side_has_its_own_thinking_mode(chatty, student, teacher, expected):
    trainer = chatty("opsd", {"model": {"chat_template_kwargs": student}, "teacher": {"chat_template_kwargs": teacher}})
    _, batch = one_batch(trainer)
    assert ends(trainer, batch["prompt_ids"], batch["prompt_mask"]) == {expected[0]}
    assert ends(trainer, batch["teacher_prompt_ids"], batch["teacher_prompt_mask"]) == {expected[1]}
    assert trainer.chat_template_kwargs == student


def test_a_variable_that_the_template_does_not_read_is_refused(chatty):
    with pytest.raises(UserError, match=r"has no variable 'enable_thinkng', did you mean 'enable_thinking'"):
        chatty("opsd", {"teacher": {"chat_template_kwargs": {"enable_thinkng": False}}})


def test_a_model_without_a_template_has_no_variables(tiny_model):
    from transformers import AutoTokenizer

    with pytest.raises(UserError, match="has no variable 'x'; it has: none"):
        check_variables(AutoTokenizer.from_pretrained(tiny_model), {"x": 1}, "tiny")
