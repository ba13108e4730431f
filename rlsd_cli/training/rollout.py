"""The on-policy trainer under every arm: TRL's GRPOTrainer, with its rollouts recorded and its steps timed."""

from __future__ import annotations

from typing import Any

from accelerate.utils import gather_object
from trl import GRPOTrainer

from rlsd_cli.leakage.detect import leaks
from rlsd_cli.models.images import without_empty_images
from rlsd_cli.models.limits import check_context
from rlsd_cli.runs.checkpoints import CheckpointMixin
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.training.arguments import rollout_arguments
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.data import VerifierReward
from rlsd_cli.training.fast_rollouts import FastRolloutsMixin
from rlsd_cli.training.recorder import write_rollouts
from rlsd_cli.training.timer import StepTimer


class RolloutTrainer(CheckpointMixin, FastRolloutsMixin, GRPOTrainer):
    """GRPO with records.

    Inherited: sampling, rewards, group advantages, the clipped surrogate, the optimiser. Added: the
    rollouts of a step as a parquet file, the share of rollouts that mention a reference, the
    verifier's accuracy, the time of each part.
    """

    def __init__(self, context: RunContext, **arguments: Any) -> None:
        self.context = context
        self.timer = StepTimer()
        self.reward = VerifierReward(context.task)
        self._rollouts: dict[str, list[Any]] = {}
        super().__init__(
            model=context.model,
            reward_funcs=self.reward,
            args=rollout_arguments(context, **arguments),
            train_dataset=context.dataset,
            processing_class=context.tokenizer,
        )

    def privileged_texts(self, rows: list[dict[str, Any]]) -> list[str | None]:
        """Return the privileged text of each row, None where there is none; arms with a teacher override this."""
        return [None] * len(rows)

    def _tokenize_prompts(self, prompts: Any) -> Any:
        ids, *others = super()._tokenize_prompts(prompts)
        model = self.accelerator.unwrap_model(self.model)
        check_context(model, max(len(row) for row in ids), self.max_completion_length)
        return ids, *others

    def _generate(self, prompts: Any) -> Any:
        *parts, images, tool_images = super()._generate(prompts)
        if images is not None:
            # TRL marks a question without pictures by None, which processors refuse beside questions with some.
            images = [group or [] for group in images]
        return *parts, images, tool_images

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        return without_empty_images(super()._prepare_inputs(generation_batch))

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        self._rollouts = {
            "prompt_id": [row["prompt_id"] for row in inputs],
            "prompt": [as_text(prompt) for prompt in prompts],
            "completion": [as_text(completion) for completion in completions],
            "answer": [row["answer"] for row in inputs],
            "extracted": [verdict.extracted for verdict in self.reward.verdicts],
            "correct": [verdict.correct for verdict in self.reward.verdicts],
            "length": [len(ids) for ids in completion_ids_list],
            "truncated": [ids[-1] not in ends for ids in completion_ids_list],
        }
        start = self.accelerator.process_index * len(prompts)
        local = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)[start : start + len(prompts)]
        self._rollouts["reward"] = local.tolist()
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        with self.timer.part("rollout"):
            output = super()._generate_and_score_completions(inputs)
        self._rollouts["advantage"] = output["advantages"].tolist()
        texts = self.privileged_texts(inputs)
        self._rollouts["reference"] = [text or "" for text in texts]
        self.prepare_teacher(inputs, texts, output)
        self._record()
        return output

    def prepare_teacher(self, rows: list[dict[str, Any]], texts: list[str | None], output: dict[str, Any]) -> None:
        """Add what a teacher's pass needs to the batch; nothing here."""

    def _record(self) -> None:
        """Log the leakage rate of the step and write its rollouts, gathered over processes."""
        mode = "train" if self.model.training else "eval"
        rollouts = self._rollouts
        found = [leaks(text, prompt) for text, prompt in zip(rollouts["completion"], rollouts["prompt"], strict=True)]
        gathered = gather_object(found)
        self._metrics[mode]["leakage/rate"].append(sum(gathered) / len(gathered))
        step = self.state.global_step + 1
        if mode == "train" and step % self.context.config.log.completions_every == 0:
            columns = {name: gather_object(values) for name, values in rollouts.items()}
            if self.accelerator.is_main_process:
                write_rollouts(self.context.run_dir, step, columns, self.num_generations)
