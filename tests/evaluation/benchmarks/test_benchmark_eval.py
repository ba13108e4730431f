"""`rlsd eval --benchmark` through the command: files, numbers, resuming, refusals."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation import run as evaluation
from rlsd_cli.evaluation.benchmarks import evaluate as benchmark_suites
from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.generation.engine import Completion
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.runs import open_run
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.messages import as_text, images_of

NAMES = ("mmmu", "mathvista", "mathvision", "zerobench", "wemath")


def run_eval(*arguments):
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


class Script:
    """An engine that answers by a function of (prompt's text, sample)."""

    name = "transformers"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    template = "chat"

    def complete(self, prompts, *, samples, max_new_tokens, sampling, greedy, seed):
        self.asked += [as_text(prompt) for prompt in prompts]
        return [
            [Completion(self.answer(as_text(prompt), None if greedy else i), 5, False) for i in range(samples)]
            for prompt in prompts
        ]


@pytest.fixture
def script(monkeypatch):
    def install(answer):
        engine = Script(answer)
        monkeypatch.setattr(evaluation, "load_engine", lambda *arguments: engine)
        return engine

    return install


@pytest.fixture(scope="module")
def evaluated(vl_model, local_copies, tmp_path_factory):
    """The tiny Qwen3-VL on all five, on their images."""
    path = tmp_path_factory.mktemp("all") / "base"
    each = [part for name in NAMES for part in ("--benchmark", name, "--data", local_copies[name])]
    result = run_eval(
        *("--model", vl_model, "--output-dir", path, "--max-tokens", 4, "--samples", 2, "--threads", 1, "--json"), *each
    )
    return path, json.loads(result.stdout)


def test_a_vision_model_is_evaluated_on_all_five_local_copies(evaluated, local_copies):
    path, summaries = evaluated
    assert [summary["suite"] for summary in summaries] == list(NAMES)
    folder = path / "eval"
    assert {file.name for file in folder.iterdir()} == {f"{n}.{e}" for n in NAMES for e in ("json", "parquet")}
    for summary in summaries:
        name = summary["suite"]
        assert json.loads((folder / f"{name}.json").read_text()) == summary
        assert summary["source"] == local_copies[name]
        rows = pd.read_parquet(folder / f"{name}.parquet")
        assert len(rows) == summary["n_questions"] * 3
        assert set(rows["sample_id"]) == {-1, 0, 1}
        assert rows["length"].between(1, 4).all()


def test_plots_find_the_benchmarks_of_a_directory_without_a_task(evaluated):
    path, _ = evaluated
    run = open_run(path)
    assert (run.method, run.complete) == ("base", True)
    assert "task" not in run.config
    variant = compare([run]).variants["base"]
    assert suites_of(variant) == sorted(NAMES)
    assert len(evaluations(run.directory, "wemath")[0].result().ids) == 9


def test_the_model_sees_the_images_of_its_question(vl_model, local_copies):
    from rlsd_cli.evaluation.benchmarks.suites import load_suite
    from rlsd_cli.generation.engine import EngineOptions
    from rlsd_cli.generation.sample import encode_prompts
    from rlsd_cli.generation.transformers_engine import TransformersEngine

    engine = TransformersEngine(str(vl_model), EngineOptions())
    prompts = [example.prompt for example in load_suite("mmmu", local_copies["mmmu"])]
    assert [len(images_of(prompt)) for prompt in prompts] == [1, 2, 1]
    ids = encode_prompts(engine.processing, prompts).ids
    shown = (ids == engine.model.config.image_token_id).sum(dim=1)
    assert shown[1] == 2 * shown[0] > 0


def test_wemath_numbers_average_samples_and_have_the_problem_as_unit(script, vl_model, local_copies, tmp_path):
    # Greedy: all right. Sample 0: all right. Sample 1: all wrong. So every question's mean is ½, and so is the score.
    script(lambda text, sample: "<Answer>: B" if sample in (None, 0) else "<Answer>: A")
    path = tmp_path / "base"
    run_eval(
        *("--model", vl_model, "--output-dir", path, "--benchmark", "wemath", "--data", local_copies["wemath"]),
        *("--samples", 2),
    )
    summary = json.loads((path / "eval" / "wemath.json").read_text())
    assert (summary["greedy_accuracy"], summary["avg_at_k"]) == (1.0, 0.5)
    assert summary["metrics"]["score_strict"]["greedy"] == 1.0
    assert summary["metrics"]["score_strict"]["avg_at_k"] == 0.5
    # Three problems, all right: Wilson's lower end is 3 / (3 + 1.96²); nine independent questions would give 0.70.
    assert summary["greedy_interval"] == pytest.approx([3 / (3 + 1.95996**2), 1.0], abs=1e-4)


def test_breakdowns_of_the_benchmark_stand_in_the_summary(script, vl_model, local_copies, tmp_path):
    script(lambda text, sample: "Answer: B" if "$7" in text else "Answer: 24")
    path = tmp_path / "base"
    shown = run_eval(
        *("--model", vl_model, "--output-dir", path, "--benchmark", "mmmu", "--data", local_copies["mmmu"])
    )
    metrics = json.loads((path / "eval" / "mmmu.json").read_text())["metrics"]
    assert {name: value["greedy"] for name, value in metrics.items()} == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy/Art and Design": 0.0,
        "accuracy/Business": 1.0,
        "accuracy/Science": 1.0,
    }
    assert "accuracy/Business" in shown.output


