"""`rlsd plot` from the outside: files, words, exit codes."""

import re
import subprocess
import sys

import pytest
from synthetic_runs import write_run
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import paper_claims
from rlsd_cli.report.render import check_formats, check_names, names

runner = CliRunner()


def plot(*arguments):
    return runner.invoke(app, ["plot", *map(str, arguments)])


@pytest.fixture(scope="module")
def everything(paper_set, tmp_path_factory):
    output = tmp_path_factory.mktemp("results")
    result = plot(paper_set, "--output-dir", output)
    assert result.exit_code == 0, result.output
    return output, result


def test_every_figure_and_table_of_the_full_set_is_written_and_its_path_printed(everything):
    output, result = everything
    printed = set(result.stdout.splitlines())
    for name in names():
        if name in ("rates", "dose", "exposure", "exposure_bits"):  # the set varies neither and has no decoys
            assert f"left out {name}: no " in result.stderr
            continue
        files = sorted(output.glob(f"{name}.*")) if name != "report" else [output / "REPORT.md"]
        assert files, name
        assert {str(path) for path in files} <= printed
    assert {path.suffix for path in output.glob("fig1a.*")} == {".pdf", ".png"}
    assert (output / "fig6.html").is_file()


def test_what_is_not_shown_is_said_on_stderr(everything):
    assert "fig1b: there is no run of base" in everything[1].stderr


def test_a_table_of_the_arms_is_printed_beside_the_paths(everything):
    _, result = everything
    assert "Leakage" in result.stderr
    assert "RLSD" in result.stderr
    assert all(line.startswith("/") for line in result.stdout.splitlines())


