"""References that are missing: refused or told at the start, and harmless where they are allowed."""

import json

import datasets
import pytest

from rlsd_cli.arms import load_arm
from rlsd_cli.arms.configure import build
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.load import load_task
from rlsd_cli.training.references import check_references
from rlsd_cli.training.run import train


@pytest.fixture
def run_on(tmp_path, monkeypatch, tiny_model):
    """A function that configures an arm on 12 questions, of which the first so many have a solution."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    examples = [ArithmeticTask(operations=1).train_example(0, index) for index in range(12)]

    def make(method, solved, **teacher):
        path = tmp_path / f"solved-{solved}.jsonl"
        rows = [{"id": e.id, "prompt": e.prompt, "answer": e.answer, "solution": e.solution} for e in examples]
        for row in rows[solved:]:
            row["solution"] = " "
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        data = {"path": str(path), "chat": False, "instruction": "", "held_out": 0, "max_completion_tokens": 12}
        layer = {
            "method": method,
            "model": {"path": str(tiny_model)},
            "task": {"name": "dataset", "data": data},
            "train": {"steps": 1, "prompts_per_step": 12, "group_size": 2, "threads": 1},
            "log": {"probe_prompts": 4, "probe_group": 2},
        }
        return build([layer, {"teacher": teacher} if teacher else {}])

    return make


def checked(config):
    return check_references(config, load_arm(config.method), load_task(config.task))


@pytest.mark.parametrize("method", ["opsd", "grpo_opsd"])
def test_a_run_whose_teacher_would_see_nothing_is_refused_before_anything_is_written(run_on, tmp_path, method):
    with pytest.raises(UserError, match=r"no question has a reference .*teacher.reference=solution.*columns.solution"):
        train(run_on(method, 0), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_column_that_is_not_there_counts_as_no_reference(run_on):
    with pytest.raises(UserError, match=r"teacher\.reference=other_route"):
        checked(run_on("rlsd", 12, reference="other_route"))


def test_some_missing_references_are_counted_aloud_and_their_questions_have_no_teacher(run_on, tmp_path):
    said = []
    run = train(run_on("opsd", 9), tmp_path / "run", say=said.append)
    assert [text for text in said if text.startswith("3 of 12 questions have no reference")]
    import pandas as pd

    rollouts = pd.read_parquet(run.completions_dir / "step-000001.parquet")
    assert (rollouts["reference"] == "").sum() == 3 * 2


@pytest.mark.parametrize(
    ("method", "teacher"),
    [("opsd", {}), ("rlsd", {"reference": "answer"}), ("grpo", {}), ("sdpo", {}), ("opd", {"model": "micro-teacher"})],
)
def test_arms_that_have_what_they_need_say_nothing(run_on, method, teacher):
    solved = 12 if method == "opsd" else 0
    assert checked(run_on(method, solved, **teacher)) == ""


def test_sft_wants_a_solution_for_every_question(run_on):
    with pytest.raises(UserError, match="3 of 12 questions have none"):
        checked(run_on("sft", 9))
    assert checked(run_on("sft", 12)) == ""


def test_tasks_that_make_their_questions_are_asked_for_a_few(run_on):
    config = run_on("opsd", 12)
    arm = load_arm("opsd")

    class Unsolved(ArithmeticTask):
        def train_example(self, seed, index):
            from dataclasses import replace

            return replace(super().train_example(seed, index), solution="")

    assert check_references(config, arm, ArithmeticTask()) == ""
    with pytest.raises(UserError, match="no question has a reference"):
        check_references(config, arm, Unsolved())


def test_the_probe_opens_a_question_without_a_solution_with_its_answer(run_on, tmp_path):
    import pandas as pd

    run = train(run_on("grpo", 0), tmp_path / "run")
    probed = pd.read_parquet(run.credit_dir / "step-000001.parquet")
    assert (probed["reference"] == probed["answer"]).all()
