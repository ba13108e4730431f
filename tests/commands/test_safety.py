"""Files from strangers: no code is run, nothing is read or written outside, nothing is obeyed by a terminal."""

import json
import os
import pickle

import pandas as pd
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from rlsd_cli import cli
from rlsd_cli.arms import configure
from rlsd_cli.commands.progress import TrainProgress
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.errors import UserError
from rlsd_cli.runs.checkpoints import MARKER, checkpoint_files, digests
from rlsd_cli.runs.directory import RunDir, append_line, write_text
from rlsd_cli.runs.lock import held
from rlsd_cli.tasks.images import load_images
from rlsd_cli.training.run import prepare, train

PICKLES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def stopped(tiny_config, tmp_path):
    """A run with a checkpoint of step 2 and no end, and its configuration."""

    class Stopped(Exception):
        pass

    def on_step(record):
        if record["step"] == 3:
            raise Stopped

    settings = tiny_config("grpo", {"train": {"steps": 4}})
    with pytest.raises(Stopped):
        train(settings, tmp_path / "run", on_step=on_step)
    return settings, RunDir(tmp_path / "run")


@pytest.mark.parametrize("name", [*PICKLES, "training_args.bin", "pytorch_model.bin"])
def test_a_pickle_planted_in_a_checkpoint_is_never_run(stopped, tmp_path, name):
    settings, run = stopped
    checkpoint = run.checkpoints_dir / "checkpoint-2"
    (checkpoint / name).write_bytes(pickle.dumps(Planted(tmp_path / "harm")))
    # The stranger marks the checkpoint as whole.
    marker = {"files": checkpoint_files(checkpoint), "sha256": digests(checkpoint)}
    (checkpoint / MARKER).write_text(json.dumps(marker))
    if name in PICKLES:
        with pytest.raises(UserError, match=r"checkpoint-2 holds a pickle .* never opened"):
            train(settings, run.path, resume=True)
    else:  # nobody reads these
        assert train(settings, run.path, resume=True).status()["state"] == "complete"
    assert not (tmp_path / "harm").exists()


def test_a_model_of_pickles_is_refused(tiny_config, tiny_model, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for path in tiny_model.iterdir():
        if path.suffix != ".safetensors":
            (model / path.name).write_bytes(path.read_bytes())
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Planted(tmp_path / "harm")))
    with pytest.raises(UserError, match="cannot be loaded"):
        train(tiny_config("grpo", {"model": {"path": str(model)}}), tmp_path / "run")
    assert not (tmp_path / "harm").exists()


