"""`rlsd theory`, with and without a run directory."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from rlsd_cli.arms import configure
from rlsd_cli.cli import app
from rlsd_cli.commands.theory import logged_divergence
from rlsd_cli.config.recipe import Recipe
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.runs.checkpoints import MARKER, TEACHER_FILE, checkpoint_files
from rlsd_cli.runs.directory import RunDir, write_json, write_text
from rlsd_cli.testbed.network import build_model, build_tokenizer
from rlsd_cli.theory import exact
from rlsd_cli.theory.check import at_most, finding
from rlsd_cli.theory.credit_checks import study_direction
from rlsd_cli.theory.outcomes import study_dynamics

RUNNER = CliRunner()
SMALL = {"width": 32, "layers": 1, "heads": 2}


def save_model(path: Path, seed: int) -> None:
    """Write a randomly initialised model with its tokenizer."""
    tokenizer = build_tokenizer()
    build_model(Recipe(seed=seed, **SMALL)).save_pretrained(path)
    tokenizer.save_pretrained(path)


def make_run(path: Path, base: Path, source: str = "online", method: str = "opsd") -> Path:
    """Write a run directory with checkpoints of steps 10 and 20, as training would."""
    settings = {
        "method": method,
        "model": {"path": str(base)},
        "teacher": {"source": source},
        "train": {"prompts_per_step": 2, "group_size": 4, "max_completion_tokens": 8},
    }
    write_text(path / "config.yaml", dump(configure.build([settings])))
    run = RunDir(path)
    run.write_status(state="complete", step=20, steps=20)
    for seed, step in ((1, 10), (2, 20)):
        folder = run.checkpoints_dir / f"checkpoint-{step}"
        save_model(folder, seed)
        if source in ("synced", "ema"):
            teacher = build_model(Recipe(seed=seed + 10, **SMALL))
            save_file({name: value.clone() for name, value in teacher.state_dict().items()}, folder / TEACHER_FILE)
        write_json(folder / MARKER, {"files": checkpoint_files(folder)})
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("theory") / "base"
    save_model(path, 0)
    return path


def theory(*arguments: object):
    return RUNNER.invoke(app, ["theory", *map(str, arguments)], env={"COLUMNS": "500"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, base: Path) -> dict[str, Path]:
    """Return scored runs by teacher source."""
    folder = tmp_path_factory.mktemp("runs")
    made = {source: make_run(folder / source, base, source) for source in ("online", "frozen", "synced")}
    for run in made.values():
        result = theory(run, "--questions", 6, "--samples", 2)
        assert result.exit_code == 0, result.output
    return made


def checkpoint_rows(run: Path) -> list[dict]:
    return json.loads((run / "theory" / "report.json").read_text())["checkpoints"]


def test_floor_lies_under_the_loss_at_each_checkpoint_of_a_run(runs: dict[str, Path]) -> None:
    for run in runs.values():
        assert [row["step"] for row in checkpoint_rows(run)] == [0, 10, 20]
        for row in checkpoint_rows(run):
            assert 0 < row["floor"]["mean"] < row["loss"]["mean"]
            assert row["loss"]["n"] == 6
            assert row["residual"] < 1e-10
        assert (run / "theory" / "theory-floor.png").stat().st_size > 0
        assert (run / "theory" / "theory-floor.pdf").stat().st_size > 0


def test_teacher_of_a_run_is_its_own(runs: dict[str, Path]) -> None:
    losses = {source: [row["loss"]["mean"] for row in checkpoint_rows(run)] for source, run in runs.items()}
    assert losses["online"][0] == losses["frozen"][0] == losses["synced"][0]  # before training all are the same
    assert len({tuple(values[1:]) for values in losses.values()}) == 3


def test_beliefs_are_another_prior_with_a_report_of_their_own(runs: dict[str, Path], tmp_path: Path) -> None:
    options = ("--questions", 4, "--samples", 2, "--prior", "beliefs")
    result = theory(runs["online"], *options, "--output-dir", tmp_path / "out")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report-beliefs.json").read_text())
    assert report["prior"] == "beliefs"
    assert report["checkpoints"][0]["by_reference"] == {}
    assert not (runs["online"] / "theory" / "report-beliefs.json").exists()


def test_the_divergence_that_training_logged_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert logged_divergence(run) == {}
    write_text(run.metrics_file, '{"step": 1, "loss": 0.0}\n{"step": 2, "teacher/kl_forward": 0.25}\n')
    assert logged_divergence(run) == {2: 0.25}


def test_same_seed_gives_the_same_report(runs: dict[str, Path], tmp_path: Path) -> None:
    theory(runs["online"], "--questions", 6, "--samples", 2, "--output-dir", tmp_path)
    assert (tmp_path / "report.json").read_text() == (runs["online"] / "theory" / "report.json").read_text()


def test_a_run_without_checkpoints_is_refused_with_what_to_do(tmp_path: Path, base: Path) -> None:
    run = make_run(tmp_path / "run", base)
    shutil.rmtree(run / "checkpoints")
    result = theory(run)
    assert isinstance(result.exception, UserError)
    assert "train.save_every" in str(result.exception)


def test_a_torn_checkpoint_is_left_out(tmp_path: Path, base: Path) -> None:
    run = make_run(tmp_path / "run", base)
    (run / "checkpoints" / "checkpoint-20" / "tokenizer.json").unlink()
    theory(run, "--questions", 4, "--samples", 2)
    rows = json.loads((run / "theory" / "report.json").read_text())["checkpoints"]
    assert [row["step"] for row in rows] == [0, 10]


def test_a_damaged_teacher_copy_is_told_by_its_path(tmp_path: Path, base: Path) -> None:
    run = make_run(tmp_path / "run", base, "synced")
    folder = run / "checkpoints" / "checkpoint-10"
    (folder / TEACHER_FILE).write_bytes(b"torn")
    write_json(folder / MARKER, {"files": checkpoint_files(folder)})
    result = theory(run, "--questions", 4, "--samples", 2)
    assert isinstance(result.exception, UserError)
    assert TEACHER_FILE in str(result.exception)


def test_a_base_of_another_shape_is_not_taken_for_the_runs_start(tmp_path: Path, base: Path) -> None:
    run = make_run(tmp_path / "run", base)
    other = tmp_path / "other"
    build_model(Recipe(width=16, layers=1, heads=2)).save_pretrained(other)
    text = (run / "config.yaml").read_text().replace(str(base), str(other))
    (run / "config.yaml").write_text(text)
    result = theory(run, "--questions", 4, "--samples", 2)
    assert isinstance(result.exception, UserError)
    assert "differs in shape" in str(result.exception)


def test_an_external_teacher_has_no_floor(tmp_path: Path, base: Path) -> None:
    run = make_run(tmp_path / "run", base)
    text = (run / "config.yaml").read_text().replace("model: null", "model: micro-teacher")
    (run / "config.yaml").write_text(text)
    result = theory(run, "--questions", 4, "--samples", 2)
    assert isinstance(result.exception, UserError)
    assert "Theorem 1" in str(result.exception)


def test_a_path_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert isinstance(theory(tmp_path / "nothing").exception, UserError)


def test_exact_checks_print_and_write_what_they_found(tmp_path: Path) -> None:
    result = theory("--seed", 1, "--output-dir", tmp_path)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    failed = {check["source"] for check in report["checks"] if check["verdict"] == "fails"}
    assert failed == {"Prop. 1 (ii)", "Table 3"}  # findings about the paper, not errors of the code
    identity = next(check for check in report["checks"] if check["statement"].startswith("L_OPSD ="))
    assert identity["measured"] < identity["tolerance"] == 1e-10
    mean = next(check for check in report["checks"] if "E_r[δ] = 0" in check["statement"])
    assert mean["measured"] < mean["tolerance"] == 1e-12
    for check in report["checks"]:
        assert check["statement"] in result.stdout
        assert check["note"] in result.stdout.replace("\n", " ")
    for name in ("theory-dynamics", "theory-direction"):
        assert (tmp_path / f"{name}.png").stat().st_size > 0
        assert (tmp_path / f"{name}.pdf").stat().st_size > 0


def test_a_proven_identity_that_fails_gives_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [at_most("Theorem 1", "broken on purpose", 1.0, "residual", 1e-10)]
    monkeypatch.setattr(exact, "theorem_1", lambda count, seed: broken)
    monkeypatch.setattr(exact, "study_dynamics", lambda seed: study_dynamics(seed, questions=3, steps=12, paths=3))
    monkeypatch.setattr(exact, "study_direction", lambda seed: study_direction(seed, count=60, teachers=5))
    assert theory().exit_code == 1


def test_a_finding_about_the_paper_is_no_failure_of_the_code() -> None:
    found = exact.Exact(0, [at_most("x", "y", 1.0, "z", 0.0, must_hold=False), finding("x", "y", 1.0, "z")], None, None)
    assert found.broken == []


def test_a_measurement_that_is_not_a_number_does_not_hold() -> None:
    assert at_most("x", "y", float("nan"), "z", 1.0).verdict == "fails"