def test_the_report_embeds_every_figure_and_judges_every_claim(everything):
    output, _ = everything
    text = (output / "REPORT.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (output / target).is_file(), target
    for name in ("overview", "fig1a", "fig1b", "fig3a", "fig3b", "fig3c", "fig5a", "fig5b", "fig5c", "fig6"):
        assert f"![{name}]({name}.png)" in text
    verdicts = r"\| (seen|equal|not seen|undecided|not testable here|not tested) \|"
    claims = text.split("Controls of the instrument")[0]
    assert len([line for line in claims.splitlines() if re.search(verdicts, line)]) == len(paper_claims().claims)
    assert "| OPSD comes to leak | Fig. 2, 3(a) | seen | &lt; 0.001 | solutions cited: seen |" in text


def test_the_papers_numbers_stand_in_a_section_of_their_own(everything):
    output, _ = everything
    ours, theirs = (output / "REPORT.md").read_text().split("## Reported by the paper")
    assert "56.18" in theirs
    assert "56.18" not in ours
    for path in output.glob("*.csv"):
        assert "56.18" not in path.read_text()
        assert ("0.5618" in path.read_text()) == (path.name == "beside.csv")


def test_the_same_runs_give_the_same_files(everything, paper_set, tmp_path):
    output, _ = everything
    plot(paper_set, "--output-dir", tmp_path, "--figure", "fig3a", "--figure", "table2", "--figure", "report")
    for name in ("fig3a.pdf", "fig3a.png", "table2.md", "table2.tex", "table2.csv"):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes()


def test_what_several_figures_lack_is_said_once(everything):
    told = everything[1].stderr.splitlines()
    lines = [line for line in told if line.endswith("opsd-frozen, opsd-student-top1, opsd-teacher-top1")]
    assert len(lines) == 1
    assert lines[0].startswith(
        "overview, reward, accuracy, leakage, entropy, length, clip_ratio, kl, efficiency: not shown"
    )


def test_only_what_is_asked_for_is_written_in_the_formats_asked_for(paper_set, tmp_path):
    result = plot(paper_set, "--output-dir", tmp_path, "--figure", "fig3a", "--format", "svg,png")
    assert result.exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fig3a.png", "fig3a.svg"]


def test_figures_that_the_runs_cannot_support_are_named_with_the_reason(tmp_path):
    write_run(tmp_path / "run", "grpo", evaluated=False, credit=False)
    asked = [part for name in ("reward", "fig3a", "fig5c", "table2", "report") for part in ("--figure", name)]
    result = plot(tmp_path / "run", "--output-dir", tmp_path / "out", *asked)
    assert result.exit_code == 0
    for name in ("fig3a: there is no run of opsd", "fig5c: there is no run of rlsd", "table2: no run is evaluated"):
        assert f"left out {name}" in result.stderr
    assert not (tmp_path / "out" / "fig3a.png").exists()
    report = (tmp_path / "out" / "REPORT.md").read_text()
    assert "- fig3a: there is no run of opsd" in report
    assert "| RLSD ends above GRPO | Fig. 1, 5(a), Table 2 | not tested | – | – | there is no run of rlsd |" in report


def test_duplicates_and_unfinished_runs_are_told(tmp_path):
    write_run(tmp_path / "a", "grpo", 0)
    write_run(tmp_path / "b", "grpo", 0)
    write_run(tmp_path / "c", "grpo", 1, state="running")
    result = plot(tmp_path, "--figure", "report", "--figure", "reward", "--output-dir", tmp_path / "out")
    assert f"note: {tmp_path / 'b'} is left out: 'grpo' has seed 0 already" in result.stderr
    assert "ended at step 30 of 60 and is left out" in result.stderr
    assert "ended at step 30 of 60" in (tmp_path / "out" / "REPORT.md").read_text()


def test_results_go_below_results_by_the_name_of_the_directory(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "micro" / "grpo", "grpo")
    monkeypatch.chdir(tmp_path)
    result = plot("runs/micro", "--figure", "reward")
    assert result.stdout.splitlines() == ["results/micro/reward.pdf", "results/micro/reward.png"]
    assert plot("runs/micro/grpo", "--figure", "reward").stdout.startswith("results/plot/")


def test_credit_is_printed_and_written_on_request(tmp_path):
    run = write_run(tmp_path / "run", "rlsd")
    assert "correct rollout" in plot("--credit", run).stdout
    result = plot("--credit", run, "--prompt", "3", "--step", "0", "--output-dir", tmp_path / "out")
    assert result.exit_code == 0
    assert "prompt probe-3" in result.stdout
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["credit-step-000000.html", "credit-step-000000.pdf", "credit-step-000000.png"]


BAD = [
    ([], "name at least one run directory"),
    (["absent"], "does not exist"),
    (["."], "holds none"),
    (["RUN", "--figure", "fig3d"], "did you mean 'fig3"),
    (["RUN", "--format", "jpeg"], "--format takes"),
    (["RUN", "--format", ","], "--format takes"),
    (["RUN", "--prompt", "3"], "add it"),
    (["RUN", "--credit", "RUN"], "not both"),
    (["--credit", "RUN", "--step", "5"], "no credit of step 5"),
    (["--credit", "absent"], "does not exist"),
    (["RUN", "--output-dir", "RUN/config.yaml"], "is a file"),
    (["RUN", "--figure", "fig3a"], "allow none"),
    (["RUN", "--power"], "allow none"),
    (["RUN", "--figures", "no_such_module_of_mine"], "can't be imported"),
    (["RUN", "--figures", "json"], "holds no figures"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_gets_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    if "." not in arguments:
        write_run(tmp_path / "RUN", "rlsd")
    result = plot(*arguments)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    run = write_run(tmp_path / "run", "rlsd")
    (tmp_path / "file").write_text("")
    result = plot(run, "--figure", "reward", "--output-dir", tmp_path / "file" / "below")
    assert isinstance(result.exception, UserError)
    assert "cannot be written" in str(result.exception)


def test_the_command_ends_with_code_2_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "rlsd_cli", "plot", str(tmp_path / "absent")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("rlsd: ")
    assert len(result.stderr.splitlines()) == 1


def test_names_are_kept_in_order_and_once():
    assert check_names(["fig3a", "table2", "fig3a"]) == ["fig3a", "table2"]
    assert check_names([]) == names()
    assert check_formats("PNG, pdf,png") == ["png", "pdf"]
