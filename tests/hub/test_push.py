"""The model card says what was trained and measured; pushing sends the model and nothing else."""

import json

import pytest
import yaml
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from typer.testing import CliRunner

from rlsd_cli.arms.configure import build
from rlsd_cli.cli import app
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.hub.card import card, public_name
from rlsd_cli.hub.push import push
from rlsd_cli.runs.directory import RunDir


@pytest.fixture
def run_dir(tmp_path):
    run = RunDir(tmp_path / "run")
    run.model_dir.mkdir(parents=True)
    config = build(
        [{"method": "rlsd", "seed": 7, "model": {"path": "Qwen/Qwen3-0.6B"}, "train": {"steps": 30, "lora_rank": 4}}]
    )
    run.config_file.write_text(dump(config))
    run.write_status(state="complete", step=30, steps=30)
    run.metrics_file.write_text(json.dumps({"step": 30, "reward": 0.5, "leakage/rate": 0.125}) + "\n")
    (run.model_dir / "adapter_config.json").write_text("{}")
    run.eval_dir.mkdir()
    summary = {
        "suite": "five-steps",
        "checkpoint_step": 30,
        "n_questions": 200,
        "samples": 4,
        "max_new_tokens": 36,
        "greedy_accuracy": 0.435,
        "greedy_interval": [0.368, 0.504],
        "avg_at_k": 0.4,
        "avg_at_k_interval": [0.35, 0.45],
        "leakage_rate": 0.02,
    }
    (run.eval_dir / "five-steps.json").write_text(json.dumps(summary))
    return run


class FakeHub:
    def __init__(self, error=None):
        self.calls, self.error = [], error

    def create_repo(self, repo_id, private, exist_ok):
        if self.error:
            raise self.error
        self.calls.append(("create", repo_id, private))

    def upload_folder(self, **given):
        self.calls.append(("upload", given["folder_path"], given["ignore_patterns"]))
        return f"https://hub/{given['repo_id']}/commit/1"


def test_the_card_names_base_method_settings_numbers_and_leakage(run_dir):
    text = card(run_dir)
    header = yaml.safe_load(text.split("---")[1])
    assert header["base_model"] == "Qwen/Qwen3-0.6B"
    assert header["library_name"] == "peft"
    assert "license" not in header, "nobody but the user can say it"
    assert "| five-steps | 30 | 200 | 43.5 [36.8, 50.4] | 40.0 [35.0, 45.0] | 4 | 36 | 2.0 |" in text
    assert "At step 30, 12.5 % of the rollouts mentioned a reference" in text
    assert "method `rlsd`, seed 7, 30 of 30 steps" in text
    assert "inherit the licence" in text
    settings = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    assert settings["train"]["lora_rank"] == 4


def test_a_card_shows_numbers_without_an_interval_and_what_older_files_lack(run_dir):
    one = {"suite": "x", "n_questions": 1, "greedy_accuracy": 1.0, "greedy_interval": [0.2, 1.0]}
    one |= {"avg_at_k": 0.5, "avg_at_k_interval": None}
    (run_dir.eval_dir / "limit-1").mkdir()
    (run_dir.eval_dir / "limit-1" / "x.json").write_text(json.dumps(one))
    assert "| x | – | 1 | 100.0 [20.0, 100.0] | 50.0 [–, –] | – | – | – |" in card(run_dir)


def test_the_card_of_a_run_without_evaluation_says_so(run_dir):
    (run_dir.eval_dir / "five-steps.json").unlink()
    run_dir.metrics_file.unlink()
    assert "Not evaluated" in card(run_dir)
    assert "Leakage was not measured" in card(run_dir)


def test_no_path_of_the_machine_gets_into_the_card(run_dir):
    told = yaml.safe_load(run_dir.config_file.read_text())
    told["model"]["path"] = "/home/someone/models/base"
    run_dir.config_file.write_text(yaml.safe_dump(told))
    assert "/home/someone" not in card(run_dir)
    assert public_name("owner/name") == "owner/name"


def test_pushing_makes_a_private_repository_and_sends_the_model_with_its_card(run_dir):
    hub = FakeHub()
    assert push(run_dir, "me/mine", hub) == "https://hub/me/mine/commit/1"
    assert hub.calls[0] == ("create", "me/mine", True)
    assert hub.calls[1][1] == str(run_dir.model_dir)
    assert "*.pt" in hub.calls[1][2]
    assert (run_dir.model_dir / "README.md").read_text() == card(run_dir)


def test_a_dry_run_writes_the_card_and_sends_nothing(run_dir, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: pytest.fail("the hub was asked"))
    result = CliRunner().invoke(app, ["push", str(run_dir.path), "me/mine", "--dry-run"])
    assert result.exit_code == 0
    assert "12.5 %" in result.output
    assert (run_dir.model_dir / "README.md").is_file()


def test_what_cannot_be_sent_is_told(run_dir, tmp_path):
    with pytest.raises(UserError, match="OWNER/NAME"):
        push(run_dir, "not a name", FakeHub(HFValidationError("bad")))
    with pytest.raises(UserError, match=r"could not be sent .*no route"):
        push(run_dir, "me/mine", FakeHub(ConnectionError("no route")))
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        push(run_dir, "me/mine", FakeHub(OfflineModeIsEnabled("offline")))
    (run_dir.model_dir / "extra.json").symlink_to(run_dir.config_file)
    with pytest.raises(UserError, match="symbolic link"):
        push(run_dir, "me/mine", FakeHub())
    (run_dir.model_dir / "extra.json").unlink()
    (run_dir.model_dir / "adapter_config.json").unlink()
    with pytest.raises(UserError, match="no final model"):
        push(run_dir, "me/mine", FakeHub())


@pytest.mark.parametrize("name", ["", "me", "a/b/c", "bad id!!/x", "me/"])
def test_a_name_that_the_hub_does_not_allow_is_refused_before_the_card_is_written(run_dir, name):
    result = CliRunner().invoke(app, ["push", str(run_dir.path), name, "--dry-run"])
    assert isinstance(result.exception, UserError)
    assert "OWNER/NAME" in str(result.exception)
