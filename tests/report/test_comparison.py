"""Which runs are averaged, and what is said about the others."""

from synthetic_runs import write_run

from rlsd_cli.report.comparison import compare, differing, settings
from rlsd_cli.report.runs import find_runs


def sorted_out(path):
    return compare(find_runs([path]))


def test_seeds_of_one_label_are_one_variant(tmp_path):
    for seed in (2, 0, 1):
        write_run(tmp_path / f"r{seed}", "rlsd", seed)
    result = sorted_out(tmp_path)
    assert list(result.variants) == ["rlsd"]
    assert result.variants["rlsd"].seeds == (0, 1, 2)
    assert result.notes == []


def test_of_two_runs_with_one_seed_the_finished_one_is_kept_and_the_other_named(tmp_path):
    write_run(tmp_path / "a", "grpo", 0, state="interrupted")
    kept = write_run(tmp_path / "b", "grpo", 0)
    result = sorted_out(tmp_path)
    assert [run.path for run in result.variants["grpo"].runs] == [kept]
    assert len(result.notes) == 1
    assert f"{tmp_path / 'a'} is left out: 'grpo' has seed 0 already" in result.notes[0]


def test_an_unfinished_run_is_left_out_where_finished_ones_exist(tmp_path):
    write_run(tmp_path / "a", "grpo", 0)
    write_run(tmp_path / "b", "grpo", 1, state="running")
    result = sorted_out(tmp_path)
    assert result.variants["grpo"].seeds == (0,)
    assert "ended at step 30 of 60 and is left out" in result.notes[0]


def test_unfinished_runs_alone_are_shown_and_named(tmp_path):
    write_run(tmp_path / "a", "grpo", 0, state="running")
    result = sorted_out(tmp_path)
    assert result.variants["grpo"].seeds == (0,)
    assert not result.variants["grpo"].complete
    assert "is shown, and no claim is judged on it" in result.notes[0]


def test_runs_of_one_label_with_other_settings_are_not_averaged(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"a{seed}", "grpo", seed)
    write_run(tmp_path / "b", "grpo", 0, changes={"train": {"learning_rate": 3e-4}})
    result = sorted_out(tmp_path)
    assert {label: len(v.runs) for label, v in result.variants.items()} == {"grpo": 3, "grpo (learning_rate=0.0003)": 1}
    assert any("differ in train.learning_rate" in note for note in result.notes)


def test_two_arms_under_one_label_are_two_variants(tmp_path):
    write_run(tmp_path / "a", "grpo", 0, label="mine")
    write_run(tmp_path / "b", "rlsd", 0, label="mine")
    assert set(sorted_out(tmp_path).variants) == {"mine [grpo]", "mine [rlsd]"}


def test_arms_with_different_budgets_are_named(tmp_path):
    write_run(tmp_path / "a", "grpo", 0)
    write_run(tmp_path / "b", "rlsd", 0, steps=80)
    (note,) = sorted_out(tmp_path).notes
    assert note == "the variants compared differ in train.steps: 60 (grpo); 80 (rlsd)"


def test_objective_and_teacher_may_differ_between_arms_without_a_note(tmp_path):
    write_run(tmp_path / "a", "opsd", 0)
    write_run(tmp_path / "b", "rlsd", 0)
    assert sorted_out(tmp_path).notes == []


def test_settings_leave_out_what_decides_where_and_how_fast_a_run_goes():
    config = {"seed": 1, "label": "x", "log": {"probe_every": 3}, "train": {"threads": 2, "steps": 5}, "objective": {}}
    assert settings(config) == {"train.steps": 5}


def test_a_missing_key_differs_from_a_present_one():
    assert differing([{"a": 1, "b": 2}, {"a": 1}]) == ["b"]


def test_the_variant_labelled_like_its_arm_stands_for_it(tmp_path):
    write_run(tmp_path / "a", "opsd", 0, label="opsd-reverse", changes={"objective": {"beta": 1.0}})
    assert sorted_out(tmp_path).main("opsd").label == "opsd-reverse"
    write_run(tmp_path / "b", "opsd", 0)
    assert sorted_out(tmp_path).main("opsd").label == "opsd"
    assert sorted_out(tmp_path).main("grpo") is None


def test_of_several_variants_with_other_labels_none_stands_for_the_arm(tmp_path):
    write_run(tmp_path / "a", "opsd", 0, label="opsd-reverse", changes={"objective": {"beta": 1.0}})
    write_run(tmp_path / "b", "opsd", 0, label="opsd-jsd", changes={"objective": {"beta": 0.5}})
    assert sorted_out(tmp_path).main("opsd") is None
