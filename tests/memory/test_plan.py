"""Memory of a run, against numbers worked out by hand."""

import json
from dataclasses import replace

import psutil
import pytest
from typer.testing import CliRunner

from rlsd_cli.arms import load_arm
from rlsd_cli.arms.configure import build
from rlsd_cli.cli import app
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.memory import jobs
from rlsd_cli.memory.advice import advice
from rlsd_cli.memory.memory import (
    GIB,
    Job,
    activations,
    fits,
    gradients,
    needed,
    optimiser,
    parts,
    rollout_cache,
    static_bytes,
    teacher,
    vllm,
    weights,
    working_copy,
)
from rlsd_cli.memory.shapes import Shape, shape_of
from rlsd_cli.models.load import load_model
from rlsd_cli.training.preflight import check_machine

SHAPE = Shape(parameters=1000, adapted=60, layers=2, hidden=10, query=10, key_value=5, intermediate=20, vocabulary=20)
JOB = Job(
    shape=SHAPE,
    gpus=4,
    sharding="ddp",
    bfloat16=True,
    lora_rank=None,
    held_teacher=1000,
    completions=16,
    micro_batch=2,
    tokens=100,
    checkpointing=False,
    vllm_share=0.0,
    rollouts_elsewhere=False,
    gpu_bytes=80 * GIB,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # (weights, gradients, optimiser, teacher). DDP: float32, gradients and their buckets, two moments.
        ({}, (4000, 8000, 8000, 4000)),
        ({"gpus": 1}, (4000, 4000, 8000, 4000)),
        # A quarter each; FSDP2 gathers the teacher in bfloat16: 4000/4 + 2000.
        ({"sharding": "fsdp2"}, (1000, 1000, 2000, 3000)),
        # bfloat16 and float32 weights: 6000/4; the teacher in bfloat16: 2000/4.
        ({"sharding": "zero3"}, (1500, 1000, 2000, 500)),
        # The adapter has 3 x 60 numbers: 2000 + 720, gradients 720 twice, moments 1440.
        ({"lora_rank": 3, "held_teacher": 0}, (2720, 1440, 1440, 0)),
        ({"bfloat16": False, "sharding": "fsdp2"}, (1000, 1000, 2000, 5000)),
    ],
)
def test_what_is_held_throughout(change, expected):
    job = replace(JOB, **change)
    assert (weights(job), gradients(job), optimiser(job), teacher(job)) == expected
    assert static_bytes(job) == sum(expected)


def test_activations_of_a_pass():
    # Numbers a layer keeps per token: 6·10 + 3·10 + 3·5 + 4·20 = 185; 2 sequences of 100 tokens, 2 layers, 2 bytes.
    assert activations(JOB) == 200 * 2 * 185 * 2
    # Checkpointed: the inputs of 2 layers, 20 numbers, and one layer's 185.
    assert activations(replace(JOB, checkpointing=True)) == 200 * (20 + 185) * 2


def test_keys_and_values_of_a_gpus_completions():
    # Keys and values, 2 layers, 5 numbers, 100 tokens, 16/4 completions, float32.
    assert rollout_cache(JOB) == 2 * 2 * 5 * 100 * 4 * 4
    assert rollout_cache(replace(JOB, lora_rank=3)) == 2 * 2 * 5 * 100 * 4 * 2
    assert rollout_cache(replace(JOB, vllm_share=0.3)) == rollout_cache(replace(JOB, rollouts_elsewhere=True)) == 0


def test_a_colocated_vllm_has_its_share_and_at_least_its_weights():
    assert vllm(replace(JOB, vllm_share=0.25)) == 20 * GIB
    # 1000 weights, and keys and values 2·2·5·100, in bfloat16.
    assert vllm(replace(JOB, vllm_share=0.25, gpu_bytes=4000)) == 2 * (1000 + 2000)
    assert vllm(replace(JOB, vllm_share=0.25, gpu_bytes=4000, tensor_parallel=2)) == 1000 + 2000
    assert vllm(JOB) == 0


def test_gathered_and_cast_weights():
    assert working_copy(JOB) == 2000
    # Embeddings 2·20·10 = 400, a layer (1000 − 400)/2 = 300: two layers and the embeddings, in bfloat16.
    assert working_copy(replace(JOB, sharding="fsdp2")) == 2 * (2 * 300 + 400)


def test_of_sampling_and_update_the_larger_one_counts():
    small, large = parts(JOB), parts(replace(JOB, completions=10**9))
    assert small["rollouts: keys and values"] == 0 < small["update: activations"]
    assert large["update: activations"] == 0 < large["rollouts: keys and values"]


