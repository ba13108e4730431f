"""The engine on vLLM: `vllm.LLM` in this process, chats with images included.

Messages follow vLLM's chat format; a PIL image is a part ``{"type": "image_pil", "image_pil": image}``
(vLLM's documentation, "Multimodal Inputs").
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.generation.engine import Completion, EngineName, EngineOptions
from rlsd_cli.generation.sampling import Sampling
from rlsd_cli.models.limits import check_variables
from rlsd_cli.models.load import load_tokenizer, resolve
from rlsd_cli.models.processors import is_vision, text_tokenizer
from rlsd_cli.tasks.messages import images_of
from rlsd_cli.verifiers.reasoning import template_opening

WITHOUT = "use --engine transformers"


def require_vllm() -> None:
    """Refuse where vLLM is not installed.

    Raises:
        UserError: It is not.
    """
    if find_spec("vllm") is None:
        raise UserError(
            f"--engine vllm needs vLLM, which is not installed: pip install 'rlsd-cli[vllm]', or {WITHOUT}."
        )


def vllm_chat(prompt: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return chat messages as vLLM takes them: images as parts of its own kind, in their places."""
    return [
        turn
        if isinstance(turn["content"], str)
        else {
            **turn,
            "content": [
                {"type": "image_pil", "image_pil": part["image"]} if part["type"] == "image" else dict(part)
                for part in turn["content"]
            ],
        }
        for turn in prompt
    ]


def tokenizer_of(directory: str) -> Any:
    """Return a model's tokenizer, None where only vLLM can load it."""
    try:
        return load_tokenizer(directory)
    except Exception:  # the libraries raise a dozen kinds
        return None


class VllmEngine:
    """A model in `vllm.LLM`.

    Raises:
        UserError: vLLM is not installed, or the model is of a kind that only transformers loads here.
    """

    name: EngineName = "vllm"

    def __init__(self, source: str, options: EngineOptions, images: int) -> None:
        from rlsd_cli.models.gguf import is_gguf
        from rlsd_cli.models.lora import is_adapter

        require_vllm()
        if is_gguf(source) or is_adapter(source):
            kind = "a GGUF file" if is_gguf(source) else "a LoRA adapter"
            raise UserError(f"the model '{source}' is {kind}, which is not given to vLLM here: {WITHOUT}.")
        # It logs to stdout, where the results go; a level that was chosen stays.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        from vllm import LLM

        directory = resolve(source)
        settings: dict[str, Any] = {"dtype": options.dtype, "tensor_parallel_size": options.gpus, "seed": 0}
        if options.context:
            settings["max_model_len"] = options.context
        if images and not is_vision(directory):
            raise UserError(f"the model '{source}' reads text only, and the questions have images.")
        if images:
            settings["limit_mm_per_prompt"] = {"image": images}
        self.source = source
        try:
            self.llm = LLM(model=directory, trust_remote_code=False, **settings)
        except (ValueError, RuntimeError) as error:  # no room for a sequence of the model's whole context, mostly
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise UserError(f"vLLM does not start with '{source}': {reason}. Lower --context, or {WITHOUT}.") from error
        self.processing = tokenizer_of(directory)
        self.variables = dict(options.variables)
        check_variables(self.processing, self.variables, source)
        self.opening = template_opening(self.processing, self.variables)

    @property
    def template(self) -> str | None:
        """The chat template; None where there is none."""
        return getattr(self.processing, "chat_template", None)

    def complete(
        self, prompts: Sequence[Any], *, samples: int, max_new_tokens: int, sampling: Sampling, greedy: bool, seed: int
    ) -> list[list[Completion]]:
        """Return ``samples`` completions of each prompt (`Engine.complete`)."""
        from vllm import SamplingParams

        choice: dict[str, Any] = {"temperature": 0.0} if greedy else {"temperature": sampling.temperature}
        # Only what was asked for: the rest are vLLM's own defaults, which leave the softmax as it is.
        choice |= sampling.changed(greedy)
        params = [
            SamplingParams(
                n=samples,
                max_tokens=max_new_tokens,
                **choice,
                # Each question has a seed of its own, else all would draw the same numbers.
                seed=random.Random(f"{seed}-{index}").getrandbits(31),
            )
            for index in range(len(prompts))
        ]
        try:
            if isinstance(prompts[0], str):
                outputs = self.llm.generate(list(prompts), params, use_tqdm=False)
            else:
                more = {"chat_template_kwargs": self.variables} if self.variables else {}
                outputs = self.llm.chat([vllm_chat(prompt) for prompt in prompts], params, use_tqdm=False, **more)
        except ValueError as error:  # a prompt beyond the context, a missing chat template
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise UserError(f"vLLM refuses a question with '{self.source}': {reason}.") from error
        return [
            [
                Completion(self._text(each), len(each.token_ids), each.finish_reason == "length")
                for each in output.outputs
            ]
            for output in outputs
        ]

    def _text(self, output: Any) -> str:
        """Return a completion's text as the other engine decodes it: vLLM's own may begin with one space more."""
        if self.processing is None:
            return str(output.text)
        decoded = text_tokenizer(self.processing).decode(output.token_ids, skip_special_tokens=True)
        return str(decoded if decoded.strip() == output.text.strip() else output.text)


def most_images(prompts: Sequence[Any]) -> int:
    """Return the largest number of images in one prompt."""
    return max((len(images_of(prompt)) for prompt in prompts), default=0)
