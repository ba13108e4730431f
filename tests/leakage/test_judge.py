"""The optional judge, with a random model made here."""

import json
from pathlib import Path

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.inputs import Columns, Completion, completions_source
from rlsd_cli.leakage.judge import AROUND, excerpt, log_probability, probability_of_yes, second_opinion

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


def test_a_judge_sees_completions_of_both_kinds_up_to_the_limit(source, tmp_path, monkeypatch):
    told = {LEAK: 0.9, CLEAN: 0.1}

    def probability(model, tokenizer, text):
        return next(value for key, value in told.items() if key in text)

    monkeypatch.setattr("rlsd_cli.leakage.judge.probability_of_yes", probability)
    monkeypatch.setattr("rlsd_cli.models.load.load_model", lambda config: type("M", (), {"eval": lambda self: self})())
    monkeypatch.setattr("rlsd_cli.models.load.load_tokenizer", lambda path: None)
    monkeypatch.setattr("rlsd_cli.leakage.judge.verdicts", lambda tokenizer: ([1], [2]))
    report = audit(source, tmp_path / "out", Options(judge="m", judge_limit=4, shown=0))
    assert report["judge"] == {
        "model": "m",
        "mentions": {"judged": 3, "yes": 3},
        "others": {"judged": 4, "yes": 0},
    }
    assert (report["n"], report["hits"]) == (8, 3)


def test_a_causal_model_judges_and_twice_the_same(judge, source, tmp_path):
    first = audit(source, tmp_path / "a", Options(judge=str(judge)))["judge"]
    again = audit(source, tmp_path / "b", Options(judge=str(judge)))["judge"]
    assert first == again
    assert first["mentions"]["judged"] == 3
    assert first["others"]["judged"] == 5


def test_a_long_text_is_cut_on_the_left_to_the_models_context(judge):
    from rlsd_cli.config.run import ModelConfig
    from rlsd_cli.models.load import load_model, load_tokenizer

    model, tokenizer = load_model(ModelConfig(path=str(judge))).eval(), load_tokenizer(str(judge))
    value = probability_of_yes(model, tokenizer, "x" * 500 + "verdict:" * 8)
    assert 0 < value < 1
    assert value == probability_of_yes(model, tokenizer, "y" * 500 + "verdict:" * 8)
    assert value != probability_of_yes(model, tokenizer, "other words" * 20)


def test_a_verdict_of_several_tokens_has_the_probability_of_them_all(judge):
    import torch

    from rlsd_cli.config.run import ModelConfig
    from rlsd_cli.models.load import load_model

    model = load_model(ModelConfig(path=str(judge))).eval()
    ids, word = [5, 6, 7], [8, 9]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids + word])).logits[0]
    first, second = logits[2].log_softmax(-1)[8], logits[3].log_softmax(-1)[9]
    assert log_probability(model, ids, word) == pytest.approx(float(first + second), rel=1e-5)


def test_the_judge_reads_around_the_first_mention():
    text = "a" * 2000 + LEAK + "b" * 2000
    start = text.index("reference")
    part = excerpt(Completion(text, "", "", None, "x", 1), [Hit("reference_solution", start, start + 18, "")])
    assert "reference solution" in part
    assert len(part) == 2 * AROUND
    assert excerpt(Completion(text, "", "", None, "x", 1), []) == text[: 2 * AROUND]


def test_a_judge_that_cannot_say_yes_or_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="'yes' from 'no'"):
        second_opinion("micro-base", [], [])
    with pytest.raises(UserError, match="does not exist"):
        second_opinion(str(tmp_path / "missing"), [], [])
