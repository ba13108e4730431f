"""The engine on vLLM, against a stand-in module that records what it is asked."""

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from PIL import Image

from rlsd_cli.errors import UserError
from rlsd_cli.generation.engine import EngineOptions
from rlsd_cli.generation.sampling import Sampling
from rlsd_cli.generation.vllm_engine import VllmEngine


class SamplingParams:
    def __init__(self, *, n, max_tokens, temperature, seed, **more):
        self.n, self.max_tokens, self.temperature, self.seed = n, max_tokens, temperature, seed
        self.more = more


class LLM:
    made: ClassVar[list["LLM"]] = []

    def __init__(self, model, *, trust_remote_code, dtype, tensor_parallel_size, seed, **more):
        self.model, self.more, self.calls = model, {"dtype": dtype, "gpus": tensor_parallel_size, **more}, []
        assert not trust_remote_code
        LLM.made.append(self)

    def answer(self, kind, prompts, params, use_tqdm):
        assert not use_tqdm
        assert len(prompts) == len(params)
        self.calls.append((kind, prompts, params))
        return [
            SimpleNamespace(
                outputs=[
                    SimpleNamespace(text=f"{i}.{j}", token_ids=[1] * (j + 1), finish_reason=["stop", "length"][j % 2])
                    for j in range(each.n)
                ]
            )
            for i, each in enumerate(params)
        ]

    def chat(self, messages, sampling_params, use_tqdm=True):
        return self.answer("chat", messages, sampling_params, use_tqdm)

    def generate(self, prompts, sampling_params, use_tqdm=True):
        if "long" in prompts:
            raise ValueError("The decoder prompt (length 9) is longer than the maximum model length of 8.")
        return self.answer("generate", prompts, sampling_params, use_tqdm)


@pytest.fixture
def vllm(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    module.__spec__ = SimpleNamespace(name="vllm")
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(LLM, "made", [])
    monkeypatch.setattr("rlsd_cli.generation.vllm_engine.is_vision", lambda source: "vision" in source)


def complete(engine, prompts, **given):
    how = {"samples": 2, "max_new_tokens": 7, "sampling": Sampling(0.6), "greedy": False, "seed": 3}
    return engine.complete(prompts, **{**how, **given})


def test_chats_keep_their_images_in_their_places(vllm):
    engine = VllmEngine("a-vision-model", EngineOptions(dtype="bfloat16", gpus=2, context=4096), images=1)
    picture = Image.new("RGB", (4, 4))
    chat = [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image", "image": picture}]},
    ]
    found = complete(engine, [chat, chat])
    llm = LLM.made[0]
    assert llm.more == {
        "dtype": "bfloat16",
        "gpus": 2,
        "max_model_len": 4096,
        "limit_mm_per_prompt": {"image": 1},
    }
    kind, messages, params = llm.calls[0]
    assert kind == "chat"
    assert messages[0] == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image_pil", "image_pil": picture}]},
    ]
    assert chat[1]["content"][1] == {"type": "image", "image": picture}
    assert [(each.n, each.max_tokens, each.temperature) for each in params] == [(2, 7, 0.6)] * 2
    assert params[0].seed != params[1].seed
    assert found[1] == [("1.0", 1, False), ("1.1", 2, True)]


def test_text_prompts_are_generated_from_and_greedy_is_temperature_zero(vllm):
    engine = VllmEngine("micro-base", EngineOptions(), images=0)
    complete(engine, ["1 + 1 ?"], samples=1, greedy=True)
    kind, prompts, params = LLM.made[0].calls[0]
    assert (kind, prompts, params[0].n, params[0].temperature) == ("generate", ["1 + 1 ?"], 1, 0.0)
    assert LLM.made[0].model.endswith("assets/micro-base")
    assert "limit_mm_per_prompt" not in LLM.made[0].more


def test_every_setting_of_sampling_reaches_vllm_and_only_the_penalty_where_it_is_greedy(vllm):
    engine = VllmEngine("micro-base", EngineOptions(), images=0)
    for greedy in (False, True):
        complete(engine, ["1 + 1 ?"], sampling=Sampling(0.7, 0.9, 20, 0.05, 1.5), greedy=greedy)
    drawn, greedy = (params[0].more for _, _, params in LLM.made[0].calls)
    assert drawn == {"presence_penalty": 1.5, "top_p": 0.9, "top_k": 20, "min_p": 0.05}
    assert greedy == {"presence_penalty": 1.5}


def test_equal_seeds_give_equal_seeds_and_others_others(vllm):
    engine = VllmEngine("micro-base", EngineOptions(), images=0)
    for seed in (1, 1, 2):
        complete(engine, ["a", "b"], seed=seed)
    seeds = [[each.seed for each in params] for _, _, params in LLM.made[0].calls]
    assert seeds[0] == seeds[1]
    assert not set(seeds[0]) & set(seeds[2])


def test_a_prompt_beyond_the_context_is_told_in_one_sentence(vllm):
    engine = VllmEngine("micro-base", EngineOptions(), images=0)
    with pytest.raises(UserError, match="vLLM refuses a question with 'micro-base': The decoder prompt"):
        complete(engine, ["long"])


@pytest.mark.parametrize(("model", "images", "message"), [("smollm2", 0, "GGUF"), ("micro-base", 2, "text only")])
def test_models_that_it_cannot_take_are_refused(vllm, model, images, message):
    with pytest.raises(UserError, match=message):
        VllmEngine(model, EngineOptions(), images)
    assert not LLM.made


def test_without_vllm_the_extra_is_named():
    with pytest.raises(UserError, match=r"pip install 'rlsd-cli\[vllm\]'"):
        VllmEngine("micro-base", EngineOptions(), 0)
