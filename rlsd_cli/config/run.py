"""The run configuration as typed sections; what an arm's ``objective`` may hold is said by the arm."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from rlsd_cli.config.data import DataConfig
from rlsd_cli.config.gym import GymConfig
from rlsd_cli.config.layers import Section, nearest, short
from rlsd_cli.config.outside import is_outside
from rlsd_cli.config.recipe import is_base, parse
from rlsd_cli.config.rewards import RewardTerm
from rlsd_cli.config.templates import fields_of

TASKS = ("arithmetic", "dataset", "reasoning_gym")
BASE = "base"  # the method of a run directory whose model nobody trained


def without_defaults(section: Section, written: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what a section writes less those of ``names`` that have their default."""
    fields = type(section).model_fields
    usual = {name for name in names if getattr(section, name) == fields[name].get_default(call_default_factory=True)}
    return {key: value for key, value in written.items() if key not in usual}


class TaskConfig(Section):
    """Which questions are asked."""

    name: str = Field(default="arithmetic", description=f"{', '.join(TASKS)}, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of a task of your own")
    reward: Annotated[list[RewardTerm], Field(min_length=1)] | None = Field(
        default=None, description="terms with weights, whose sum is the reward; the task's own if none"
    )
    operations: Annotated[int, Field(ge=1, le=12, description="as the embedded base has them")] = 4
    words: Annotated[int, Field(ge=0, le=4, description="meaningless words before a step; as the base has them")] = 1
    word_choices: Annotated[int, Field(ge=1, le=12, description="of how many each is drawn; likewise")] = 8
    data: DataConfig = Field(default=DataConfig(), description="for the task 'dataset': docs/data.md")
    gym: GymConfig = Field(default=GymConfig(), description="for the task 'reasoning_gym': docs/smollm2.md")

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        """A task is built in, or names a class; nothing is imported here."""
        if name not in TASKS and not is_outside(name):
            raise ValueError(
                f"there is no task '{name[:100]}'{nearest(name, TASKS)}; tasks: {', '.join(TASKS)}, "
                "or a class of your own, as package.module:Class"
            )
        return name

    @model_validator(mode="after")
    def check_data(self) -> TaskConfig:
        """A data set, or generators, must be said where they are asked, and only there."""
        if (self.name == "dataset") != bool(self.data.path):
            raise ValueError("task.name=dataset and task.data.path=… go together: give both, or neither")
        if (self.name == "reasoning_gym") != bool(self.gym.sets):
            raise ValueError("task.name=reasoning_gym and task.gym.sets=… go together: give both, or neither")
        if self.options and self.name in TASKS:
            raise ValueError(f"task.options are for a task of your own: leave them out with task.name={self.name}")
        return self

    @model_serializer(mode="wrap")
    def leave_out_other_tasks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write nothing that another task would use, so that older runs keep the configuration they were made with."""
        unused = {"data"} if not self.data.path else set()
        unused |= {"gym"} if not self.gym.sets else set()
        unused |= {"options"} if not self.options else set()
        unused |= {"reward"} if self.reward is None else set()
        return {key: value for key, value in handler(self).items() if key not in unused}


class ModelConfig(Section):
    """Which model is trained."""

    path: str = Field(
        default="micro-base",
        min_length=1,
        description="'micro-base' or 'micro-credit', with dials as in 'micro-base:citing=0.5', 'smollm2', a directory, "
        "or a hub id",
    )
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = Field(
        default=None, description="transformers' attn_implementation; its own choice where none is given"
    )
    chat_template_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="variables of the student's chat template, such as enable_thinking: false"
    )

    @model_serializer(mode="wrap")
    def leave_out_the_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write nothing that was not chosen, so that older runs keep their configuration."""
        return without_defaults(self, handler(self), "attention", "chat_template_kwargs")


class WeightedReference(Section):
    """One of several texts that the teacher is shown, each in a prompt of its own."""

    kind: Literal["answer", "solution", "other_route"]
    weight: Annotated[float, Field(gt=0, description="its share of the mixture, over the sum of all")] = 1.0


