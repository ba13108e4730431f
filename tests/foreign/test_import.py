"""Other tools' logs become run directories that the audit and the figures take; what they lack is said."""

import json
import sys

import pandas as pd
import pytest

from rlsd_cli import cli
from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.runs.directory import RunDir, read_object

LEAK = "The reference solution says 7, so the answer is 7."
CLEAN = "3 plus 4 is 7, so the answer is 7."


def command(monkeypatch, capsys, *words):
    """Run `rlsd` and return its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["rlsd", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code or 0, said.out, said.err


@pytest.fixture
def imported(monkeypatch, capsys, tmp_path):
    """A function that imports a directory and returns the run, its metrics by step, and what was said."""

    def make(tool, directory, *words):
        target = tmp_path / "imported" / tool / "seed-0"
        code, out, err = command(
            monkeypatch, capsys, "import", "--from", tool, directory, "--output-dir", target, *words
        )
        assert code == 0, err
        assert out.strip() == str(target)
        assert [path.name for path in target.parent.iterdir()] == ["seed-0"], "nothing half written stays"
        run = RunDir.open(target)
        return run, {line["step"]: line for line in run.metrics()}, err

    return make


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """A function that returns the sentence with which an import is refused."""

    def make(tool, directory, *words):
        target = tmp_path / "refused"
        code, _, err = command(monkeypatch, capsys, "import", "--from", tool, directory, "--output-dir", target, *words)
        assert code == 2
        assert err.startswith("rlsd: ")
        assert err.count("\n") == 1, err
        assert not target.exists()
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".refused")]
        return err

    return make


def completions(run):
    return pd.concat([pd.read_parquet(path) for _, path in run.step_files(run.completions_dir)])


def lines(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def verl_logs(tmp_path):
    """What verl's file logger, `trainer.rollout_data_dir` and `trainer.validation_data_dir` leave."""
    logs = tmp_path / "verl"
    numbers = {"actor/entropy": 0.5, "actor/pg_loss": -0.01, "actor/lr": 1e-6, "response_length/mean": 12.0}
    numbers |= {"perf/total_num_tokens": 100, "timing_s/step": 9.0, "training/global_step": 1}
    validated = {"val-core/gsm8k/acc/mean@2": 0.5}
    lines(
        logs / "my_project/my_run.jsonl",
        {"step": 0, "data": validated},
        {"step": 1, "data": {**numbers, "critic/score/mean": 0.5, "critic/rewards/mean": 0.4}},
        {"step": 2, "data": {**numbers, "critic/score/mean": 1.0, "critic/rewards/mean": 0.9, **validated}},
    )
    shown = "system\nYou are helpful.\nuser\nWhat is 3+4?\nassistant\n"
    row = {"input": shown, "gts": "7", "step": 1}
    lines(
        logs / "rollouts/1.jsonl",
        {**row, "output": LEAK, "score": 1.0, "acc": True, "pred": "7"},
        {**row, "output": CLEAN, "score": 0.0, "acc": False, "pred": "6"},
    )
    lines(logs / "rollouts/2.jsonl", *[{**row, "output": CLEAN, "score": 1.0, "acc": True, "step": 2}] * 2)
    for step in (0, 2):
        asked = [(shown, 1.0), (shown, 0.0), ("Other?", 1.0), ("Other?", 1.0)]
        lines(
            logs / f"validation/{step}.jsonl",
            *[{"input": text, "output": CLEAN, "gts": "7", "score": score, "step": step} for text, score in asked],
        )
    return logs


