"""What is kept of a run is enough to judge it and to show its samples again, and holds no weights and few texts."""

import gzip
import json

import pandas as pd
import pytest
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.credit.data import select
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.samples import PROMPTS, rollouts
from rlsd_cli.report.tables import TABLES
from rlsd_cli.runs.directory import RunDir
from scripts.keep_runs import main


@pytest.fixture
def runs(tmp_path):
    for method in ("grpo", "rlsd"):
        for seed in (0, 1):
            write_run(tmp_path / "runs" / method / f"seed-{seed}", method, seed=seed)
    write_run(tmp_path / "runs" / "opsd" / "seed-0", "opsd", state="running")
    return tmp_path / "runs"


def test_kept_runs_give_the_same_numbers(runs, tmp_path):
    main([runs, tmp_path / "kept"])
    finished = [runs / "grpo", runs / "rlsd"]
    kept, whole = compare(find_runs([tmp_path / "kept"])), compare(find_runs(finished))
    for name in ("summary", "differences", "table2"):
        assert TABLES[name](kept).csv() == TABLES[name](whole).csv()


def test_kept_runs_show_the_same_samples_and_the_same_heat_map(runs, tmp_path):
    main([runs, tmp_path / "kept"])
    finished = [runs / "grpo", runs / "rlsd"]
    kept, whole = compare(find_runs([tmp_path / "kept"])), compare(find_runs(finished))
    for name in ("grpo", "rlsd"):
        assert rollouts(kept.variants[name].runs[0]) == rollouts(whole.variants[name].runs[0]) != []
        assert rollouts(kept.variants[name].runs[1]) == []
    pair, other = (select(each.variants["rlsd"].runs[0]) for each in (kept, whole))
    assert (pair.step, pair.prompt_id) == (other.step, other.prompt_id)
    assert [each.tokens for each in pair.trajectories] == [each.tokens for each in other.trajectories]
    files = (tmp_path / "kept" / "grpo" / "seed-0" / "credit").glob("step-*.parquet")
    assert all(len(pd.read_parquet(path)) < 3 * PROMPTS + 1 for path in files)


def test_neither_an_unfinished_run_nor_all_texts_nor_weights_are_kept(runs, tmp_path):
    (runs / "grpo" / "seed-0" / "model").mkdir()
    (runs / "grpo" / "seed-0" / "model" / "model.safetensors").write_bytes(b"weights")
    main([runs, tmp_path / "kept"])
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "kept").parts[0] for path in files} == {"grpo", "rlsd"}
    assert not [path for path in files if path.suffix == ".safetensors" or "completions" in path.parts]
    rows = [path for path in files if "eval" in path.parts and path.suffix == ".parquet"]
    assert rows
    assert all("completion" not in pd.read_parquet(path) for path in rows)


def test_metrics_cut_off_in_the_middle_are_said(runs, tmp_path):
    main([runs, tmp_path / "kept"])
    file = tmp_path / "kept" / "grpo" / "seed-0" / "metrics.jsonl.gz"
    whole = RunDir.open(file.parent).metrics()
    assert whole
    assert gzip.decompress(file.read_bytes()) == (runs / "grpo" / "seed-0" / "metrics.jsonl").read_bytes()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match="is no whole gzip file"):
        RunDir.open(file.parent).metrics()


def test_a_kept_command_names_no_directory_of_the_machine(runs, tmp_path):
    provenance = runs / "grpo/seed-0/provenance.json"
    record = json.loads(provenance.read_text())
    record["attempts"][0]["command"] = ["rlsd", "train", "--output-dir", "/somebody/runs/grpo/seed-0", "--resume"]
    provenance.write_text(json.dumps(record))
    main([runs, tmp_path / "kept"])
    kept = json.loads(next((tmp_path / "kept").glob("grpo/*/provenance.json")).read_text())
    assert kept["attempts"][0]["command"][3] == str(runs / "grpo/seed-0")