class TeacherConfig(Section):
    """Where the teacher's weights and its privileged text come from; ignored by arms without a teacher."""

    source: Literal["online", "frozen", "synced", "ema"] = "online"
    sync_every: Annotated[int, Field(ge=1)] = 10
    ema_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    reference: Literal["answer", "solution", "other_route"] = "solution"
    model: str | None = Field(default=None, description="an external teacher (OPD): a name, directory or hub id")
    template: str | None = Field(default=None, description="its prompt, with {reference} in it (docs/data.md)")
    prompt_column: str | None = Field(default=None, description="a data set's column of ready teacher's prompts")
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None, description="variables of its chat template; the student's where none are given"
    )
    references: Annotated[list[WeightedReference], Field(min_length=1)] | None = Field(
        default=None, description="several texts in the place of one: the teacher is their mixture (docs/arms.md)"
    )

    @model_validator(mode="before")
    @classmethod
    def follow_references(cls, data: Any) -> Any:
        """The first of several references is the one that single-text readers (probes, audits) show."""
        given = data.get("references") if isinstance(data, dict) else None
        first = given[0] if isinstance(given, list) and given else None  # what else it is, the field's own check says
        kind = first.get("kind") if isinstance(first, dict) else getattr(first, "kind", None)
        return {**data, "reference": kind} if kind is not None else data

    @model_validator(mode="after")
    def check_prompt(self) -> TeacherConfig:
        """A template is written well, shows something, and stands alone."""
        if self.template is not None and self.prompt_column is not None:
            raise ValueError("template and prompt_column are two ways to say one thing: give one of them")
        if self.template is not None:
            try:
                names = fields_of(self.template)
            except ValueError as error:
                raise ValueError(f"the template can't be used: {error}") from None
            if not set(names) - {"question", "prompt", "instruction"}:
                raise ValueError("the template shows the teacher nothing more than the student: put {reference} in it")
        kinds = [each.kind for each in self.references or []]
        if doubled := next((kind for kind in kinds if kinds.count(kind) > 1), None):
            raise ValueError(f"the references name '{doubled}' twice: give it once, with the sum of the weights")
        return self

    @model_serializer(mode="wrap")
    def leave_out_the_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write nothing that was not chosen, so that older runs keep their configuration."""
        return without_defaults(self, handler(self), "template", "prompt_column", "chat_template_kwargs", "references")


class TrainConfig(Section):
    """Budget and optimiser: the same for every arm of a comparison."""

    steps: Annotated[int, Field(ge=1)] = 200
    prompts_per_step: Annotated[int, Field(ge=1)] = 16
    group_size: Annotated[int, Field(ge=2)] = 8
    micro_batch: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="completions per forward pass; the whole batch where none is given"
    )
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    aggregation: Literal["sequence", "token"] = "sequence"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    gradient_checkpointing: bool = False
    save_every: Annotated[int, Field(ge=1)] = 50
    keep_checkpoints: Annotated[int, Field(ge=1)] | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads; torch's choice if none"
    )
    lora_rank: Annotated[int, Field(ge=1)] | None = Field(default=None, description="LoRA; all weights where none")
    lora_alpha: Annotated[float, Field(gt=0)] | None = Field(default=None, description="twice the rank where none")
    lora_targets: str | list[str] = Field(default="all-linear", description="names of the modules that get an adapter")

    @model_validator(mode="after")
    def check_lora(self) -> TrainConfig:
        """LoRA's settings mean something with a rank only."""
        if self.lora_rank is None and (self.lora_alpha is not None or self.lora_targets != "all-linear"):
            raise ValueError("lora_alpha and lora_targets need train.lora_rank: give it, for example 16")
        return self


