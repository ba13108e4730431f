"""Two processes on one machine (gloo) train as one does: same metrics, same weights, one set of files."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from rlsd_cli.runs.directory import RunDir

SCRIPT = Path(__file__).with_name("fixed_rollouts.py")
ARMS = ["grpo", "rlsd", "opsd"]
# Means over tokens that are taken process by process, and then averaged, weigh tokens differently.
PER_PROCESS = {"entropy"}


def launch(processes, *arguments):
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    result = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def launched(tiny_model, tmp_path_factory):
    """The run folders of one process and of two, and what the two printed."""
    folder = tmp_path_factory.mktemp("runs")
    launch(1, SCRIPT, tiny_model, folder / "one", *ARMS)
    printed = launch(2, SCRIPT, tiny_model, folder / "two", *ARMS).stdout
    return folder / "one", folder / "two", printed


@pytest.fixture(scope="module")
def folders(launched):
    return launched[:2]


@pytest.mark.parametrize("method", ARMS)
def test_two_processes_give_the_metrics_of_one(folders, method):
    one, two = (RunDir.open(folder / method).metrics() for folder in folders)
    assert [line["step"] for line in two] == [1, 2]
    compared = 0
    for first, second in zip(one, two, strict=True):
        assert first.keys() == second.keys()
        for key in first.keys() - {key for key in first if key.startswith("time/")}:
            tolerance = 0.05 if key in PER_PROCESS else 1e-4
            assert second[key] == pytest.approx(first[key], rel=tolerance, abs=1e-6), key
            compared += key in {"loss", "grad_norm", "reward"} or key.startswith(("rlsd/", "distillation/"))
    assert compared >= 6
    assert any(line["grad_norm"] > 1e-3 for line in one), "nothing was learned, so nothing was compared"


@pytest.mark.parametrize("method", ARMS)
def test_two_processes_end_with_the_weights_of_one(folders, method):
    one, two = (load_file(folder / method / "model" / "model.safetensors") for folder in folders)
    for name, weight in one.items():
        # AdamW divides by the gradient's size: where that is tiny, its rounding is a share of lr = 1e-3.
        assert (weight - two[name]).abs().max().item() < 1e-4, name


def test_two_processes_write_each_rollout_once_and_in_order(folders):
    one, two = (pd.read_parquet(folder / "rlsd" / "completions" / "step-000002.parquet") for folder in folders)
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)
    assert len(two) == 8


def test_an_error_on_the_first_process_is_told_once_and_ends_all(launched):
    assert launched[2].count("told:") == launched[2].count("already holds files") == 1
    assert launched[2].count("quiet: 2") == 1


def test_ranks_draw_different_rollouts(folders):
    texts = pd.read_parquet(folders[1] / "free" / "completions" / "step-000001.parquet")["completion"].tolist()
    assert texts[:2] != texts[2:], "both processes sampled with the same seed"