def test_verl(imported, verl_logs):
    run, metrics, said = imported("verl", verl_logs, "--method", "grpo", "--seed", "3")
    assert run.config() == {"method": "grpo", "label": "grpo", "seed": 3, "train": {"steps": 2}}
    assert metrics[1]["reward"] == 0.5, "before the KL penalty"
    assert (metrics[1]["entropy"], metrics[1]["completions/mean_length"], metrics[1]["time/step_s"]) == (0.5, 12.0, 9.0)
    assert (metrics[1]["num_tokens"], metrics[2]["num_tokens"]) == (100, 200)
    assert (metrics[1]["leakage/rate"], metrics[2]["leakage/rate"]) == (0.5, 0.0)
    rows = completions(run)
    assert rows["step"].tolist() == [1, 1, 2, 2]
    assert rows["sample_id"].tolist() == [0, 1, 0, 1]
    assert rows["correct"].tolist() == [True, False, True, True]
    assert rows["extracted"].tolist()[:2] == ["7", "6"]
    found = {each.summary["checkpoint_step"]: each for each in evaluations(run)}
    assert found[2].folder == "", "the last step's is the final model's"
    assert found[0].folder == "step-0"
    assert (found[2].summary["samples"], found[2].summary["n_questions"], found[2].summary["avg_at_k"]) == (2, 2, 0.75)
    assert found[2].result().verdicts.tolist() in ([[True, False], [True, True]], [[True, True], [True, False]])
    assert "2 evaluations" in said
    assert "what a teacher was shown" in said
    assert read_object(run.provenance_file)["imported"]["from"] == "verl"


def test_verls_console(imported, tmp_path):
    prefix = "\x1b[36m(TaskRunner pid=77)\x1b[0m "
    numbers = " - ".join(["actor/entropy:np.float64(0.25)", "critic/score/mean:0.5", "actor/grad_norm:nan"])
    (tmp_path / "verl").mkdir()
    (tmp_path / "verl/train.log").write_text(f"loading\n{prefix}step:1 - {numbers}\nnoise step: 3\n")
    run, metrics, said = imported("verl", tmp_path / "verl")
    assert metrics == {1: {"step": 1, "entropy": 0.25, "reward": 0.5, "grad_norm": None}}
    assert run.config()["method"] == "verl"
    assert "lacks the metric completions/mean_length; completions, without which" in said