class RolloutConfig(Section):
    """Which engine samples the rollouts (docs/gpu.md)."""

    engine: Literal["transformers", "vllm"] = "transformers"
    top_p: Annotated[float, Field(gt=0, le=1, description="the likeliest tokens that together have it; 1: all")] = 1.0
    top_k: Annotated[int, Field(ge=0, description="so many of the likeliest tokens; 0: all")] = 0
    min_p: Annotated[float, Field(ge=0, le=1, description="tokens with this share of the likeliest's; 0: all")] = 0.0
    presence_penalty: Annotated[
        float, Field(ge=-2, le=2, description="off the logits of tokens that the completion already holds")
    ] = 0.0
    vllm_mode: Literal["colocate", "server"] = "colocate"
    vllm_gpu_memory: Annotated[float, Field(gt=0, lt=1, description="share of a GPU's memory, colocated")] = 0.3
    vllm_tensor_parallel: Annotated[int, Field(ge=1, description="GPUs per engine, colocated")] = 1
    max_prompt_tokens: Annotated[
        int, Field(ge=1, description="vLLM is made ready for prompts of up to so many tokens, the images' too")
    ] = 4096
    vllm_max_length: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="prompt + completion tokens; max_prompt_tokens and the completion's where none"
    )
    vllm_sleep: bool = Field(default=False, description="colocated: give the memory back during the update")
    vllm_server_host: str = "127.0.0.1"
    vllm_server_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    vllm_group_port: Annotated[int, Field(ge=1, le=65535, description="for sending weights to the server")] = 51216
    correction: Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = Field(
        default="token_truncate",
        description="trainer's against vLLM's probabilities, as a ratio on every arm's loss",
    )
    correction_max: Annotated[float, Field(gt=0, description="upper bound of that ratio")] = 3.0

    @model_serializer(mode="wrap")
    def leave_out_the_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no penalty where there is none, so that older runs keep their configuration."""
        return without_defaults(self, handler(self), "presence_penalty")

    def vllm_context(self, completion_tokens: int) -> int:
        """Return how many tokens of a prompt and its completion vLLM keeps room for."""
        return self.vllm_max_length or self.max_prompt_tokens + completion_tokens


class LogConfig(Section):
    """What is written, and how often (in steps)."""

    completions_every: Annotated[int, Field(ge=1)] = 1
    probe_every: Annotated[int, Field(ge=1)] = 20
    probe_prompts: Annotated[int, Field(ge=1)] = 16
    probe_group: Annotated[int, Field(ge=2)] = 8
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"
    project: str = Field(default="rlsd", description="project name at the service of report_to")


class LeakageConfig(Section):
    """Decoys: wrong references that the teacher alone sees, for a share of the questions (docs/exposure.md)."""

    decoy_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="share of the questions, chosen by hash, whose teacher sees a wrong reference"
    )


class RunConfig(Section):
    """Everything that decides a run."""

    method: str
    label: str = Field(default="", description="name of the variant in tables and figures; the method if empty")
    seed: Annotated[int, Field(ge=0)] = 0
    task: TaskConfig = TaskConfig()
    model: ModelConfig = ModelConfig()
    teacher: TeacherConfig = TeacherConfig()
    objective: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    rollout: RolloutConfig = RolloutConfig()
    log: LogConfig = LogConfig()
    leakage: LeakageConfig = LeakageConfig()

    @model_serializer(mode="wrap")
    def leave_out_unused_leakage(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no section of decoys where there are none: runs keep the configuration that they were made with."""
        unused = set() if self.leakage.decoy_share else {"leakage"}
        return {key: value for key, value in handler(self).items() if key not in unused}

    @model_validator(mode="before")
    @classmethod
    def follow_base(cls, data: Any) -> Any:
        """Ask an embedded base the questions that it was pre-trained on, where the task doesn't say otherwise."""
        model, task = (data.get(key, {}) if isinstance(data, dict) else None for key in ("model", "task"))
        path = model.get("path") if isinstance(model, dict) else None
        if not isinstance(path, str) or not is_base(path) or not isinstance(task, dict):
            return data
        if task.get("name", "arithmetic") != "arithmetic":
            return data
        recipe = parse(path)
        own = {"operations": recipe.operations, "words": recipe.words, "word_choices": recipe.word_choices}
        for key in ("words", "word_choices"):
            if task.get(key, own[key]) != own[key]:
                raise ValueError(f"task.{key} is {short(task[key])}, but {path} knows {own[key]}: set both alike")
        return {**data, "task": {**own, **task}}

    @field_validator("label")
    @classmethod
    def check_label(cls, label: str) -> str:
        """A label names a directory: from a stranger's file, it must not lead out of ours."""
        if "/" in label or "\\" in label or label.startswith(".") or not label.isprintable() or len(label) > 100:
            raise ValueError(
                "a label names a directory: at most 100 characters, no slash or control character, no dot at its start"
            )
        return label

    @model_validator(mode="after")
    def check_batch(self) -> RunConfig:
        """A micro-batch must split the batch of completions evenly."""
        batch = self.train.prompts_per_step * self.train.group_size
        if self.train.micro_batch and batch % self.train.micro_batch:
            raise ValueError(f"train.micro_batch must divide prompts_per_step x group_size = {batch}")
        return self

    @property
    def name(self) -> str:
        """The variant's name in tables and figures."""
        return self.label or self.method

    def without_places(self) -> RunConfig:
        """Return the configuration without what may change while a run stays the same: where it reports, addresses."""
        places = ("vllm_server_host", "vllm_server_port", "vllm_group_port")
        fresh = RolloutConfig()
        return self.model_copy(
            update={
                "rollout": self.rollout.model_copy(update={name: getattr(fresh, name) for name in places}),
                "log": self.log.model_copy(update={"report_to": "none", "project": LogConfig().project}),
            }
        )


def dump(config: RunConfig) -> str:
    """Return the resolved configuration as YAML; reading it back gives the same configuration."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)
