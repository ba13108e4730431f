"""Accuracy on the suites: what is paired with what, and what is left out."""

import numpy as np
import pandas as pd
import pytest
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.report.accuracy import difference, mean_interval, samples_text
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.evaluations import evaluation_notes, suites_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.tables.accuracy import best_beyond_doubt, differences, table2
from rlsd_cli.report.tables.beside import beside
from rlsd_cli.runs.directory import RunDir, write_json, write_parquet
from rlsd_cli.statistics import crossed_interval, sign_flip_p


def write_suite(path, means, *, suite="chain", samples=2, ids=None, step=None, **settings):
    """Write an evaluation in which question i was answered right in ``means[i] * samples`` of the samples."""
    ids = ids or [f"q{i}" for i in range(len(means))]
    rows = [
        {"prompt_id": name, "sample_id": k, "correct": k < round(mean * samples)}
        for name, mean in zip(ids, means, strict=True)
        for k in range(samples)
    ]
    rows += [{"prompt_id": name, "sample_id": -1, "correct": True} for name in ids]
    run = RunDir(path)
    write_parquet(run.eval_dir / f"{suite}.parquet", pd.DataFrame(rows).sample(frac=1, random_state=0))
    if step is not None:
        write_json(run.eval_dir / f"{suite}.json", {"checkpoint_step": step, **settings})


def run_with(tmp_path, method, seed, means, **options):
    path = write_run(tmp_path / f"{method}-{seed}", method, seed, evaluated=False, credit=False)
    write_suite(path, means, **options)
    return path


def read_suite(run, suite):
    return evaluations(run, suite)[0].result()


def variants(tmp_path):
    return compare(find_runs([tmp_path])).variants


def test_question_means_are_over_the_sampled_completions_only(tmp_path):
    result = read_suite(RunDir(run_with(tmp_path, "grpo", 0, [0.5, 0.0, 1.0])), "chain")
    np.testing.assert_array_equal(result.ids, ["q0", "q1", "q2"])
    np.testing.assert_array_equal(result.means, [0.5, 0.0, 1.0])
    assert (result.samples, result.greedy) == (2, False)


def test_the_greedy_completion_counts_where_nothing_was_sampled(tmp_path):
    path = write_run(tmp_path / "x", "grpo", evaluated=False)
    rows = [{"prompt_id": f"q{i}", "sample_id": -1, "correct": i < 2} for i in range(4)]
    write_parquet(path / "eval" / "chain.parquet", pd.DataFrame(rows))
    result = read_suite(RunDir(path), "chain")
    assert result.greedy
    assert result.means.mean() == 0.5


def test_the_mean_is_that_of_the_matrix_of_seeds_and_questions(tmp_path):
    matrix = np.array([[0.5, 1.0, 0.0, 0.5], [1.0, 1.0, 0.0, 0.5]])
    for seed, row in enumerate(matrix):
        run_with(tmp_path, "grpo", seed, row)
    assert mean_interval(variants(tmp_path)["grpo"], ["chain"]) == crossed_interval([matrix])


def test_differences_are_paired_by_question_whatever_the_order_of_the_rows(tmp_path):
    ours, theirs = np.array([1.0, 0.5, 1.0, 0.0, 1.0]), np.array([0.5, 0.0, 0.5, 0.0, 0.5])
    run_with(tmp_path, "rlsd", 0, ours)
    run_with(tmp_path, "grpo", 0, theirs[::-1], ids=["q4", "q3", "q2", "q1", "q0"])
    found = variants(tmp_path)
    result = difference(found["rlsd"], found["grpo"], ["chain"])
    assert result.interval == crossed_interval([(ours - theirs)[None]])
    assert result.p == sign_flip_p(ours - theirs)
    assert (result.seeds, result.questions) == ((0,), 5)


def test_only_questions_that_both_arms_answered_are_compared(tmp_path):
    run_with(tmp_path, "rlsd", 0, [0.0, 1.0, 0.0, 0.5])
    run_with(tmp_path, "grpo", 0, [0.5, 0.5], ids=["q3", "q1"])
    found = variants(tmp_path)
    result = difference(found["rlsd"], found["grpo"], ["chain"])
    assert result.questions == 2
    assert result.interval == crossed_interval([[[0.5, 0.0]]])


def test_differences_use_matched_seeds_only(tmp_path):
    for seed in (0, 1):
        run_with(tmp_path, "rlsd", seed, [1.0, 1.0, 0.5])
    run_with(tmp_path, "grpo", 1, [0.5, 0.5, 0.0])
    run_with(tmp_path, "grpo", 2, [0.0, 0.0, 0.0])
    found = variants(tmp_path)
    result = difference(found["rlsd"], found["grpo"], ["chain"])
    assert result.seeds == (1,)
    assert result.interval.mean == 0.5


def test_arms_that_share_no_seed_or_no_question_are_not_compared(tmp_path):
    run_with(tmp_path, "rlsd", 0, [1.0, 0.0])
    run_with(tmp_path, "grpo", 1, [1.0, 0.0])
    run_with(tmp_path, "opsd", 0, [1.0, 0.0], ids=["other", "another"])
    found = variants(tmp_path)
    with pytest.raises(Missing, match="share no seed"):
        difference(found["rlsd"], found["grpo"], ["chain"])
    with pytest.raises(Missing, match="different questions"):
        difference(found["rlsd"], found["opsd"], ["chain"])


