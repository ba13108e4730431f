"""`rlsd eval RUN --compare OTHER`: paired differences of what is there."""

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.compare import compare_runs, compare_suite
from rlsd_cli.evaluation.results import verdicts
from rlsd_cli.evaluation.settings import MUST_AGREE, OF_BENCHMARKS
from rlsd_cli.runs.directory import write_json, write_parquet, write_text


def rows(verdicts, meta=None):
    """Return rows of {question: (greedy, sample 0, sample 1 …)}."""
    return pd.DataFrame(
        [
            {"prompt_id": name, "sample_id": sample - 1, "correct": bool(right)}
            | ({"meta": json.dumps(meta(name))} if meta else {})
            for name, each in verdicts.items()
            for sample, right in enumerate(each)
        ]
    )


def compared(ours, theirs, greedy):
    return compare_suite(verdicts(ours, greedy), verdicts(theirs, greedy))


def make_run(path, suites, **summary):
    write_text(path / "config.yaml", "method: base\nseed: 0\n")
    write_json(path / "status.json", {"schema_version": 1, "state": "complete"})
    for name, frame in suites.items():
        write_parquet(path / "eval" / f"{name}.parquet", frame)
        write_json(path / "eval" / f"{name}.json", {"suite": name, "temperature": 1.0, **summary})
    return path


OURS = {"a": (1, 1, 1), "b": (1, 1, 0), "c": (0, 0, 0), "d": (1, 1, 1)}
THEIRS = {"a": (0, 0, 0), "b": (1, 1, 1), "c": (0, 0, 0), "e": (1, 1, 1)}


def test_the_difference_is_of_the_questions_that_both_answered():
    found = compared(rows(OURS), rows(THEIRS), greedy=False)
    # a: 1 − 0, b: ½ − 1, c: 0. Mean 1/6, s² = 7/12, t(2) = 4.3027: ± 4.3027·√(7/36).
    assert found["questions"] == 3
    each = found["differences"]["accuracy"]
    assert (each["ours"], each["theirs"]) == (pytest.approx(0.5), pytest.approx(1 / 3))
    assert each["difference"] == pytest.approx(1 / 6)
    half = 4.30265 * (7 / 36) ** 0.5
    assert each["interval"] == pytest.approx([1 / 6 - half, 1 / 6 + half], abs=1e-4)
    assert found["p"] == 1.0  # ±1 ± ½: every pattern of signs is at least as far out as ½


