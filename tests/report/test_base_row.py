"""The untrained model beside the arms: it has no seeds of its own, no curves, and only a model and a task."""

import json
import shutil

import numpy as np
import pytest
import yaml
from matplotlib import pyplot as plt
from synthetic_runs import write_evaluations, write_run

from rlsd_cli.report.accuracy import difference, mean_interval
from rlsd_cli.report.claims import Page
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.document import document
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.style import styled
from rlsd_cli.report.tables import TABLES
from rlsd_cli.runs.directory import SCHEMA_VERSION, RunDir, write_json, write_text


@pytest.fixture(scope="module")
def with_base(tmp_path_factory):
    root = tmp_path_factory.mktemp("with-base")
    for method in ("grpo", "rlsd"):
        for seed in range(3):
            write_run(root / method / str(seed), method, seed)
    base = RunDir(root / "base" / "seed-0")
    config = {"method": "base", "seed": 0, "task": {"name": "arithmetic", "operations": 4}}
    write_text(base.config_file, yaml.safe_dump({**config, "model": {"path": "micro-base"}}))
    write_json(base.status_file, {"schema_version": SCHEMA_VERSION, "state": "complete", "step": 0, "steps": 0})
    write_evaluations(base, 0.4, 0)
    for number, path in enumerate(sorted(base.eval_dir.glob("*.parquet"))):
        write_json(path.with_suffix(".json"), {"checkpoint_step": 0, "leakage_rate": 0.01 * number})
    return root


@pytest.fixture(scope="module")
def comparison(with_base):
    return compare(find_runs([with_base]))


def test_every_seed_of_an_arm_is_compared_with_the_one_base(comparison):
    base, grpo = comparison.variants["base"], comparison.variants["grpo"]
    suites = suites_of(base)
    found = difference(grpo, base, suites)
    assert found.seeds == (0, 1, 2)
    expected = mean_interval(grpo, suites).mean - mean_interval(base, suites).mean
    assert found.interval.mean == pytest.approx(expected)
    backwards = difference(base, grpo, suites)
    assert backwards.seeds == (0, 1, 2)
    np.testing.assert_allclose(backwards.interval[:3], np.negative(found.interval)[[0, 2, 1]])


def test_the_base_is_a_row_of_tables_1_and_2_and_a_bar_of_figure_1b(comparison):
    assert "Base (n=1)" in dict(TABLES["table2"](comparison).rows)
    assert "Base − GRPO (n=3)" in dict(TABLES["differences"](comparison).rows)
    leakage = dict(TABLES["table1"](comparison).rows)["Base (n=1)"][-1]
    assert (leakage.value, leakage.text) == (pytest.approx(0.01), "(suites)")
    with styled("paper"):
        picture = FIGURES["fig1b"](comparison)
    assert picture.figure.legends[0].get_texts()[0].get_text() == "Base"
    assert not any("base" in each for each in picture.left_out)
    plt.close("all")


def test_curves_and_notes_do_not_miss_what_an_untrained_model_cannot_have(comparison, tmp_path):
    with styled("paper"):
        for name in ("overview", "reward"):
            picture = FIGURES[name](comparison)
            assert not any("base" in each for each in picture.left_out), picture.left_out
    plt.close("all")
    assert not any("base" in note for note in comparison.notes), comparison.notes
    text = document(comparison, Page([], []), [], [], tmp_path, "")
    assert "Common to all arms: model.path micro-base, task.name arithmetic" in text
    assert "train.steps 60" in text


def test_a_base_of_another_model_is_noted(with_base, tmp_path):
    root = shutil.copytree(with_base, tmp_path / "runs")
    path = root / "base" / "seed-0" / "config.yaml"
    path.write_text(path.read_text().replace("micro-base", "another"))
    notes = compare(find_runs([root])).notes
    assert [note for note in notes if "model.path: another (base); micro-base (grpo, rlsd)" in note]
    assert json.dumps(notes).count("differ in") == 1