def test_ms_swift(imported, tmp_path):
    logs = tmp_path / "output" / "v0-20260101"
    numbers = {"loss": 0.1, "reward": 0.5, "rewards/MathAccuracy/mean": 0.5, "entropy": 0.3, "elapsed_time": "3s"}
    lines(
        logs / "logging.jsonl",
        {**numbers, "epoch": 0.1, "global_step/max_steps": "1/4", "percentage": "25.00%"},
        {**numbers, "reward": 1.0, "global_step/max_steps": "2/4", "percentage": "50.00%"},
        {"train_runtime": 9.0, "train_loss": 0.1, "epoch": 0.2},
    )
    table = {"prompt": ["3+4?", "3+4?"], "completion": [LEAK, CLEAN], "advantages": [0.7, -0.7]}
    table |= {"MathAccuracy": [1.0, 0.0], "solution": ["7", "7"]}
    lines(logs / "completions.jsonl", {"step": ["1", "1"], **table}, {"step": ["2", "2"], **table})
    (logs / "args.json").write_text(json.dumps({"model": "Qwen/X", "num_generations": 2, "learning_rate": 1e-6}))
    run, metrics, _ = imported("ms-swift", tmp_path / "output")
    assert run.config()["model"] == {"path": "Qwen/X"}
    assert run.config()["train"] == {"steps": 4, "learning_rate": 1e-6, "group_size": 2}
    assert (metrics[2]["reward"], metrics[2]["leakage/rate"]) == (1.0, 0.5)
    assert "train_runtime" not in metrics[2]
    rows = completions(run)
    assert rows["reward"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert rows["advantage"].tolist()[:2] == [0.7, -0.7]
    assert rows["answer"].tolist() == ["7"] * 4


OPENRLHF = {"policy_loss": 0.1, "actor_lr": 1e-6, "kl": 0.0, "rollout/reward_mean": 0.5, "rollout/truncated_rate": 0.0}


def test_openrlhfs_console_with_completions_from_elsewhere(imported, tmp_path):
    logs = tmp_path / "openrlhf"
    logs.mkdir()
    text = "".join(
        f"INFO 08-13 12:00:00 ppo_trainer.py:{546}] ✨ Global step {step}: {OPENRLHF | {'entropy_loss': 0.1 * step}}\n"
        for step in (1, 2)
    )
    (logs / "train.log").write_text(f"INFO Sample: ['3+4? {CLEAN}', 1.0]\n{text}")
    lines(tmp_path / "mine.jsonl", {"step": 2, "prompt": "3+4?", "response": LEAK, "reward": 1})
    run, metrics, said = imported("openrlhf", logs, "--completions", tmp_path / "mine.jsonl")
    assert (metrics[1]["reward"], metrics[1]["loss"], metrics[2]["entropy"]) == (0.5, 0.1, 0.2)
    assert metrics[2]["leakage/rate"] == 1.0
    assert completions(run)["reward"].tolist() == [1.0]
    assert "1 completions of 1 steps" in said


def test_openrlhfs_tensorboard(imported, tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(log_dir=str(tmp_path / "tb" / "ppo_0101"))
    for step in (1, 2):
        for key, value in OPENRLHF.items():
            writer.add_scalar(f"train/{key}", value, step)
        writer.add_text("train/generated_samples", "Sample:\\nx", step)
    writer.add_scalar("eval/eval_gsm8k_pass1", 0.25, 2)
    writer.close()
    _, metrics, _ = imported("openrlhf", tmp_path / "tb")
    assert (metrics[2]["reward"], metrics[2]["eval/eval_gsm8k_pass1"]) == (0.5, 0.25)
    assert sorted(metrics) == [1, 2]


def test_tables_by_columns(imported, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "curve.csv").write_text("iteration,score,H\n1,0.5,1.5\n2,0.75,1.25\n")
    texts = [[1, "3+4?", LEAK, 0.25, 0.5, "yes"], [2, "3+4?", CLEAN, 0.5, 0.5, "no"]]
    names = ["iteration", "q", "text", "format", "right", "note"]
    pd.DataFrame(texts, columns=names).to_csv(tables / "samples.csv", index=False)
    words = ["--rename", "score=reward", "--rename", "H=entropy", "--step-column", "iteration", "--column", "text"]
    words += ["--prompt-column", "q", "--reward-column", "format", "--reward-column", "right"]
    run, metrics, _ = imported("csv", tables, *words)
    assert [(line["reward"], line["entropy"], line["leakage/rate"]) for line in metrics.values()] == [
        (0.5, 1.5, 1.0),
        (0.75, 1.25, 0.0),
    ]
    assert completions(run)["reward"].tolist() == [0.75, 1.0]


@pytest.fixture(scope="module")
def trl_run(tiny_model, tmp_path_factory):
    """Three steps of TRL's own trainer, on prompts as texts and as chat messages."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    def length(completions, **kwargs):
        return [float(len(each) % 3) for each in completions]

    def even(completions, **kwargs):
        return [float(len(each) % 2) for each in completions]

    directory = tmp_path_factory.mktemp("trl")
    settings = GRPOConfig(
        output_dir=str(directory),
        max_steps=3,
        save_steps=2,
        logging_steps=1,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=8,
        log_completions=True,
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    data = Dataset.from_dict({"prompt": ["Start with 3. Add 4.", "Start with 5. Add 2."] * 4})
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    GRPOTrainer(str(tiny_model), [length, even], settings, data, processing_class=tokenizer).train()
    return directory


def test_trl_itself(trl_run, imported, monkeypatch, capsys, tmp_path):
    run, metrics, said = imported("trl", trl_run, "--method", "grpo", "--label", "theirs")
    assert sorted(metrics) == [1, 2, 3]
    assert {"reward", "entropy", "loss", "rewards/even/mean", "time/step_s", "completions/mean_length"} <= set(
        metrics[3]
    )
    rows = completions(run)
    assert rows.groupby("step").size().to_dict() == {1: 4, 2: 4, 3: 4}
    means = rows.groupby("step")["reward"].mean()
    assert all(means[step] == pytest.approx(metrics[step]["reward"]) for step in (1, 2, 3)), "the two are added"
    assert rows["prompt"].str.startswith("Start with").all()
    assert "12 completions of 3 steps" in said

    code, out, _ = command(monkeypatch, capsys, "leakage-audit", run.path, "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["n"], [row["n"] for row in report["by_step"]]) == (12, [4, 4, 4])
    code, out, err = command(monkeypatch, capsys, "plot", run.path, "--output-dir", tmp_path / "pictures")
    assert code == 0, err
    assert (tmp_path / "pictures/summary.md").is_file()
    assert str(tmp_path / "pictures/overview.pdf") in out.splitlines()


def test_foreign_and_broken_directories_are_one_sentence(refused, tmp_path, verl_logs):
    empty = tmp_path / "empty"
    empty.mkdir()
    for tool in ("trl", "verl", "ms-swift", "openrlhf", "csv"):
        assert "no metrics and no completions" in refused(tool, empty)
        assert "does not exist" in refused(tool, tmp_path / "nowhere")
    assert "no metrics and no completions" in refused("trl", verl_logs)
    assert "is a file" in refused("verl", verl_logs / "rollouts/1.jsonl")
    assert "does not exist" in refused("verl", verl_logs, "--completions", tmp_path / "nowhere")
    assert "has no column 'points'" in refused("verl", verl_logs, "--reward-column", "points")
    assert "has no column 'text'" in refused("verl", verl_logs, "--column", "text")
    assert "THEIRS=OURS" in refused("verl", verl_logs, "--rename", "score")
    assert "names a directory" in refused("verl", verl_logs, "--label", "../x")
    for name, text in (("curve", "score\n0.5\n"), ("samples", "completion\nx\n"), ("far", "completion,step\nx,1e30\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text(text)
        assert "step" in refused("csv", tmp_path / name).split("(", 1)[1]
    assert "cannot be written" in refused("verl", verl_logs, "--output-dir", verl_logs / "rollouts/1.jsonl/run")
    for text in ("{", "[]", '{"log_history": 3}', "\x00"):
        state = tmp_path / "broken" / "trainer_state.json"
        state.parent.mkdir(exist_ok=True)
        state.write_text(text)
        refused("trl", state.parent)
    table = tmp_path / "torn/completions/completions_00001.parquet"
    table.parent.mkdir(parents=True)
    table.write_bytes(b"PAR1 and no more")
    assert "cannot be read" in refused("trl", tmp_path / "torn")
    for number in (1, 2):
        lines(tmp_path / f"two/v{number}/logging.jsonl", {"global_step/max_steps": "1/1", "loss": 1.0})
    assert "there are logs of 2 ms-swift runs" in refused("ms-swift", tmp_path / "two")


def test_a_place_that_is_taken_is_left_alone(monkeypatch, capsys, tmp_path, verl_logs):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("mine")
    code, _, err = command(monkeypatch, capsys, "import", "--from", "verl", verl_logs, "--output-dir", mine)
    assert (code, "is there already" in err) == (2, True)
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]


def test_rows_that_can_not_be_read_are_left_out_and_told(imported, verl_logs):
    path = verl_logs / "rollouts/1.jsonl"
    path.write_text(path.read_text() + '{"input": "x", "output": null, "step": 1}\n{"input": "x", "out')
    run, _, said = imported("verl", verl_logs)
    assert len(completions(run)) == 4
    assert "row 3 of 1.jsonl" in said
    assert "row 4 of 1.jsonl" in said
    assert any("row 3 of 1.jsonl" in each for each in read_object(run.provenance_file)["imported"]["lacks"])
