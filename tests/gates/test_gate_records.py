"""The gates of a base as a file: what `rlsd testbed gates --output-dir` writes, `rlsd plot --gates` reads."""

import pytest
from synthetic_runs import write_run

from rlsd_cli.gates.base import Gate, gates
from rlsd_cli.gates.records import record
from rlsd_cli.report.claims import paper_claims
from rlsd_cli.report.claims.judge import judged
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.gates import GatesFile, failed, gates_file, read_gates
from rlsd_cli.report.runs import find_runs
from rlsd_cli.runs.directory import write_json


class Row:
    """A row of behaviour with shares of 100."""

    n = 100

    def __init__(self, right=50, followed=50, citing=47):
        self.right, self.followed, self.citing = right, followed, citing


class Measured:
    """What a base was measured to do; ``share`` of mutual information, ``deciding`` cosine."""

    def __init__(self, wrong_followed, share=0.5, deciding=0.5):
        names = ("closed", "answer", "wrong_answer", "solution", "wrong_solution")
        rows = {name: Row() for name in names} | {"answer": Row(right=95), "wrong_solution": Row(followed=99)}
        rows["wrong_answer"] = Row(followed=wrong_followed)
        self.behaviour = type("B", (), {"rows": rows})()
        self.floor = type("F", (), {"share": share})()
        self.directions = type("D", (), {"deciding": deciding})()


def test_what_is_written_is_what_is_read(tmp_path):
    write_run(tmp_path / "runs", "rlsd", evaluated=False)
    runs = compare(find_runs([tmp_path / "runs"]))
    write_json(gates_file(tmp_path, "micro-base"), record(Measured(wrong_followed=1)))
    runs.gates = read_gates(tmp_path, runs)
    found = runs.gates["micro-base"]
    assert found.measured == {"open_book_cites": 0.47}
    assert set(failed(runs.gates)) == {"evidence_matters", "flipped_below", "blame_at_the_error"}
    (claim,) = [each for each in paper_claims().claims if each.key == "blame_at_the_error"]
    ((_, finding),) = judged([claim], runs, failed(runs.gates))
    assert finding.verdict == "not testable here"
    assert "0.01, asked 0.5" in finding.evidence


def test_a_base_that_meets_every_gate_forbids_nothing():
    assert failed({"x": GatesFile.model_validate(record(Measured(wrong_followed=90)))}) == {}


def test_every_gate_names_claims_that_there_are():
    keys = {claim.key for claim in paper_claims().claims}
    for gate in gates(Measured(wrong_followed=90)):
        assert gate.claims
        assert set(gate.claims) <= keys


@pytest.mark.parametrize(("value", "met"), [(0.5, True), (0.51, False)])
def test_an_upper_bound_is_met_from_below(value, met):
    assert Gate("x", 0.5, value, "y", at_most=True).met == met
