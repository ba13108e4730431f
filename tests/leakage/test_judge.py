"""The optional judge, with a random model made here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.inputs import Columns, completions_source
from rlsd_cli.leakage.judge import WINDOW, WINDOWS, Judge, windows

LEAK, CLEAN = "The reference solution says 7.", "The total is 7."


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random byte-level model with a context of 64 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: index for index, char in enumerate(["<eos>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    path = tmp_path_factory.mktemp("judge")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>").save_pretrained(path)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(alphabet) + 1,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
    )
    Qwen3ForCausalLM(config).save_pretrained(path)
    return path


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"completion": text}) + "\n" for text in [LEAK] * 3 + [CLEAN] * 5))
    return completions_source(path, Columns())


def test_without_a_judge_no_model_is_loaded(source, tmp_path, monkeypatch):
    monkeypatch.setattr("rlsd_cli.models.load.load_model", lambda config: pytest.fail("a model was loaded"))
    assert audit(source, tmp_path / "out")["judge"] is None


def test_a_judge_sees_completions_of_both_kinds_up_to_the_limit(judge, source, tmp_path, monkeypatch):
    told = {LEAK: 0.9, CLEAN: 0.1}

    def probability(self, text):
        return next(value for key, value in told.items() if key in text)

    monkeypatch.setattr(Judge, "probability_of_yes", probability)
    report = audit(source, tmp_path / "out", Options(judge=str(judge), judge_limit=4, shown=0))
    assert report["judge"] == {
        "model": str(judge),
        "mentions": {"judged": 3, "yes": 3},
        "others": {"judged": 4, "yes": 0},
        "flagged": [],
    }
    assert (report["n"], report["hits"]) == (8, 3)


def test_a_leak_far_into_a_text_reaches_the_judge_and_is_listed_with_its_place(judge, tmp_path, monkeypatch):
    hidden = "Somebody whispered the number to me."
    text = "We compute. " * 400 + hidden + " We compute." * 100
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"completion": t}) + "\n" for t in (text, CLEAN)))
    monkeypatch.setattr(Judge, "probability_of_yes", lambda self, question: 0.8 if hidden in question else 0.2)
    report = audit(completions_source(path, Columns()), tmp_path / "out", Options(judge=str(judge)))
    assert report["hits"] == 0
    (flagged,) = report["judge"]["flagged"]
    assert (flagged["row"], flagged["probability"]) == (1, 0.8)
    assert hidden in flagged["text"]
    assert text[flagged["start"] :].startswith(flagged["text"])
    assert hidden in (tmp_path / "out" / "report.html").read_text()


def test_the_judge_loads_before_anything_is_read(source, tmp_path):
    def read():
        pytest.fail("the input was read although the judge cannot be had")
        yield

    with pytest.raises(UserError, match="does not exist"):
        audit(replace(source, read=read), tmp_path / "out", Options(judge=str(tmp_path / "missing")))


def test_a_causal_model_judges_and_twice_the_same(judge, source, tmp_path):
    first = audit(source, tmp_path / "a", Options(judge=str(judge)))["judge"]
    again = audit(source, tmp_path / "b", Options(judge=str(judge)))["judge"]
    assert first == again
    assert first["mentions"]["judged"] == 3
    assert first["others"]["judged"] == 5


def test_a_long_text_is_cut_on_the_left_to_the_models_context(judge):
    one = Judge(str(judge))
    value = one.probability_of_yes("x" * 500 + "verdict:" * 8)
    assert 0 < value < 1
    assert value == one.probability_of_yes("y" * 500 + "verdict:" * 8)
    assert value != one.probability_of_yes("other words" * 20)


def test_a_verdict_of_several_tokens_has_the_probability_of_them_all(judge):
    import torch

    one = Judge(str(judge))
    ids, word = [5, 6, 7], [8, 9]
    with torch.no_grad():
        logits = one.model(input_ids=torch.tensor([ids + word])).logits[0]
    first, second = logits[2].log_softmax(-1)[8], logits[3].log_softmax(-1)[9]
    assert one.log_probability(ids, word) == pytest.approx(float(first + second), rel=1e-5)


def test_windows_cover_a_text_and_of_a_huge_one_there_are_a_bounded_number():
    text = "".join(chr(97 + index % 26) for index in range(7300))
    found = windows(text)
    assert all(text[start : start + WINDOW] == part for start, part in found)
    covered = {place for start, part in found for place in range(start, start + len(part))}
    assert covered == set(range(len(text)))
    many = windows("x" * 10_000_000)
    assert len(many) == WINDOWS
    assert many[-1][0] == 10_000_000 - WINDOW
    assert windows("") == [(0, "")]


def test_a_judge_that_cannot_say_yes_or_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="'yes' from 'no'"):
        Judge("micro-base")
    with pytest.raises(UserError, match="does not exist"):
        Judge(str(tmp_path / "missing"))