@pytest.mark.parametrize(
    ("model", "published"),
    [
        # The parameter counts that the models' pages on the hub show.
        ("Qwen/Qwen3-VL-8B-Instruct", 8_767_123_696),
        ("Qwen/Qwen3-VL-4B-Instruct", 4_437_815_808),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ("smollm2", 134_515_008),
    ],
)
def test_known_models_have_their_published_size(model, published):
    assert shape_of(model).parameters == published


@pytest.mark.parametrize("path", ["micro-base", "tiny"])
def test_a_models_size_is_that_of_its_loaded_weights(path, tiny_model):
    path = str(tiny_model) if path == "tiny" else path
    model = load_model(ModelConfig(path=path))
    assert shape_of(path).parameters == sum(weight.numel() for weight in model.parameters())


def test_an_adapters_size_is_that_of_the_real_one(tiny_model):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        load_model(ModelConfig(path=str(tiny_model))), peft.LoraConfig(r=3, target_modules="all-linear")
    )
    assert adapted.get_nb_trainable_parameters()[0] == 3 * shape_of(str(tiny_model)).adapted


def test_advice_names_changes_that_are_enough():
    tight = replace(JOB, tokens=10**5, gpu_bytes=needed(replace(JOB, tokens=10**5, checkpointing=True)))
    assert not fits(tight)
    assert advice(tight) == "train.gradient_checkpointing=true"
    assert advice(replace(JOB, gpu_bytes=1)) == ""


def test_the_command_answers_by_its_exit_code():
    runner = CliRunner()
    asked = ["plan", "--model", "Qwen/Qwen3-0.6B", "--gpus", "8", "--set", "rollout.engine=vllm"]
    asked += ["--set", "train.micro_batch=1"]
    good = runner.invoke(app, asked)
    assert good.exit_code == 0
    assert "It fits with ddp and fsdp2 and zero3" in good.output
    bad = runner.invoke(app, [*asked[:2], "Qwen/Qwen3-8B", "--gpu-memory", "48", "--prompt-tokens", "512"])
    assert bad.exit_code == 1
    assert "does not fit" in bad.output
    assert "train.lora_rank=16" in bad.output
    small = runner.invoke(app, [*asked[:2], "Qwen/Qwen3-8B", "--gpu-memory", "48", *asked[5:7]])
    # 8,190,735,360 weights and 2·36·1024·5120 keys and values, 2 bytes each: 15.96 of 48 GiB.
    assert "rollout.vllm_gpu_memory to 0.33" in small.output
    unknown = runner.invoke(app, ["plan", "--model", "someone/unknown"])
    assert isinstance(unknown.exception, UserError)


def test_the_papers_preset_is_planned_before_it_has_questions():
    command = ["plan", "--model", "Qwen/Qwen3-VL-8B-Instruct", "--preset", "qwen3-vl-8b", "--gpus", "8", "--json"]
    plans = json.loads(CliRunner().invoke(app, command).output)["plans"]
    # 2·36 layers·1024 numbers·(4096 + 4096) tokens·(2048/8) completions·4 bytes: transformers can't sample this.
    assert plans["fsdp2"]["parts"]["rollouts: keys and values"] == 2 * 36 * 1024 * 8192 * 256 * 4
    assert not plans["fsdp2"]["fits"]


def test_a_model_too_large_is_told_before_it_is_loaded(tiny_config, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr("rlsd_cli.models.load.load_model", loaded.append)
    config = tiny_config("rlsd", {"model": {"path": "Qwen/Qwen3-8B"}})
    monkeypatch.setattr(jobs, "available_bytes", lambda: 100 * GIB)
    # Weights, gradients, two moments and the synced teacher, 4 bytes each: 8,190,735,360 · 20 = 152.6 GiB.
    with pytest.raises(
        UserError, match=r"too large here: its 8\.19e9 parameters need 152\.6 GiB .* 100\.0 GiB is free"
    ):
        check_machine(config, load_arm("rlsd"))
    assert not loaded
    monkeypatch.setattr(jobs, "available_bytes", lambda: 153 * GIB)
    check_machine(config, load_arm("rlsd"))


def test_available_memory_is_no_more_than_the_machines():
    assert 0 < jobs.available_bytes() <= psutil.virtual_memory().total


def test_grpo_holds_no_teacher_and_opd_another_model(tiny_model):
    shape = shape_of("micro-base")
    assert jobs.held_teacher(build([{"method": "grpo"}]), load_arm("grpo"), shape) == 0
    external = build([{"method": "opd", "teacher": {"model": str(tiny_model)}}])
    assert jobs.held_teacher(external, load_arm("opd"), shape) == shape_of(str(tiny_model)).parameters


def test_a_base_with_other_dials_is_planned_without_being_pre_trained(monkeypatch, tmp_path):
    monkeypatch.setenv("RLSD_CACHE", str(tmp_path / "cache"))
    assert shape_of("micro-base:width=128").hidden == 128
    assert not (tmp_path / "cache").exists()
