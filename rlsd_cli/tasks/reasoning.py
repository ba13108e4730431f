"""Questions of reasoning-gym as a task: procedurally generated, judged by the generators' own verifiers.

reasoning-gym (https://github.com/open-thought/reasoning-gym, Apache-2.0) makes item i of a generator from
its seed and i. The id of a question holds the stream and i, so that it can be made again alone, and so can
the entry that a verifier asks for:

    train-0/chain_sum/192        item 192 of chain_sum in the stream of training seed 0

Whether a question is held out is a matter of its text: one in eight, by a digest. So no training
stream ever meets a question of a held-out suite, however few questions a generator has.
"""

from __future__ import annotations

import random
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from rlsd_cli.config.gym import GymConfig
from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.base import Example
from rlsd_cli.tasks.gym_solutions import solution_text
from rlsd_cli.verifiers.verdict import Verdict

MARK = "Answer:"
HELD_OUT_SHARE = 8  # one question in so many is held out
ATTEMPTS = 32  # items that one question may be chosen from
CHUNK = 1024  # items under one seed: some generators make them all at once
# Verifiers that hand the answer to eval, or to sympy's parser, which does: a completion would run as a program.
RUNS_ANSWERS = {
    *("binary_matrix", "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication"),
    *("puzzle24", "simple_integration", "spiral_matrix", "string_insertion"),
}


def held_out(question: str) -> bool:
    """Tell whether a question is kept for evaluation."""
    return blake2b(question.encode(), digest_size=8).digest()[0] % HELD_OUT_SHARE == 0


def extract(completion: str) -> str:
    """Return what stands behind the last ``Answer:`` on its line, without a full stop; '' if there is none.

    >>> extract("4 - 1 = 3. Answer: 3.")
    '3'
    """
    _, found, tail = completion.rpartition(MARK)
    return tail.strip().split("\n")[0].strip().removesuffix(".") if found else ""


class ReasoningTask:
    """Questions of the configured generators, in turn; one held-out suite per generator.

    Raises:
        UserError: reasoning-gym is not installed, knows no such generator or setting, or its verifier is unsafe.
    """

    name = "reasoning_gym"

    def __init__(self, config: GymConfig) -> None:
        self.config = config
        self.max_completion_tokens = config.max_completion_tokens
        self.names = list(config.sets)
        self.generator = lru_cache(maxsize=64)(self._generator)
        self.entry = lru_cache(maxsize=4096)(self._entry)
        self.shots = {name: self._shots(name) for name in self.names}

    def _generator(self, name: str, stream: str, chunk: int) -> Any:
        try:
            import reasoning_gym
            from reasoning_gym.factory import DATASETS
        except ImportError:
            raise UserError(
                "the task reasoning_gym needs its package: run `pip install 'rlsd-cli[smollm2]'`."
            ) from None
        if name not in DATASETS:
            raise UserError(f"reasoning-gym has no generator '{name}'{nearest(name, DATASETS) or '.'}")
        if name in RUNS_ANSWERS:
            raise UserError(
                f"the verifier of '{name}' runs what a model answers as a program: choose another generator."
            )
        start = random.Random(f"rlsd-gym-{name}-{stream}-{chunk}").getrandbits(32)
        try:
            return reasoning_gym.create_dataset(name, seed=start, size=CHUNK, **self.config.sets[name])
        except (AssertionError, TypeError, ValueError) as error:
            reason = str(error).strip() or "a value is out of range"
            raise UserError(f"task.gym.sets.{name} is not valid: {reason}.") from None

    def _entry(self, name: str, stream: str, item: int) -> dict[str, Any]:
        chunk, index = divmod(item, CHUNK)
        entry = self.generator(name, stream, chunk)[index]
        return {**entry, "question": entry["question"].strip()}

    def _shots(self, name: str) -> list[dict[str, str]]:
        """Return worked examples as chat turns; their stream is no training stream."""
        turns = []
        self.generator(name, "shots", 0)  # a wrong name or setting is told at once, shots or none
        for shot in range(self.config.shots):
            entry = self.entry(name, "shots", shot)
            turns.append({"role": "user", "content": entry["question"]})
            turns.append({"role": "assistant", "content": f"{MARK} {entry['answer']}"})
        return turns

    def example(self, name: str, stream: str, item: int) -> Example:
        """Return one item as an example."""
        entry = self.entry(name, stream, item)
        system = [{"role": "system", "content": self.config.instruction}] if self.config.instruction else []
        question = {"role": "user", "content": entry["question"]}
        return Example(
            id=f"{stream}/{name}/{item}",
            prompt=[*system, *self.shots[name], question],
            answer=str(entry["answer"]),
            solution=solution_text(name, entry),
            meta={"set": name},
        )

    def train_example(self, seed: int, index: int) -> Example:
        """Return training question ``index`` of stream ``seed``: the first item of its block that is not held out.

        Raises:
            UserError: All items of the block are held out: the generator repeats itself.
        """
        name, stream = self.names[index % len(self.names)], f"train-{seed}"
        start = index // len(self.names) * ATTEMPTS
        for item in range(start, start + ATTEMPTS):
            if not held_out(self.entry(name, stream, item)["question"]):
                return self.example(name, stream, item)
        raise UserError(f"task.gym.sets.{name} makes too few different questions: widen its settings.")

    def suites(self) -> dict[str, list[Example]]:
        """Return a suite per generator, of ``held_out`` different questions.

        Raises:
            UserError: A generator has fewer held-out questions.
        """
        return {name: self._suite(name) for name in self.names}

    def _suite(self, name: str) -> list[Example]:
        chosen: dict[str, int] = {}
        for item in range(self.config.held_out * ATTEMPTS):
            question = self.entry(name, "held-out", item)["question"]
            if held_out(question):
                chosen.setdefault(question, item)
            if len(chosen) == self.config.held_out:
                return [self.example(name, "held-out", item) for item in chosen.values()]
        raise UserError(
            f"task.gym.sets.{name} has only {len(chosen)} different questions to hold out: "
            "lower task.gym.held_out, or widen its settings."
        )

    def teacher_prompt(self, prompt: Any, reference: str) -> Any:
        """Return the open-book prompt: the reference beside the question, as ``open_book`` says.

        Raises:
            UserError: The reference is empty.
        """
        if not reference.strip():
            raise UserError(
                "a generator of task.gym.sets has no reference of the kind that teacher.reference asks for: "
                "set teacher.reference=answer."
            )
        text = self.config.open_book.replace("{reference}", reference.strip())
        *before, question = prompt
        return [*before, {**question, "content": text.replace("{question}", question["content"])}]

    def verify(self, completion: str, answer: str, example_id: str = "") -> Verdict:
        """Judge by the generator's own ``score_answer``; only its full score counts as right.

        Verifiers that give part of the score for a right answer within other text would reward listing answers.
        """
        stream, name, item = example_id.split("/")
        extracted = extract(completion)
        try:
            score = self.generator(name, stream, int(item) // CHUNK).score_answer(
                extracted, self.entry(name, stream, int(item))
            )
        except Exception:  # verifiers parse the text: what one can't read is no answer
            score = 0.0
        return Verdict(correct=bool(extracted) and score >= 1.0, extracted=extracted)

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return 1 for a right answer and 0 for a wrong one."""
        return float(verdict.correct)