def test_a_models_own_code_is_not_run(tiny_config, tiny_model, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for path in tiny_model.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    settings = json.loads((model / "config.json").read_text())
    settings |= {"model_type": "strange", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (model / "config.json").write_text(json.dumps(settings))
    (model / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    with pytest.raises(UserError, match=r"cannot be loaded|can't be read"):
        train(tiny_config("grpo", {"model": {"path": str(model)}}), tmp_path / "run")
    assert not (tmp_path / "harm").exists()


def test_yaml_makes_no_objects(tmp_path):
    harm = tmp_path / "harm"
    path = tmp_path / "config.yaml"
    path.write_text(f"method: !!python/object/apply:os.mkdir ['{harm}']\n")
    with pytest.raises(UserError):
        layers.read_yaml(path)
    with pytest.raises(UserError):
        RunDir(tmp_path).config()
    with pytest.raises(UserError):
        parse_assignment(f"train.steps=!!python/object/apply:os.mkdir ['{harm}']")
    # Where a text is wanted, the words stay words.
    assert parse_assignment(f"label=!!python/object/apply:os.mkdir ['{harm}']")["label"].startswith("!!python")
    assert not harm.exists()


def test_aliases_of_aliases_are_refused_in_a_short_sentence(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]  # 9^9 words if written out
    path = tmp_path / "config.yaml"
    path.write_text("\n".join([*lines, "method: grpo", "train: {steps: *a8}"]))
    layer = layers.read_yaml(path)
    with pytest.raises(UserError) as caught:
        configure.build([{"method": "grpo", "train": layer["train"]}])
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", ["config.yaml", "status.json", "completions", "checkpoints", "metrics.jsonl"])
def test_a_link_in_a_run_directory_is_refused(stopped, tmp_path, name):
    settings, run = stopped
    target = tmp_path / "elsewhere"
    (run.path / name).rename(target)
    (run.path / name).symlink_to(target)
    with pytest.raises(UserError, match=f"{name} is a symbolic link"):
        RunDir.open(run.path)
    with pytest.raises(UserError, match=f"{name} is a symbolic link"):
        prepare(run.path, settings, resume=True)


def test_nothing_is_written_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    (run.path / ".status.json.tmp").symlink_to(victim)
    with pytest.raises(UserError, match="symbolic link"):
        run.write_status(state="running")
    (run.path / ".lock").symlink_to(victim)
    with pytest.raises(UserError, match="symbolic link"), held(run.path):
        pass
    run.metrics_file.symlink_to(victim)
    with pytest.raises(UserError, match="symbolic link"):
        append_line(run.metrics_file, "{}")
    assert victim.read_text() == "mine"
    # A link in the place of the file itself is replaced, not followed.
    (run.path / "report.json").symlink_to(victim)
    write_text(run.path / "report.json", "{}")
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("label", ["../../evil", "/tmp/evil", "..", "a/b", "a\\b", ".hidden", "a\nb", "\x1b[2J"])
def test_a_label_that_leads_out_is_refused(label):
    with pytest.raises(UserError, match="a label names a directory"):
        configure.build([{"method": "grpo", "label": label}])


def test_a_suite_that_leads_out_is_refused(stopped):
    _, run = stopped
    from rlsd_cli.evaluation.run import EvalOptions, evaluate_run

    with pytest.raises(UserError, match="suite"):
        evaluate_run(run.path, EvalOptions(samples=1, limit=1), ["../../evil"], 2)


@pytest.mark.parametrize("name", ["../a.png", "{absolute}", "b/../../a.png"])
def test_an_image_path_that_leads_out_is_refused(tmp_path, name):
    from PIL import Image

    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    folder = tmp_path / "images"
    folder.mkdir()
    with pytest.raises(UserError, match=r"leads out of the image folder|is absolute"):
        load_images(name.format(absolute=tmp_path / "a.png"), folder, "row 0 of x")


def test_an_image_path_to_no_plain_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    with pytest.raises(UserError, match="no plain file"):
        load_images("pipe.png", tmp_path, "row 0 of x")


def test_markup_in_a_label_is_data(tiny_config, tmp_path):
    settings = tiny_config("grpo", {"label": "[red]x[] [link"})
    progress = TrainProgress(settings, tmp_path / "[bold]y")
    progress.console = Console(record=True, force_terminal=False, width=200)
    progress.say("see [bold] checkpoint[/]")
    record = {"step": 3, "time/step_s": 1.0}
    progress.update(record)
    progress.close_with_summary()
    shown = progress.console.export_text()
    for text in ("[red]x[] [link seed 0", "see [bold] checkpoint[/]", "[bold]y"):
        assert text in shown


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, monkeypatch, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"method": "grpo", "\x1b[2J\x07": 1}))
    monkeypatch.setattr("sys.argv", ["rlsd", "train", "--config", str(path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert "\\x1b[2J\\x07" in told
    assert "\x1b" not in told


def test_an_audit_writes_no_markup_of_a_completion(tmp_path):
    evil = "<script>alert(1)</script> The reference solution says \x1b[2J 7."
    pd.DataFrame({"completion": [evil]}).to_parquet(tmp_path / "a.parquet")
    command = ["leakage-audit", "--completions", str(tmp_path / "a.parquet"), "--output-dir", str(tmp_path / "out")]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0
    assert "\x1b[2J" not in result.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
