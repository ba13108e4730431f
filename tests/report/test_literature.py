"""Published contrasts: the file is sound, counts are right, our runs stand beside and are never mixed in."""

import pytest
import yaml
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.figures.forest import forest
from rlsd_cli.report.literature import counts, literature_file, literature_table, read_literature
from rlsd_cli.report.reported import average_accuracies
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.style import styled


def test_the_papers_own_contrasts_are_those_of_its_table():
    theirs = average_accuracies()
    own = [each for each in read_literature(literature_file()).contrasts if each.source == "rlsd"]
    assert {each.arm for each in own} == {"rlsd", "opsd", "sdpo"}
    for each in own:
        assert each.difference == pytest.approx(100 * (theirs[each.arm] - theirs["grpo"]), abs=1e-9)


def test_others_runs_put_rlsd_below_grpo_in_mathematics_and_mostly_above_with_agents():
    # By hand from the file: mathematics 4 + 1 + 3 + 1 cells, all negative; agents 9 cells, two negative.
    others = [each for each in read_literature(literature_file()).of_arm("rlsd") if each.source != "rlsd"]
    assert counts(others) == "vision 1 of 2, mathematics 0 of 9, logic 2 of 4, agents 7 of 9"


def test_the_table_has_every_contrast_with_its_source():
    table = literature_table()
    assert len(table.rows) == len(read_literature(literature_file()).contrasts)
    assert all(cells[-1].text for _, cells in table.rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"source": "nobody"}, "nobody"), ({"note": "no such note"}, "no such note"), ({"seed": 3}, "contrasts.0.seed")],
)
def test_a_file_with_a_broken_contrast_is_refused_in_one_sentence(tmp_path, change, told):
    content = yaml.safe_load(literature_file().read_text(encoding="utf-8"))
    content["contrasts"][0] |= change
    path = tmp_path / "literature.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        read_literature(path)


def test_our_difference_is_a_row_of_its_own_below_the_published_ones(tmp_path):
    for method in ("grpo", "rlsd"):
        for seed in (0, 1, 2):
            write_run(tmp_path / method / f"seed-{seed}", method, seed=seed)
    with styled("paper"):
        without, beside = forest(), forest(compare(find_runs([tmp_path])))
    rows = [[label.get_text() for label in p.figure.axes[0].get_yticklabels()] for p in (without, beside)]
    assert rows[1] == [*rows[0], "this suite's runs, testbed"]
    assert any("opsd" in reason for reason in beside.left_out)