def test_the_greedy_completions_are_compared_by_themselves():
    each = compared(rows(OURS), rows(THEIRS), greedy=True)["differences"]["accuracy"]
    assert (each["ours"], each["theirs"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_benchmarks_own_numbers_are_paired_with_the_problem_as_unit():
    def meta(name):
        return {"benchmark": "wemath", "problem": name[0], "part": name[1:], "steps": 2}

    names = [f"{problem}{part}" for problem in "pq" for part in ("1", "2", "multi")]
    ours = rows(dict.fromkeys(names, (1, 1)), meta)
    theirs = rows({name: (1, name[0] == "p") for name in names}, meta)
    found = compared(ours, theirs, greedy=False)
    assert found["differences"]["score_strict"]["difference"] == 0.5
    assert found["p"] == 1.0  # one problem of two differs: either sign is as likely
    assert found["differences"]["problems"]["difference"] == 0.0


KNOWN = {
    **{"limit": None, "samples": 2, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0},
    **{"max_new_tokens": 36, "engine": "transformers", "dtype": "float32", "context": None, "n_questions": 4},
    **{"questions": "q", "prompts": "p", "template": None, "verifier": "v"},
}


def test_runs_are_compared_on_common_suites(tmp_path):
    ours = make_run(tmp_path / "a", {"chain": rows(OURS), "long": rows(OURS)}, **KNOWN)
    theirs = make_run(tmp_path / "b", {"chain": rows(THEIRS)}, **KNOWN)
    found, notes = compare_runs(ours, theirs, [])
    assert [(each["suite"], each["kind"]) for each in found] == [("chain", "greedy"), ("chain", "avg@k")]
    assert notes == []


@pytest.mark.parametrize("key", [key for key in MUST_AGREE if key not in OF_BENCHMARKS])
def test_evaluations_that_differ_in_any_setting_are_not_compared_and_the_setting_is_named(tmp_path, key):
    ours = make_run(tmp_path / "a", {"chain": rows(OURS)}, **KNOWN)
    theirs = make_run(tmp_path / "b", {"chain": rows(OURS)}, **{**KNOWN, key: 12})
    mine = KNOWN.get(key, 1.0)  # the temperature is make_run's
    with pytest.raises(UserError, match=f"not made alike: {key} is {re.escape(repr(mine))} in .*a and 12 in .*b;"):
        compare_runs(ours, theirs, [])


@pytest.mark.parametrize("key", OF_BENCHMARKS)
def test_so_are_those_of_a_benchmark_asked_otherwise(tmp_path, key):
    settings = {**KNOWN, "benchmark": "mmmu", "source": "x", "split": "x", "instruction": "x", "max_pixels": None}
    ours = make_run(tmp_path / "a", {"mmmu": rows(OURS)}, **settings)
    theirs = make_run(tmp_path / "b", {"mmmu": rows(OURS)}, **{**settings, "questions": "r", key: "y"})
    with pytest.raises(UserError, match=f"not made alike: {key} is"):
        compare_runs(ours, theirs, [])


def test_the_same_questions_from_another_place_are_compared(tmp_path):
    settings = {**KNOWN, "benchmark": "mmmu", "split": "x", "instruction": "x", "max_pixels": None}
    ours = make_run(tmp_path / "a", {"mmmu": rows(OURS)}, **settings, source="here")
    theirs = make_run(tmp_path / "b", {"mmmu": rows(OURS)}, **settings, source="there")
    assert len(compare_runs(ours, theirs, [])[0]) == 2


def test_what_an_older_evaluation_does_not_record_never_agrees_with_what_a_newer_one_does(tmp_path):
    older = {key: value for key, value in KNOWN.items() if key != "max_new_tokens"}
    ours = make_run(tmp_path / "a", {"chain": rows(OURS)}, **KNOWN)
    theirs = make_run(tmp_path / "b", {"chain": rows(OURS)}, **older)
    with pytest.raises(UserError, match=r"max_new_tokens is 36 in .* and unknown in"):
        compare_runs(ours, theirs, [])
    found, notes = compare_runs(theirs, theirs, [])
    assert len(found) == 2
    assert notes == ["chain: neither evaluation records max_new_tokens (an older rlsd made both)."]


def test_of_several_evaluations_those_that_were_made_alike_are_compared(tmp_path):
    ours = make_run(tmp_path / "a", {"chain": rows(OURS)}, **KNOWN)
    theirs = make_run(tmp_path / "b", {"chain": rows(OURS)}, **{**KNOWN, "max_new_tokens": 12})
    short = ours / "eval" / "max_new_tokens-12"
    write_parquet(short / "chain.parquet", rows(dict.fromkeys(OURS, (0, 0, 0))))
    write_json(short / "chain.json", {"suite": "chain", "temperature": 1.0, **KNOWN, "max_new_tokens": 12})
    found, _ = compare_runs(ours, theirs, [])
    assert found[0]["differences"]["accuracy"]["ours"] == 0


def test_holms_correction_is_over_the_suites(tmp_path):
    better = {f"q{i}": (1, 1) for i in range(8)}, {f"q{i}": (0, 0) for i in range(8)}
    ours = make_run(tmp_path / "a", {"one": rows(better[0]), "two": rows(better[0])})
    theirs = make_run(tmp_path / "b", {"one": rows(better[1]), "two": rows(better[1])})
    found, _ = compare_runs(ours, theirs, [])
    assert found[0]["p"] == pytest.approx(2 / 2**8)
    assert found[0]["p_holm"] == pytest.approx(4 / 2**8)


def test_the_command_prints_a_table_or_json(tmp_path):
    ours, theirs = (make_run(tmp_path / name, {"chain": rows(each)}) for name, each in (("a", OURS), ("b", THEIRS)))
    shown = CliRunner().invoke(app, ["eval", str(ours), "--compare", str(theirs)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "16.7 [-173.1, 206.4]" in shown.output
    printed = CliRunner().invoke(app, ["eval", str(ours), "--compare", str(theirs), "--json"])
    assert json.loads(printed.stdout)[0]["kind"] == "greedy"


@pytest.mark.parametrize(
    ("other", "suites", "message"),
    [("empty", [], "no common suite"), ("empty", ["chain"], "is not evaluated on 'chain'"), ("far", [], "same copy")],
)
def test_what_cannot_be_compared_is_refused(tmp_path, other, suites, message):
    ours = make_run(tmp_path / "a", {"chain": rows(OURS)})
    make_run(tmp_path / "empty", {})
    make_run(tmp_path / "far", {"chain": rows({"z": (1, 1)})})
    with pytest.raises(UserError, match=message):
        compare_runs(ours, tmp_path / other, suites)


def test_a_run_without_samples_has_nothing_to_compare_by_avg_at_k():
    greedy_only = rows({"a": (1,)}, lambda name: {"benchmark": "mmmu", "discipline": "Science"})
    with pytest.raises(UserError, match="no such completions"):
        compared(greedy_only, greedy_only, greedy=False)
