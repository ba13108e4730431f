"""The ``task.data`` section: where a data set lies, and which column holds what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from rlsd_cli.config.layers import Section

LayoutName = Literal["plain", "mmfinereason", "rlsd", "verl"]


class Columns(Section):
    """Names of columns; where one is not given, the layout's name is used."""

    prompt: str | None = Field(default=None, description="the question: text, or chat messages")
    answer: str | None = Field(default=None, description="the gold answer")
    images: str | None = Field(default=None, description="an image or a list: stored, a path, or base64")
    solution: str | None = Field(default=None, description="a reference solution, for the teacher only")
    other_route: str | None = Field(default=None, description="a solution by another route, for the teacher only")
    problem_type: str | None = Field(default=None, description="the kind of problem, for prompts and reward official")
    options: str | None = Field(default=None, description="a list of options, for prompts official")
    id: str | None = Field(default=None, description="a name of the question; the row's number where there is none")

    @model_serializer(mode="wrap")
    def leave_out_what_came_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the later roles where they were named only, so that older runs keep their configuration."""
        later = ("problem_type", "options")
        return {key: value for key, value in handler(self).items() if key not in later or value is not None}


# What each layout calls its columns.
# mmfinereason: the hub data sets OpenDataArena/MMFineReason-*; fields as listed in the README of
#   github LHL3341/MMFineReason ("Raw Data, Input/Output, Augmented, Metrics").
# rlsd: the JSONL files of iieycx/rlsd-train-MMFineReason-123K, by the keys that the paper's own config
#   reads (github iie-ycx/RLSD 93e46f7, examples/visual_rl/rlsd_config.yaml: prompt_key, answer_key, …).
# verl: the parquet files of github verl-project/verl (docs/preparation/prepare_data.rst), DAPO's among them.
LAYOUTS: dict[LayoutName, Columns] = {
    "plain": Columns(prompt="prompt", answer="answer", solution="solution", other_route="other_route", id="id"),
    "mmfinereason": Columns(
        prompt="question", answer="answer", images="image", solution="qwen3vl_235b_thinking_response", id="id"
    ),
    "rlsd": Columns(
        prompt="problem",
        answer="answer",
        images="images",
        solution="qwen3vl_235b_thinking_response",
        problem_type="problem_type",
        options="options",
        id="id",
    ),
    "verl": Columns(prompt="prompt", answer="reward_model.ground_truth", id="extra_info.index"),
}
NEEDED = ("prompt", "answer", "images")  # a layout's other columns are used where the data set has them


class DataConfig(Section):
    """A data set as a task (docs/data.md)."""

    path: str = Field(default="", description="a file, a folder, or a hub id (docs/data.md)")
    split: str = "train"
    subset: str | None = Field(default=None, description="a configuration of a hub data set")
    layout: LayoutName = "plain"
    columns: Columns = Columns()
    image_dir: str | None = Field(default=None, description="where image paths start; the data file's folder if none")
    min_pixels: Annotated[int, Field(ge=1)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] | None = Field(default=None, description="larger images are scaled down")
    drop_empty_answers: bool = False
    held_out: Annotated[int, Field(ge=0)] = Field(default=200, description="questions kept for evaluation")
    held_out_split: str | None = Field(default=None, description="take them from this split instead")
    chat: bool = Field(default=True, description="prompts as chat messages; plain text if false")
    instruction: str = (
        "Think first, inside <thought> and </thought>. Then give the final answer alone, inside <answer> and </answer>."
    )
    verifier: Literal["auto", "math", "choice", "exact", "numeric"] = "auto"
    tolerance: Annotated[float, Field(gt=0)] = Field(default=1e-3, description="relative, of the numeric verifier")
    prompts: Literal["plain", "official"] = Field(
        default="plain", description="official: role, format, question and options by problem type (docs/data.md)"
    )
    reward: Literal["accuracy", "composite", "official"] = Field(
        default="accuracy", description="composite: 0.9 accuracy + 0.1 format; official: that of mathematics alone"
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] = 4096

    @model_serializer(mode="wrap")
    def leave_out_what_came_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the order of prompts where it was chosen only, so that older runs keep their configuration."""
        return {key: value for key, value in handler(self).items() if key != "prompts" or value != "plain"}

    @field_validator("instruction", mode="before")
    @classmethod
    def none_is_empty(cls, value: Any) -> Any:
        """A line ``instruction:`` without a value asks for none."""
        return "" if value is None else value
