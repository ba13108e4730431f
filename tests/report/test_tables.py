"""The table model's three renderings, and the words of Tables 1 and 3."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import t as t_dist
from synthetic_runs import write_run

from rlsd_cli.report.claims.properties import MEASURED
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import paper, reported_figure1b, reported_table2
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.tables.paradigms import table1
from rlsd_cli.report.tables.power import power, seeds_for_equality, seeds_needed
from rlsd_cli.report.tables.properties import cell, table3
from rlsd_cli.report.tables.summary import summary
from rlsd_cli.statistics import Interval

T = np.arange(50) / 49
SMALL = Table(
    "small",
    "Accuracy, 50 % & more.",
    ("chain_1", "mean"),
    [
        ("GRPO+OPSD", [Cell.of(Interval(0.5, 0.4, 0.6, 3)), Cell()]),
        ("rlsd|x", [Cell(value=-0.25, low=-0.5, high=0.75, bold=True), Cell.of(Interval(0.1, np.nan, np.nan, 1))]),
    ],
    notes=["n = 3"],
)


def test_markdown_of_a_small_table():
    assert SMALL.markdown() == (
        "Accuracy, 50 % & more.\n\n"
        "| Arm | chain_1 | mean |\n"
        "|---|---|---|\n"
        "| GRPO+OPSD | 0.500 [0.400, 0.600] | – |\n"
        "| rlsd\\|x | **−0.250 [−0.500, 0.750]** | 0.100 |\n"
        "\n- n = 3\n"
    )


def test_latex_of_a_small_table_is_booktabs_with_everything_escaped():
    assert SMALL.latex() == (
        "\\begin{table}[htbp]\n\\centering\n\\caption{Accuracy, 50 \\% \\& more.}\n\\label{tab:small}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{lll}\n\\toprule\nArm & chain\\_1 & mean \\\\\n\\midrule\n"
        "GRPO+OPSD & 0.500 [0.400, 0.600] & -- \\\\\n"
        "rlsd|x & \\textbf{$-$0.250 [$-$0.500, 0.750]} & 0.100 \\\\\n"
        "\\bottomrule\n\\end{tabular}}\n\\par\\footnotesize n = 3\n\\end{table}\n"
    )


def test_csv_has_a_line_for_each_cell_at_full_precision():
    lines = list(csv.DictReader(io.StringIO(SMALL.csv())))
    assert len(lines) == 4
    assert lines[2] == {
        "row": "rlsd|x", "column": "chain_1", "value": "-0.25", "low": "-0.5", "high": "0.75", "text": "", "bold": "1",
    }  # fmt: skip
    assert (lines[3]["value"], lines[3]["low"]) == ("0.1", "")


def test_the_interval_of_a_share_ends_where_shares_end():
    cell = Cell.of(Interval(0.9, 0.6, 1.2, 2), most=1.0)
    assert (cell.low, cell.high) == (0.6, 1.0)
    assert Cell.signed(Interval(0.9, -0.6, 1.2, 2)).low == -0.6
    assert cell.brief() == "0.900 ±0.300"
    assert Cell.of(Interval(0.9, np.nan, np.nan, 1), most=1.0).brief() == "0.900"


def test_a_hostile_label_stays_in_its_cell():
    table = Table("t", "c", ("a",), [("<script> $x$ \\input{y} ~^#{}|\n", [Cell(text="_&%")])])
    assert "<script>" not in table.markdown()
    assert len([line for line in table.markdown().splitlines() if line.startswith("|")]) == 3
    assert "\\input" not in table.latex()
    assert r"\textbackslash{}input\{y\}" in table.latex()


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table("t", "c", ("a", "b"), [("x", [Cell()])])


def test_summary_has_a_row_for_each_variant_in_the_order_of_the_arms(comparison):
    table = summary(comparison)
    assert [name for name, _ in table.rows] == [
        "SFT", "GRPO", "OPD", "OPSD", "opsd-frozen", "opsd-student-top1", "opsd-teacher-top1", "GRPO+OPSD", "RLSD",
    ]  # fmt: skip
    sft = table.rows[0][1]
    assert sft[2].value is None  # no rollouts, no reward
    assert sft[5].value == pytest.approx(0.6, abs=0.05)
    grpo, rlsd = dict(table.rows)["GRPO"], dict(table.rows)["RLSD"]
    assert (grpo[6].value, grpo[6].low, grpo[6].high) == (1.0, 1.0, 1.0)
    assert rlsd[6].value == pytest.approx(rlsd[5].value / grpo[5].value, rel=0.1)


def test_summary_names_unfinished_and_single_runs(tmp_path):
    write_run(tmp_path / "x", "grpo", state="running")
    table = summary(compare(find_runs([tmp_path])))
    assert table.rows[0][1][0].text == "1 (unfinished)"
    assert table.rows[0][1][2].low is None
    assert any("One seed" in note for note in table.notes)


def test_table_1_sets_the_papers_words_beside_what_was_measured(comparison):
    table = table1(comparison)
    rows = {name: dict(zip(table.columns, cells, strict=True)) for name, cells in table.rows}
    opsd, words = rows["OPSD (n=3)"], ("Data", "Signal", "Direction from", "Efficiency, paper", "Leakage, paper")
    assert [opsd[name].text for name in words] == ["on-policy", "rich", "teacher", "high", "severe"]
    assert opsd["Leakage, measured"].value > 0.8
    assert opsd["Passes: trained + teacher's"].text == "1 + 1"
    assert opsd["s/step ÷ GRPO"].value == pytest.approx(1.2, abs=0.05)
    assert rows["GRPO (n=3)"]["Passes: trained + teacher's"].text == "1 + 0"
    assert rows["RLSD (n=3)"]["Leakage, measured"].value == 0.0
    assert [rows["GRPO+OPSD (n=3)"][name].shown() for name in words] == ["–"] * 5
    assert rows["SFT (n=3)"]["Leakage, measured"].shown() == "0.000 [0.000, 0.000] (probes)"  # it samples nothing else


def test_table_1_without_leakage_is_missing(tmp_path):
    write_run(tmp_path / "x", "sft", metrics={"loss": T})
    with pytest.raises(Missing, match="leakage"):
        table1(compare(find_runs([tmp_path])))


def properties_of(tmp_path, method, metrics):
    """Return the three cells for three seeds of a variant with the given metrics over 50 steps."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noisy = {name: values + 0.005 * rng.normal(size=50) for name, values in metrics.items()}
        write_run(tmp_path / f"{seed}", method, seed, metrics=noisy)
    variant = compare(find_runs([tmp_path])).variants[method]
    return [cell(measure, variant).text.split(":")[0] for measure in MEASURED.values()]


