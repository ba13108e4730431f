"""Memory of a run, against numbers worked out by hand."""

import json
from dataclasses import replace

import psutil
import pytest
from typer.testing import CliRunner

from rlsd_cli.arms import ARMS, load_arm
from rlsd_cli.arms.configure import build, preset_layer, presets_dir
from rlsd_cli.cli import app
from rlsd_cli.config.layers import merge
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.memory import jobs
from rlsd_cli.memory.advice import advice
from rlsd_cli.memory.memory import (
    GIB,
    LOGIT_CHUNKS,
    Job,
    activations,
    fits,
    gradients,
    host_bytes,
    needed,
    optimiser,
    parts,
    pixels,
    rollout_cache,
    static_bytes,
    teacher,
    vllm,
    vllm_sequences,
    weights,
    working_copy,
)
from rlsd_cli.memory.shapes import Shape, Tower, shape_of
from rlsd_cli.models.load import load_model
from rlsd_cli.training.preflight import check_machine

SHAPE = Shape(parameters=1000, adapted=60, layers=2, hidden=10, query=10, key_value=5, intermediate=20, vocabulary=20)
LARGE = replace(SHAPE, parameters=10_000)
TOWER = Tower(patch_pixels=16, patch_numbers=96, layers=3, hidden=8, intermediate=12)
JOB = Job(
    shape=SHAPE,
    gpus=4,
    sharding="ddp",
    bfloat16=True,
    lora_rank=None,
    copies=1,
    external=None,
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
        # A quarter each. Of the teacher two layers and the embeddings are gathered for its pass, in bfloat16:
        # embeddings 2·20·10 = 400, a layer (1000 − 400)/2 = 300, so 2·(2·300 + 400) = 2000.
        ({"sharding": "fsdp2"}, (1000, 1000, 2000, 1000 + 2000)),
        # bfloat16 and float32 weights: 6000/4; the teacher in bfloat16: 2000/4.
        ({"sharding": "zero3"}, (1500, 1000, 2000, 500 + 2000)),
        # Another model is stored as it runs, in bfloat16: 10,000 numbers, 20,000/4; gathered: a layer
        # (10,000 − 400)/2 = 4800, 2·(2·4800 + 400) = 20,000. Beside a copy of the policy both are held.
        ({"sharding": "fsdp2", "copies": 0, "external": LARGE}, (1000, 1000, 2000, 5000 + 20000)),
        ({"sharding": "fsdp2", "external": LARGE}, (1000, 1000, 2000, 1000 + 5000 + 20000)),
        # The adapter has 3 x 60 numbers: 2000 + 720, gradients 720 twice, moments 1440.
        ({"lora_rank": 3, "copies": 0}, (2720, 1440, 1440, 0)),
        ({"bfloat16": False, "sharding": "fsdp2"}, (1000, 1000, 2000, 1000 + 4000)),
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


def test_pictures_cost_their_patches_and_a_pass_through_the_tower():
    seen = replace(JOB, shape=replace(SHAPE, tower=TOWER), patches=50)
    # 16/4 completions of a GPU, 50 patches, 96 numbers, float32.
    assert pixels(seen) == 4 * 50 * 96 * 4
    # 3 layers of 10·8 + 2·12 = 104 numbers a patch, 2 pictures a pass, bfloat16.
    assert activations(seen) - activations(JOB) == 2 * 50 * 3 * 104 * 2
    assert parts(seen)["pictures"] == pixels(seen)
    assert pixels(JOB) == 0


def test_a_vllm_that_sleeps_and_the_update_don_t_add_up():
    awake = replace(JOB, vllm_share=0.5)
    asleep = replace(awake, vllm_sleeps=True)
    update = working_copy(JOB) + activations(JOB) + LOGIT_CHUNKS
    assert needed(awake) - needed(asleep) == min(vllm(awake), update)
    assert parts(asleep)["vLLM"] == 40 * GIB
    # 40 GiB less 2000 bytes of weights, over the keys and values of 100 tokens: 2·2·5·100·2 bytes.
    assert vllm_sequences(asleep) == (40 * GIB - 2000) // 4000


def test_a_machine_loads_a_whole_policy_and_teacher_for_each_of_its_gpus():
    assert host_bytes(JOB, 8) == 8 * (4000 + 4000)
    assert host_bytes(replace(JOB, copies=0, external=LARGE), 8) == 8 * (4000 + 20000)
    assert host_bytes(replace(JOB, lora_rank=3, copies=0), 1) == 2000


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
        ("Qwen/Qwen3-VL-32B-Instruct", 33_357_390_064),
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


def test_a_model_that_seems_too_large_is_told_and_not_refused(tiny_config, monkeypatch):
    config = tiny_config("rlsd", {"model": {"path": "Qwen/Qwen3-8B"}})
    monkeypatch.setattr(jobs, "available_bytes", lambda: 100 * GIB)
    # Weights, gradients, two moments and the synced teacher, 4 bytes each: 8,190,735,360 · 20 = 152.6 GiB.
    warning = check_machine(config, load_arm("rlsd"))
    assert "seems too large here" in warning
    assert "8.19e9 parameters need 152.6 GiB" in warning
    assert "100.0 GiB is free" in warning
    monkeypatch.setattr(jobs, "available_bytes", lambda: 153 * GIB)
    assert check_machine(config, load_arm("rlsd")) == ""


def test_available_memory_is_no_more_than_the_machines():
    assert 0 < jobs.available_bytes() <= psutil.virtual_memory().total


def test_grpo_holds_no_teacher_and_opd_another_model(tiny_model):
    assert jobs.teachers(build([{"method": "grpo"}]), load_arm("grpo")) == (0, None)
    assert jobs.teachers(build([{"method": "rlsd"}]), load_arm("rlsd")) == (1, None)
    assert jobs.teachers(build([{"method": "rlsd", "train": {"lora_rank": 2}}]), load_arm("rlsd")) == (0, None)
    external = build([{"method": "opd", "teacher": {"model": str(tiny_model)}}])
    assert jobs.teachers(external, load_arm("opd")) == (0, shape_of(str(tiny_model)))


def test_a_base_with_other_dials_is_planned_without_being_pre_trained(monkeypatch, tmp_path):
    monkeypatch.setenv("RLSD_CACHE", str(tmp_path / "cache"))
    assert shape_of("micro-base:width=128").hidden == 128
    assert not (tmp_path / "cache").exists()


def test_every_arm_of_the_papers_preset_can_be_planned():
    for arm in ARMS:
        command = ["plan", "--model", "Qwen/Qwen3-VL-8B-Instruct", "--preset", "qwen3-vl-8b", "-m", arm, "--gpus", "8"]
        told = CliRunner().invoke(app, [*command, "--set", "rollout.engine=vllm", "--json"])
        assert told.exit_code in (0, 1), told.output
        plans = json.loads(told.output)["plans"]
        plan = plans["fsdp2"]
        # No plan for a sharding that training refuses.
        assert ("zero3" in plans) == (load_arm(arm).divergence is None)
        if arm != "sft":
            # 2048/8 completions, 1,048,576/16² patches of 16·16·2·3 numbers, float32.
            assert plan["parts"]["pictures"] == 256 * 4096 * 1536 * 4


def test_a_sharding_that_training_refuses_is_not_planned():
    command = ["plan", "--model", "Qwen/Qwen3-8B", "--gpus", "8", "-m", "opsd", "--sharding", "zero3"]
    told = CliRunner().invoke(app, command)
    assert isinstance(told.exception, UserError)
    assert "fsdp2" in str(told.exception)


def test_the_models_and_teachers_of_all_presets_have_a_known_size():
    files = [path for name in ARMS for path in presets_dir().glob(f"*/{name}.yaml")]
    assert len(files) > 20
    for file in files:
        layer = preset_layer(file.parent.name, file.stem)
        asked = {"task": {"data": {"path": "questions"}}} if layer.get("task", {}).get("name") == "dataset" else {}
        config = build([merge(asked, layer)])
        copies, other = jobs.teachers(config, load_arm(file.stem))
        assert shape_of(config.model.path).parameters > 1e5, file
        assert (other is None) == (config.teacher.model is None), file
        assert copies <= 2, file


def test_the_plan_and_vllm_keep_room_for_the_same_length():
    config = build([{"method": "grpo", "rollout": {"engine": "vllm", "max_prompt_tokens": 300}}])
    job = jobs.job_of(
        config, load_arm("grpo"), shape_of("micro-base"), gpus=1, sharding="ddp", gpu_bytes=GIB, prompt_tokens=300
    )
    assert job.context == config.rollout.vllm_context(jobs.DEFAULT_COMPLETION_TOKENS)