def test_an_evaluation_of_an_earlier_checkpoint_is_left_out_and_named(tmp_path):
    run_with(tmp_path, "grpo", 0, [1.0, 0.0], step=60)
    run_with(tmp_path, "grpo", 1, [1.0, 1.0], step=20)
    grpo = variants(tmp_path)["grpo"]
    assert mean_interval(grpo, ["chain"]).mean == 0.5
    (note,) = evaluation_notes([grpo], ["chain"])
    assert note.endswith("grpo-1: chain was evaluated at step 20, not at its end 60: left out.")


def test_evaluations_made_in_different_ways_are_named(tmp_path):
    run_with(tmp_path, "grpo", 0, [1.0, 0.0], step=60, temperature=1.0)
    run_with(tmp_path, "rlsd", 0, [1.0, 0.0], step=60, temperature=0.7)
    (note,) = evaluation_notes(variants(tmp_path).values(), ["chain"])
    assert "temperature 1.0 (grpo seed 0)" in note
    assert "temperature 0.7 (rlsd seed 0)" in note


def test_a_damaged_evaluation_is_named_with_the_remedy(tmp_path):
    path = run_with(tmp_path, "grpo", 0, [1.0])
    (path / "eval" / "chain.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="rlsd eval"):
        mean_interval(variants(tmp_path)["grpo"], ["chain"])
    (path / "eval" / "chain.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        suites_of(variants(tmp_path)["grpo"])


def test_captions_say_how_many_questions_and_samples(comparison):
    grpo = comparison.variants["grpo"]
    assert samples_text([grpo], suites_of(grpo)) == "60 questions per suite, 4 samples per question"


def test_the_best_is_bold_only_where_it_is_beyond_doubt(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 3, 80) / 4
    for seed in range(4):
        run_with(tmp_path, "grpo", seed, base, samples=4)
        run_with(tmp_path, "rlsd", seed, base + 0.25 + 0.25 * (rng.random(80) < 0.1), samples=4)
    clear = compare(find_runs([tmp_path]))
    assert best_beyond_doubt(list(clear.variants.values()), ["chain"]) == "rlsd"
    cells = {name: row[0].bold for name, row in table2(clear).rows}
    assert cells == {"GRPO (n=4)": False, "RLSD (n=4)": True}
    for seed in range(4):  # the same on average, better and worse by turns
        run_with(tmp_path, "sdpo", seed, base + 0.25 + 0.25 * (-1.0) ** np.arange(80), samples=4)
    assert best_beyond_doubt(list(compare(find_runs([tmp_path])).variants.values()), ["chain"]) is None


def test_table_2_has_a_column_for_each_suite_and_their_mean(comparison):
    table = table2(comparison)
    assert list(table.columns) == ["chain", "large", "long", "mean"]
    for _, cells in table.rows:
        assert cells[3].value == pytest.approx(np.mean([cell.value for cell in cells[:3]]))
        assert cells[3].low < cells[3].value < cells[3].high


def test_the_table_of_differences_leaves_the_baseline_out_and_adjusts_p_over_all_cells(comparison):
    table = differences(comparison)
    assert not any(name.startswith("GRPO −") for name, _ in table.rows)
    assert len(table.rows) == len(comparison.variants) - 1
    assert f"the {4 * len(table.rows)} comparisons" in table.caption
    for _, cells in table.rows:
        for cell in cells:
            assert cell.bold == (cell.low > 0 or cell.high < 0)


def test_nothing_is_bold_on_the_strength_of_one_seed(tmp_path):
    run_with(tmp_path, "grpo", 0, [0.0] * 39 + [0.5])
    run_with(tmp_path, "rlsd", 0, [1.0] * 39 + [0.5])
    runs = compare(find_runs([tmp_path]))
    assert differences(runs).rows[0][1][0].low > 0.5
    assert not any(
        cell.bold for table in (table2(runs), differences(runs)) for _, cells in table.rows for cell in cells
    )


def test_nothing_evaluated_is_missing_with_the_remedy(tmp_path):
    write_run(tmp_path / "x", "grpo", evaluated=False)
    with pytest.raises(Missing, match="rlsd eval"):
        table2(compare(find_runs([tmp_path])))


def test_differences_need_a_baseline(tmp_path):
    run_with(tmp_path, "rlsd", 0, [1.0, 0.0])
    with pytest.raises(Missing, match="no evaluated run of grpo"):
        differences(compare(find_runs([tmp_path])))


def test_ours_and_the_papers_gain_over_grpo_stand_in_columns_of_their_own(comparison):
    rows = dict(beside(comparison).rows)
    rlsd = comparison.variants["rlsd"]
    suites = suites_of(rlsd)
    ours = difference(rlsd, comparison.variants["grpo"], suites).interval
    assert [cell.value for cell in rows["RLSD"][:2]] == [mean_interval(rlsd, suites).mean, ours.mean]
    assert [cell.value for cell in rows["RLSD"][2:]] == pytest.approx([0.5618, 0.5618 - 0.5386])
    assert rows["GRPO"][1].value is None
    assert rows["OPD"][2].value is None  # not in the paper's table
    assert rows["SDPO"][0].value is None  # not among our runs
