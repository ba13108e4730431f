"""Finding and reading run directories."""

import json

import numpy as np
import pytest
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.runs import find_runs, open_run


def test_runs_are_found_below_a_directory_and_each_once(tmp_path):
    one = write_run(tmp_path / "a" / "grpo" / "seed-0", "grpo")
    two = write_run(tmp_path / "a" / "grpo" / "seed-1", "grpo", 1)
    found = find_runs([tmp_path, one])
    assert [run.path for run in found] == [one, two]


def test_links_are_not_followed(tmp_path):
    write_run(tmp_path / "elsewhere" / "run", "grpo")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds none"):
        find_runs([tmp_path / "runs"])


@pytest.mark.parametrize(("name", "told"), [("absent", "does not exist"), ("file", "is a file: give a directory")])
def test_a_path_that_is_no_directory_is_refused(tmp_path, name, told):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=told):
        find_runs([tmp_path / name])


def test_a_run_tells_its_arm_label_and_seed(tmp_path):
    run = open_run(write_run(tmp_path / "x", "opsd", 7, label="opsd-reverse"))
    assert (run.method, run.label, run.seed, run.complete, run.steps) == ("opsd", "opsd-reverse", 7, True, 60)
    assert open_run(write_run(tmp_path / "y", "grpo")).label == "grpo"


def test_a_seed_that_is_no_number_is_refused(tmp_path):
    path = write_run(tmp_path / "x", "grpo", changes={"seed": "three"})
    with pytest.raises(UserError, match="seed"):
        open_run(path)


def test_a_series_holds_the_finite_values_of_the_last_line_of_each_step(tmp_path):
    path = write_run(tmp_path / "x", "grpo")
    lines = [{"step": 1, "a": 1.0}, {"step": 2, "a": None}, {"step": 3, "a": 3.0, "b": 0.5}, {"step": 1, "a": 9.0}]
    torn = '{"step": 4, "a": 4'
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    run = open_run(path)
    steps, values = run.series("a")
    np.testing.assert_array_equal(steps, [1, 3])
    np.testing.assert_array_equal(values, [9.0, 3.0])
    np.testing.assert_array_equal(run.series("a+b")[1], [3.5])
    assert len(run.series("absent")[0]) == 0


def test_a_run_that_has_not_logged_yet_has_empty_series(tmp_path):
    path = write_run(tmp_path / "x", "grpo")
    (path / "metrics.jsonl").unlink()
    assert len(open_run(path).series("reward")[0]) == 0


def test_a_damaged_line_is_named(tmp_path):
    path = write_run(tmp_path / "x", "grpo")
    (path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
    with pytest.raises(UserError, match="line 2"):
        open_run(path).series("reward")
