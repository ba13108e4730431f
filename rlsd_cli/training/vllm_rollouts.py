"""TRL's rollouts by vLLM, with what they lack: weights as shards, image tokens once, checked prompts, a free port."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback
from trl.generation.vllm_generation import VLLMGeneration

from rlsd_cli.errors import UserError
from rlsd_cli.training.distributed import world_size
from rlsd_cli.training.sharded import reshard

# Nats between the trainer's and vLLM's log-probabilities of the sampled tokens, on average. Rounding alone, bfloat16
# against float32, gave 5e-4 (docs/gpu.md); weights that were not sent, or another prompt, give 0.3 and more.
DISAGREEMENT = 0.1
DIFFERENCE = "sampling/sampling_logp_difference/mean"


def on_vllm(make: Callable[[], Any], say: Callable[[str], None]) -> Any:
    """Return the trainer that ``make`` makes, with checked rollouts by vLLM; ``say`` is told when they go wrong."""
    own_port()
    keep_weights()
    trainer = make()
    trainer.vllm_generation.__class__ = CheckedVLLM  # TRL's trainer makes its own, and asks for no class
    trainer.add_callback(DisagreementCallback(say))
    return trainer


def own_port() -> None:
    """Give a lone process a port of its own for vLLM's process group.

    TRL looks for a free port among four fixed ones and takes it much later: two runs started together take the same.
    """
    if world_size() == 1 and not os.environ.get("MASTER_PORT"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            os.environ["MASTER_PORT"] = str(free.getsockname()[1])


def keep_weights() -> None:
    """Make vLLM's CPU build keep its weights as they are loaded: it packs them, and then takes no new ones.

    Nothing to do on GPUs, nor on CPUs without AVX-512, where it does so by itself.
    """
    from vllm.model_executor.layers import utils
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        utils.dispatch_cpu_unquantized_gemm = unpacked


def unpacked(layer: Any, remove_weight: bool) -> None:
    """Let a layer compute with its weight."""
    layer.cpu_linear = torch.nn.functional.linear


class CheckedVLLM(VLLMGeneration):
    """TRL's vLLM, sampling from the prompts that are trained on."""

    def sync_weights(self) -> None:
        """Send the weights; of a model in shards all as shards, for TRL gathers them itself.

        What vLLM has kept of pictures that it saw was made by the former weights of the vision tower.
        """
        reshard(self.model)
        super().sync_weights()
        if self.mode == "colocate":
            self.llm.llm_engine.reset_encoder_cache()

    def generate(self, prompts: Any, images: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return (prompt ids, completion ids, log-probs, ids of the log-probs) as TRL does.

        Raises:
            UserError: A prompt is longer than vLLM is ready for, or vLLM read another prompt.
        """
        if self.mode == "server":  # which takes the image tokens as they are
            return super().generate(prompts, images, *args, **kwargs)
        self._check_lengths(prompts)
        image = getattr(self.model.config, "image_token_id", None)
        short = prompts if images is None else [once(ids, image) for ids in prompts]
        read, *rest = super().generate(short, images, *args, **kwargs)
        for ours, theirs in zip(prompts, read, strict=True):
            if list(ours) != list(theirs):
                raise UserError(
                    f"vLLM read a prompt of {len(theirs)} tokens where the trainer's has {len(ours)}, and so samples "
                    "from another prompt than is trained on: set rollout.engine=transformers for this model."
                )
        return prompts, *rest

    def _check_lengths(self, prompts: Any) -> None:
        longest, budget = max(map(len, prompts)), self.max_completion_length
        if self.max_model_length and longest + budget > self.max_model_length:
            raise UserError(
                f"a prompt of {longest} tokens and a completion of up to {budget} tokens are longer than the "
                f"{self.max_model_length} that vLLM was made ready for: set rollout.max_prompt_tokens={longest} or "
                "more, or leave out such questions."
            )


def once(ids: list[int], image_token: int | None) -> list[int]:
    """Return a prompt with one image token for each run of them: vLLM puts in as many as an image takes.

    The processor has done so already, and vLLM would do it again for each of them (trl #6294).
    """
    return [token for before, token in zip([None, *ids], ids, strict=False) if not token == before == image_token]


class DisagreementCallback(TrainerCallback):
    """Warns when the trainer and vLLM don't give the sampled tokens the same probabilities."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Look at the step's line."""
        difference = (logs or {}).get(DIFFERENCE, 0.0)
        if not difference <= DISAGREEMENT:
            self.say(
                f"step {state.global_step}: the trainer's and vLLM's log-probabilities of the sampled tokens are "
                f"{difference:.2f} nats apart on average, more than {DISAGREEMENT}: vLLM samples from another model or "
                "another prompt. Don't trust this run; set rollout.engine=transformers, and tell us the model."
            )