def test_an_interrupted_evaluation_goes_on_and_ends_as_one_that_was_not(
    script, vl_model, local_copies, tmp_path, monkeypatch
):
    monkeypatch.setattr(benchmark_suites, "CHUNK", 2)

    def answer(text, sample):
        return "<Answer>: B" if sample != 1 else "<Answer>: A"

    def arguments(name):
        return (
            *("--model", vl_model, "--output-dir", tmp_path / name, "--samples", 2),
            *("--benchmark", "wemath", "--data", local_copies["wemath"]),
        )

    whole = script(answer)
    run_eval(*arguments("whole"))
    calls = []

    def failing(text, sample):
        calls.append(text)
        if len(calls) > 14:  # 2 × (1 + 2) completions a chunk: in the third
            raise KeyboardInterrupt
        return answer(text, sample)

    script(failing)
    with pytest.raises(AssertionError):
        run_eval(*arguments("cut"))
    assert RunDir.open(tmp_path / "cut").status()["state"] == "running"
    assert not list((tmp_path / "cut" / "eval").rglob("wemath.parquet"))
    rest = script(answer)
    run_eval(*arguments("cut"))
    assert len(rest.asked) == len(whole.asked) - 2 * 2 * 2
    for name in ("wemath.json", "wemath.parquet"):
        files = [(tmp_path / run / "eval" / name).read_bytes() for run in ("whole", "cut")]
        assert files[0] == files[1]
    assert not list((tmp_path / "cut" / "eval").rglob("*.parts"))


def test_parts_of_another_question_set_are_not_mixed_in(script, vl_model, local_copies, tmp_path):
    path = tmp_path / "base"
    arguments = ("--model", vl_model, "--output-dir", path, "--benchmark", "wemath", "--data", local_copies["wemath"])
    script(lambda text, sample: "<Answer>: B")
    folder = path / "eval"
    parts = folder / "samples-1" / "wemath.parts"
    run_eval(*arguments, "--samples", 1)
    frame = pd.read_parquet(folder / "wemath.parquet").assign(correct=False)
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "key.json").write_text('{"model": "another"}')
    frame.to_parquet(parts / "000000.parquet")
    run_eval(*arguments, "--samples", 1)
    assert json.loads((folder / "wemath.json").read_text())["avg_at_k"] == 1.0


def test_the_instruction_and_another_split_can_be_chosen(script, vl_model, local_copies, tmp_path):
    engine = script(lambda text, sample: "<answer>1204</answer>")
    path = tmp_path / "base"
    run_eval(
        *("--model", vl_model, "--output-dir", path, "--benchmark", "zerobench", "--data", local_copies["zerobench"]),
        *("--split", "zerobench_subquestions", "--instruction", "Answer in tags."),
    )
    assert all(text.endswith("Answer in tags.") for text in engine.asked)
    summary = json.loads((path / "eval" / "zerobench-zerobench_subquestions.json").read_text())
    assert (summary["instruction"], summary["greedy_accuracy"]) == ("Answer in tags.", 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "mmmmu"], "did you mean 'mmmu'"),
        (["--data", "x.parquet"], "give --benchmark"),
        (["--benchmark", "mmmu", "--data", "a", "--data", "b"], "give one for each"),
        (["--benchmark", "mmmu", "--data", "absent/mmmu.parquet/x"], "does not exist"),
        (["--benchmark", "mmmu"], r"nor to be had from the hub \(HF_HUB_OFFLINE is set\).*give a local copy"),
        (["--benchmark", "mmmu", "--engine", "vllm"], r"pip install 'rlsd-cli\[vllm\]'"),
    ],
)
def test_bad_requests_get_one_sentence(vl_model, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        run_eval("--model", vl_model, "--output-dir", tmp_path / "base", *arguments)


def test_a_copy_of_another_benchmark_is_refused(vl_model, local_copies, tmp_path):
    with pytest.raises(UserError, match="is no copy of mathvista: it has no column 'pid'"):
        run_eval(
            *("--model", vl_model, "--output-dir", tmp_path / "base"),
            *("--benchmark", "mathvista", "--data", local_copies["wemath"]),
        )


def test_a_model_without_chats_or_images_is_refused(tiny_model, local_copies, tmp_path):
    with pytest.raises(UserError, match="has no chat template"):
        run_eval(
            *("--model", tiny_model, "--output-dir", tmp_path / "base"),
            *("--benchmark", "wemath", "--data", local_copies["wemath"]),
        )


def test_a_directory_made_for_benchmarks_has_no_suites_of_a_task(evaluated):
    path, _ = evaluated
    with pytest.raises(UserError, match="has no task: give --benchmark"):
        run_eval(path)


def test_a_directory_with_a_task_takes_benchmarks_too_but_of_its_own_model_only(tmp_path):
    from rlsd_cli.config.run import TaskConfig

    made = evaluation.base_run(tmp_path / "base", "micro-base", TaskConfig())
    made.eval_dir.mkdir()  # something was evaluated: an empty directory is made anew
    assert evaluation.base_run(made.path, "micro-base", None).config()["task"]["name"] == "arithmetic"
    with pytest.raises(UserError, match="another model"):
        evaluation.base_run(made.path, "micro-teacher", None)
