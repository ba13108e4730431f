"""The run configuration: typed sections, presets, YAML files and `key.sub=value` overrides.

Later layers win: defaults, the arm's own defaults, a preset or config file, flags, `--set`.
Only the layers are merged here; what an arm's ``objective`` may hold is said by the arm.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from rlsd_cli.errors import UserError
from rlsd_cli.tasks.columns import DataConfig
from rlsd_cli.tasks.gym_config import GymConfig

Checked = TypeVar("Checked", bound=BaseModel)
BASE = "base"  # the method of a run directory whose model nobody trained


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskConfig(Section):
    """Which questions are asked."""

    name: Literal["arithmetic", "dataset", "reasoning_gym"] = "arithmetic"
    operations: Annotated[int, Field(ge=1, le=8)] = 4
    data: DataConfig = Field(default=DataConfig(), description="for the task 'dataset': docs/data.md")
    gym: GymConfig = Field(default=GymConfig(), description="for the task 'reasoning_gym': docs/smollm2.md")

    @model_validator(mode="after")
    def check_data(self) -> TaskConfig:
        """A data set, or generators, must be said where they are asked, and only there."""
        if (self.name == "dataset") != bool(self.data.path):
            raise ValueError("task.name=dataset and task.data.path=… go together: give both, or neither")
        if (self.name == "reasoning_gym") != bool(self.gym.sets):
            raise ValueError("task.name=reasoning_gym and task.gym.sets=… go together: give both, or neither")
        return self

    @model_serializer(mode="wrap")
    def leave_out_other_tasks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no section of another task, so that older runs keep the configuration that they were made with."""
        unused = {"data"} if not self.data.path else set()
        unused |= {"gym"} if not self.gym.sets else set()
        return {key: value for key, value in handler(self).items() if key not in unused}


class ModelConfig(Section):
    """Which model is trained."""

    path: str = Field(default="micro-base", description="'micro-base', 'smollm2', a directory, or a hub id")
    dtype: Literal["float32", "bfloat16"] = "float32"


class TeacherConfig(Section):
    """Where the teacher's weights and its privileged text come from; ignored by arms without a teacher."""

    source: Literal["online", "frozen", "synced", "ema"] = "online"
    sync_every: Annotated[int, Field(ge=1)] = 10
    ema_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    reference: Literal["answer", "solution", "other_route"] = "solution"
    model: str | None = Field(default=None, description="an external teacher (OPD): a name, directory or hub id")


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
    threads: Annotated[int, Field(ge=1)] | None = Field(default=None, description="CPU threads; torch's choice if none")
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
    vllm_mode: Literal["colocate", "server"] = "colocate"
    vllm_gpu_memory: Annotated[float, Field(gt=0, lt=1, description="share of a GPU's memory, colocated")] = 0.3
    vllm_tensor_parallel: Annotated[int, Field(ge=1, description="GPUs per engine, colocated")] = 1
    vllm_max_length: Annotated[int, Field(ge=1)] | None = Field(default=None, description="prompt + completion tokens")
    vllm_sleep: bool = Field(default=False, description="colocated: give the memory back during the update")
    vllm_server_host: str = "127.0.0.1"
    vllm_server_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    vllm_group_port: Annotated[int, Field(ge=1, le=65535, description="for sending weights to the server")] = 51216
    correction: Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = Field(
        default="token_truncate",
        description="trainer's against vLLM's probabilities, as a ratio on every arm's loss",
    )
    correction_max: Annotated[float, Field(gt=0, description="upper bound of that ratio")] = 3.0


class LogConfig(Section):
    """What is written, and how often (in steps)."""

    completions_every: Annotated[int, Field(ge=1)] = 1
    probe_every: Annotated[int, Field(ge=1)] = 20
    probe_prompts: Annotated[int, Field(ge=1)] = 16
    probe_group: Annotated[int, Field(ge=2)] = 8
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"
    project: str = Field(default="rlsd", description="project name at the service of report_to")


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


def presets_dir() -> Path:
    """Return the directory of presets: `experiments/` of the checkout, or its copy in the installed package."""
    return Path(__file__).parent / "presets"


