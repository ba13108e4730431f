"""Exposure over arms and seeds: GRPO beside the others, of the same questions."""

import numpy as np
import pandas as pd
import pytest
from synthetic_runs import write_run

from rlsd_cli.leakage.exposure import null_exposure, of_rank
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.exposure import all_exposed, exposed, over_placebo, placebo_of
from rlsd_cli.report.figures.exposure import exposure
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.tables.exposure import exposure_bits
from rlsd_cli.runs.directory import write_json, write_parquet
from rlsd_cli.statistics import nested_interval, t_interval
from scripts.keep_runs import main

QUESTIONS, UNSEEN, STEPS = 150, 9, (0, 30, 60)


def write_exposure(path, method, seed, taken):
    """Write ranks that are uniform but for a share of the questions, growing to ``taken``: their decoy ranks first."""
    rows = []
    chance = np.random.default_rng(seed)  # equal for all arms of a seed: the same candidates of the same base
    ranks, thresholds = chance.integers(0, UNSEEN + 1, QUESTIONS), chance.random(QUESTIONS)
    for step in STEPS:
        for question in range(QUESTIONS):
            higher = 0 if thresholds[question] < taken * step / STEPS[-1] else int(ranks[question])
            row = {"higher": higher, "tied": 0, "unseen": UNSEEN, "follow": 0.1, "follow_unseen": 0.1}
            excess = of_rank(higher, 0, UNSEEN) - null_exposure(UNSEEN)
            for text in ("answer", "solution"):
                rows.append({"step": step, "prompt_id": f"q{seed}-{question}", "text": text, **row, "excess": excess})
    write_parquet(path / "leakage" / "exposure.parquet", pd.DataFrame(rows))
    write_json(path / "leakage" / "exposure.json", {"shown": method != "grpo"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("exposure")
    for method, taken in (("grpo", 0.0), ("opsd", 0.4), ("rlsd", 0.0)):
        for seed in range(3):
            path = write_run(root / method / f"seed-{seed}", method, seed=seed, evaluated=False, credit=False)
            write_exposure(path, method, seed, taken)
    return root


def test_an_arm_that_took_decoys_over_stands_above_grpo_and_grpo_at_zero(runs):
    rows = dict(exposure_bits(compare(find_runs([runs]))).rows)
    seen, questions, excess, since, over, follows = rows["GRPO (n=3)"]
    assert (seen.text, questions.text) == ("solution (not seen)", "450")
    assert excess.low < 0 < excess.high
    assert since.value == 0.0
    assert over.value is None
    seen, _, excess, since, over, follows = rows["OPSD (n=3)"]
    assert seen.text == "solution"
    assert excess.low > 0
    assert excess.text == "(p < 0.001)"
    assert over.low > 0
    assert since.value == pytest.approx(over.value), "GRPO has not moved, so both are the same change"
    assert follows.value == 0.0
    seen, _, _, _, over, _ = rows["RLSD (n=3)"]
    assert (seen.text, over.value) == ("answer", 0.0)


def test_the_figure_shows_every_arm_and_their_differences_from_grpo(runs):
    picture = exposure(compare(find_runs([runs])))
    left, right = picture.figure.axes
    assert len(left.containers) == 3
    assert len(right.containers) == 2
    assert "450 questions" in picture.caption


def test_exposure_survives_the_removal_of_weights(runs, tmp_path):
    main([runs, tmp_path / "kept"])
    kept, whole = (exposure_bits(compare(find_runs([path]))).csv() for path in (tmp_path / "kept", runs))
    assert kept == whole


def test_runs_without_exposure_or_with_a_damaged_file_are_left_out(tmp_path):
    path = write_run(tmp_path / "grpo", "grpo", evaluated=False, credit=False)
    comparison = compare(find_runs([tmp_path]))
    with pytest.raises(Missing, match="no run has decoys"):
        exposure(comparison)
    (path / "leakage").mkdir()
    (path / "leakage" / "exposure.parquet").write_bytes(b"PAR1")
    with pytest.raises(Missing, match="damaged"):
        exposed(comparison.variants["grpo"])
    write_parquet(path / "leakage" / "exposure.parquet", pd.DataFrame({"step": [0]}))
    with pytest.raises(Missing, match="lacks columns"):
        exposed(comparison.variants["grpo"])


def test_without_grpo_there_is_no_difference_from_it(runs):
    found = all_exposed(compare(find_runs([runs / "opsd"])))
    assert placebo_of(found) is None
    assert over_placebo(found[0], None, 60) is None
    assert exposure_bits(compare(find_runs([runs / "opsd"]))).notes


def test_a_nested_interval_holds_seeds_and_questions():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        seeds = [rng.normal() * 0.5 + rng.normal(size=40) for _ in range(3)]
        found = nested_interval(seeds)
        covered += found.low <= 0 <= found.high
    assert covered / 400 > 0.93  # 95 % less two standard errors of 400 trials
    assert nested_interval([seeds[0]]) == t_interval(seeds[0])
    assert nested_interval([[1.0], [3.0]]).mean == 2.0
    with pytest.raises(ValueError, match="at least one seed"):
        nested_interval([[]])
