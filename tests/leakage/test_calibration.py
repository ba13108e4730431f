"""Calibration on a user's own text: floor, ceiling, phrases that no rule matches, labels of readers."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.leakage.calibrate import positive_control
from rlsd_cli.leakage.contrast import contrast
from rlsd_cli.leakage.inputs import Completion
from rlsd_cli.leakage.labels import evaluate, kappa, shares
from rlsd_cli.leakage.rules import load_rules

LEAK, CLEAN = "The reference solution says 7, so x = 7.", "We add 3 and 4, so x = 7."
STRANGE = "The sacred tablet has 7, so x = 7."


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"completion": text, "prompt": "Find x."}) + "\n" for text in texts))
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["leakage-audit", *map(str, arguments)])


def test_without_calibration_a_report_says_so_and_claims_no_precision(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [LEAK, CLEAN])
    printed = " ".join(invoke("--completions", path).stdout.split())
    assert "not calibrated on this text: precision and recall here are unknown" in printed
    assert "0.975" not in printed
    page = (tmp_path / "leakage-audit" / "report.html").read_text()
    assert "not calibrated on this text" in page
    assert json.loads((tmp_path / "leakage-audit" / "report.json").read_text())["calibration"] is None


def test_a_control_gives_the_floor_beside_the_rate(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [LEAK] * 3 + [CLEAN] * 7)
    base = write_lines(tmp_path / "base.jsonl", [LEAK] + [CLEAN] * 49)
    report = json.loads(invoke("--completions", path, "--control", base, "--json").stdout)
    assert report["rate"] == 0.3
    assert report["calibration"]["control"]["rate"] == 0.02
    assert "floor 1 of 50 on base.jsonl" in " ".join(invoke("--completions", path, "--control", base).stdout.split())


def test_the_positive_control_says_what_the_rules_find_and_which_phrase_they_miss(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [CLEAN] * 40)
    opened = write_lines(tmp_path / "open.jsonl", [LEAK] * 10 + [STRANGE] * 10)
    report = json.loads(invoke("--completions", path, "--positive-control", opened, "--json").stdout)
    found = report["calibration"]["positive_control"]
    assert (found["n"], found["hits"]) == (20, 10)
    assert any("sacred tablet" in row["text"] for row in found["unmatched"])
    assert not any("reference" in row["text"] for row in found["unmatched"])
    assert "sacred tablet" in invoke("--completions", path, "--positive-control", opened).stdout


def test_phrases_of_the_template_come_first():
    opened = ["the blue card has 7 and we go on"] * 5 + ["wonderful luminous answer"] * 20
    closed = ["we go on"] * 25
    found = contrast(opened, closed, ["blue card"])
    assert found[0].in_template
    assert "blue card" in found[0].text
    assert not contrast(closed, closed)
    assert not contrast(["yes"] * 5, ["yes"] * 5)  # nothing else is ever said


def test_the_log_odds_are_those_of_the_formula():
    # By hand, two phrases only: y = (4, 1), other phrase (1, 4); pooled 5 each, so each prior is 1 and the sum 3.
    opened, closed = ["red"] * 4 + ["blue"], ["red"] + ["blue"] * 4
    found = next(iter(contrast(opened, closed, ["red"])))
    delta = np.log(5 / (5 + 3 - 4 - 1)) - np.log(2 / (5 + 3 - 1 - 1))
    sigma = np.sqrt(1 / 5 + 1 / 2)
    assert found.text == "red"
    assert found.z == pytest.approx(delta / sigma)


def test_a_number_of_questions_needs_a_run(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [CLEAN])
    result = invoke("--completions", path, "--positive-control", "8")
    assert isinstance(result.exception, UserError)
    assert "give a run directory" in str(result.exception)


def test_open_book_completions_are_judged_under_their_own_prompts():
    rows = [
        Completion(LEAK, "Find x. Reference solution: 7", "", None, "x", 1),
        Completion(LEAK, "Find x.", "", None, "x", 2),
    ]
    assert positive_control(rows, [], load_rules(), [])["hits"] == 1


def test_a_blind_sheet_is_written_filled_in_and_read_back(tmp_path):
    texts = [LEAK] * 30 + ["So the solution is 7 as expected."] * 30 + ["We add 3 and 4."] * 240
    path = write_lines(tmp_path / "x.jsonl", texts)
    out = tmp_path / "out"
    assert invoke("--completions", path, "--output-dir", out, "--label-sheet", 60).exit_code == 0
    with open(out / "label-sheet.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert set(rows[0]) == {"id", "prompt", "completion", "leak"}  # blind: no rule, no stratum
    strata = json.loads((out / "label-key.json").read_text())["strata"]
    assert sorted(strata) == ["loose"] * 20 + ["mention"] * 20 + ["other"] * 20
    assert strata != sorted(strata)
    for name, wrong in (("a.csv", 0), ("b.csv", 2)):
        with open(tmp_path / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            for index, row in enumerate(rows):
                right = "reference" in row["completion"]
                writer.writerow(row | {"leak": "yes" if right != (index < wrong) else "no"})
    arguments = ("--completions", path, "--output-dir", out, "--labels", tmp_path / "a.csv")
    alone = json.loads(invoke(*arguments, "--json").stdout)["calibration"]["labels"]
    assert (alone["n"], alone["kappa"]) == (60, None)
    assert (alone["precision"]["value"], alone["recall"]["value"]) == (1.0, 1.0)
    assert alone["corrected"]["value"] == pytest.approx(0.1)
    assert alone["corrected"]["low"] < 0.1 < alone["corrected"]["high"]
    both = json.loads(invoke(*arguments, "--labels", tmp_path / "b.csv", "--json").stdout)["calibration"]["labels"]
    assert 0.8 < both["kappa"] < 1
    assert "by 60 read passages precision" in " ".join(invoke(*arguments).stdout.split())


def test_weights_undo_the_strata_and_the_corrected_rate_is_the_labelled_one():
    # 100 flagged (8 of 10 right), 100 in the loose net (1 of 10 leaks), 800 others (0 of 10): 80 + 10 of 1,000 leak.
    strata = ["mention"] * 10 + ["loose"] * 10 + ["other"] * 10
    labels = [True] * 8 + [False] * 2 + [True] + [False] * 19
    found = evaluate({"mention": 100, "loose": 100, "other": 800}, strata, [labels])
    assert found["precision"]["value"] == pytest.approx(0.8)
    assert found["recall"]["value"] == pytest.approx(80 / 90)
    assert found["specificity"]["value"] == pytest.approx(890 / 910)
    assert found["corrected"]["value"] == pytest.approx(0.09)
    assert found["corrected"]["low"] < 0.09 < found["corrected"]["high"]


def test_the_interval_of_the_corrected_rate_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    seen, truth = {"mention": 300, "loose": 700, "other": 4000}, {"mention": 0.85, "loose": 0.1, "other": 0.01}
    rate = sum(seen[name] * truth[name] for name in seen) / sum(seen.values())
    strata = [name for name in seen for _ in range(66)]
    covered = 0
    for _ in range(200):
        labels = [bool(rng.random() < truth[name]) for name in strata]
        found = evaluate(seen, strata, [labels])["corrected"]
        covered += found["low"] <= rate <= found["high"]
    assert covered / 200 >= 0.9  # nominal 0.95, standard error 0.015


def test_kappa_is_cohens():
    # Observed agreement 0.7, chance 0.5·0.6 + 0.5·0.4 = 0.5: κ = 0.4.
    a = [True] * 5 + [False] * 5
    b = [True] * 4 + [False] + [True] * 2 + [False] * 3
    assert kappa(a, b) == pytest.approx(0.4)
    assert kappa([True, True], [True, True]) == 1.0


def test_strata_that_are_too_small_leave_their_rows_to_the_others():
    assert shares({"mention": 5, "loose": 1000, "other": 1000}, 60) == {"mention": 5, "loose": 28, "other": 27}
    assert shares({"mention": 2, "loose": 0, "other": 1}, 60) == {"mention": 2, "loose": 0, "other": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,leak\n1,maybe\n", "write 1"),
        ("id,text\n1,x\n", "columns `id` and `leak`"),
        ("id,leak\n1,1\n9,0\n", "other rows"),
    ],
)
def test_a_sheet_that_is_not_filled_in_is_told_in_one_sentence(tmp_path, content, message):
    path = write_lines(tmp_path / "x.jsonl", [LEAK, CLEAN])
    out = tmp_path / "out"
    invoke("--completions", path, "--output-dir", out, "--label-sheet", 2)
    (tmp_path / "a.csv").write_text(content)
    result = invoke("--completions", path, "--output-dir", out, "--labels", tmp_path / "a.csv")
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