def test_properties_of_an_arm_that_keeps_learning_without_leaking(tmp_path):
    assert properties_of(tmp_path, "rlsd", {"reward": 0.3 + 0.5 * T, "leakage/rate": 0 * T}) == ["yes", "yes", "yes"]


def test_properties_of_an_arm_whose_divergence_grows_and_that_falls_and_leaks(tmp_path):
    metrics = {"distillation/loss": 0.3 + 0.2 * T, "reward": 0.7 - 0.4 * T, "leakage/rate": T}
    assert properties_of(tmp_path, "opsd", metrics) == ["no", "no", "no"]


def test_an_objective_that_comes_back_is_not_stable(tmp_path):
    assert properties_of(tmp_path, "opsd", {"distillation/loss": 0.3 - 0.2 * np.sin(np.pi * T)})[0] == "no"


def test_an_objective_that_keeps_most_of_its_gain_is_stable(tmp_path):
    metrics = {"distillation/loss": 0.3 - 0.2 * np.minimum(T / 0.5, 1) + 0.02 * T}
    assert properties_of(tmp_path, "opsd", metrics)[0] == "yes"


def test_an_arm_on_a_plateau_does_not_gain_any_more(tmp_path):
    assert properties_of(tmp_path, "opsd", {"reward": np.minimum(0.3 + T, 0.6)})[1] == "no"


def test_table_3_marks_what_the_paper_says_by_the_teachers_source(comparison):
    rows = dict(table3(comparison).rows)
    assert rows["OPSD (n=3)"][3].text == "no yes no"
    assert rows["opsd-frozen (n=3)"][3].text == "yes no no"
    assert rows["RLSD (n=3)"][3].text == "yes yes yes"
    assert rows["GRPO (n=3)"][3].text == ""
    assert "SFT (n=3)" not in rows


def test_the_papers_averages_are_the_means_of_its_columns():
    for _, cells in reported_table2().rows:
        values = [cell.value for cell in cells]
        assert np.mean(values[:-1]) == pytest.approx(values[-1], abs=0.0101)
    for _, cells in reported_figure1b().rows:
        values = [cell.value for cell in cells]
        assert np.mean(values[:-1]) == pytest.approx(values[-1], abs=0.11)


def test_the_bars_of_figure_1b_are_table_2_rounded():
    bars, full = dict(reported_figure1b().rows), dict(reported_table2().rows)
    for bar_name, name in (("Qwen3-VL-8B-Instruct", "Base"), ("OPSD", "OPSD"), ("GRPO", "GRPO"), ("RLSD", "RLSD")):
        for bar, column in enumerate((0, 1, 3)):
            assert bars[bar_name][bar].value == pytest.approx(full[name][column].value, abs=0.0501)


def test_every_part_of_the_papers_numbers_names_its_source():
    for name, part in paper().items():
        assert name == "paper" or part["source"]


def test_seeds_needed_are_those_of_the_t_test():
    # Cohen's d = 1 at power 0.8 and 5 %, paired: 10 (Cohen 1988, table 2.4.1 for one sample; G*Power gives 10).
    assert seeds_needed(1.0, 1.0) == 10
    assert seeds_needed(1.0, 0.5) == 34  # G*Power: 34
    assert seeds_needed(1.0, 1.0) < seeds_needed(2.0, 1.0)


def test_seeds_for_equality_keep_their_power_in_simulation():
    n = seeds_for_equality(0.0255, 0.02)
    rng, trials = np.random.default_rng(0), 4000
    values = 0.0255 * rng.normal(size=(trials, n))
    half = t_dist.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    equal = np.mean(np.abs(values.mean(axis=1)) + half < 0.02)
    assert 0.75 < equal < 0.85  # 0.8, to within the approximation and ±0.013 of the simulation


def test_the_power_table_has_a_row_per_arm_with_its_own_spread(comparison):
    table = power(comparison)
    rows = dict(table.rows)
    assert "GRPO (n=3)" not in rows
    spread = rows["RLSD (n=3)"][0]
    assert spread.text == "(accuracy)"
    column = next(i for i, name in enumerate(table.columns) if "(paper)" in name)
    assert rows["RLSD (n=3)"][column].text == str(seeds_needed(spread.value, 0.0232))