def preset_file(preset: str, method: str) -> Path:
    """Return the file of a preset for a method.

    Raises:
        UserError: No such method or preset, or the preset has no file for the method.
    """
    from rlsd_cli.arms import ARMS, check_method

    check_method(method)
    folder = presets_dir() / preset
    # Folders without a method's file hold something else: presets of accelerate's launcher.
    names = sorted({path.parent.name for name in ARMS for path in presets_dir().glob(f"*/{name}.yaml")})
    if preset not in names:
        raise UserError(f"there is no preset '{preset[:100]}'{nearest(preset, names)}; presets: {', '.join(names)}.")
    if not (folder / f"{method}.yaml").is_file():
        methods = [name for name in ARMS if (folder / f"{name}.yaml").is_file()]
        raise UserError(f"preset '{preset}' has no file for '{method}'; it has: {', '.join(methods)}.")
    return folder / f"{method}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping.

    Raises:
        UserError: The file is missing, not YAML, or not a mapping.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the config file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the config file {path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise UserError(f"the config file {path} is not valid YAML{where}: mend it.") from None
    except (ValueError, RecursionError):  # a date such as 2026-02-30; brackets without end
        raise UserError(f"the config file {path} is not valid YAML: mend it.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"the config file {path} must hold keys and values, like 'seed: 1'.")
    return value


def parse_assignment(text: str) -> dict[str, Any]:
    """Turn ``train.steps=100`` into ``{'train': {'steps': 100}}``; the value is read as YAML.

    Raises:
        UserError: There is no '=' or no key.
    """
    key, found, value = text.partition("=")
    if not found or not all(part.isidentifier() for part in key.split(".")):
        raise UserError(f"--set takes key.sub=value, for example train.steps=100; got '{text}'.")
    try:
        tree: Any = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f"the value in --set '{text}' is not valid YAML: put quotes around it.") from None
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return tree


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings section by section; later layers win."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = result.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            result[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" where a candidate is close to ``word``, else ''."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f", did you mean '{matches[0]}'?" if matches else ""


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted keys that a section accepts."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
    return keys


def short(value: Any) -> str:
    """Return ``value`` as Python writes it, cut: YAML's aliases can make a few lines of text into gigabytes."""
    writer = reprlib.Repr()
    writer.maxstring = writer.maxother = 100
    writer.maxlevel = 3
    return writer.repr(value)[:300]


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Turn pydantic's first complaint into one sentence, with the nearest valid key for a mistyped one."""
    first = error.errors()[0]
    key = prefix + ".".join(str(part)[:100] for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no key '{key}'{nearest(key, [prefix + name for name in known_keys(model)]) or '.'}"
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{message}."
    return f"'{key}' is {short(first['input'])}: {message[0].lower()}{message[1:]}."


def build(layers: Iterable[Mapping[str, Any]], source: str = "the configuration") -> RunConfig:
    """Merge layers into a RunConfig, the arm's objective included.

    Raises:
        UserError: A key is unknown or mistyped, or a value is out of range.
    """
    from rlsd_cli.arms import check_method, load_arm

    merged = merge(*layers)
    method = merged.get("method")
    if not isinstance(method, str):
        raise UserError(f"{source} does not say which method to train: give --method, or a line 'method: rlsd'.")
    check_method(method)
    validated(RunConfig, merged, source)  # most mistakes are told here, before the arm's module is imported
    arm = load_arm(method)
    config = validated(RunConfig, merge(arm.defaults, merged), source)
    objective = validated(arm.options, config.objective, source, "objective.")
    return config.model_copy(update={"objective": objective.model_dump()})


def validated(model: type[Checked], value: Mapping[str, Any], source: str, prefix: str = "") -> Checked:
    """Return ``value`` as a section.

    Raises:
        UserError: A key is unknown or mistyped, or a value is out of range.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{source} is not valid: {explain(error, model, prefix)}") from None


def dump(config: RunConfig) -> str:
    """Return the resolved configuration as YAML; reading it back gives the same configuration."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)


def describes(stored: Mapping[str, Any], config: RunConfig) -> bool:
    """Return whether a run's stored configuration is ``config``; keys that it does not know have their defaults.

    So a run made before a setting existed is still the same run, and so is one that reports elsewhere.
    """
    try:
        return build([stored]).without_places() == config.without_places()
    except UserError:
        return False
