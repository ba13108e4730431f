"""What is kept of a run is enough to judge it again, and holds no weights and no texts."""

import gzip

import pandas as pd
import pytest
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.runs import find_runs
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


def test_neither_an_unfinished_run_nor_texts_nor_weights_are_kept(runs, tmp_path):
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
