"""Clock and summary of the bench."""

import time
from dataclasses import asdict

import pytest
import torch

from scripts.bench.clock import PARTS, Clock
from scripts.bench.flops import Shapes, Sizes
from scripts.bench.limit import rate
from scripts.bench.summary import WARM_UP, row, shapes_of, sizes_of, table


def turn(seconds, peak=300.0):
    steps = [dict.fromkeys(("step", *PARTS), 9.0)] * WARM_UP + [dict.fromkeys(("step", *PARTS), s) for s in seconds]
    return {"steps": steps, "peak_mib": peak, "loaded_mib": 200.0}


def test_ratios_are_formed_within_rounds_and_the_warm_up_is_left_out():
    found = row("arm", [turn([1.0, 1.0, 3.0]), turn([4.0])], [turn([2.0]), turn([1.0])])
    assert (found["ratio"], found["ratio_low"], found["ratio_high"]) == (2.25, 0.5, 4.0)
    assert found["step"] == 2.5
    assert (found["peak_mib"], found["added_mib"]) == (300.0, 100.0)


def test_a_table_shows_missing_values_as_dashes():
    made = table("t", [{"a": "x", "b": None}, {"a": "y", "b": 1.234}], {"a": "", "b": ".1f"})
    assert [list(column.cells) for column in made.columns] == [["x", "y"], ["–", "1.2"]]


def test_matrix_products_have_a_rate(tiny_trainer):
    trainer = tiny_trainer("grpo")
    sizes = sizes_of({"sizes": asdict(Sizes.of(trainer.model.config))})
    torch.set_num_threads(1)
    assert 1e7 < rate(sizes, 64) < 1e13


@pytest.mark.parametrize("method", ["grpo", "rlsd", "opsd", "sft"])
def test_the_parts_of_a_step_add_up_to_it(tiny_trainer, method):
    trainer = tiny_trainer(method)
    trainer.args.save_strategy = "no"
    clock = Clock(trainer)
    start = time.perf_counter()
    trainer.train()
    assert sum(step["step"] for step in clock.steps) < time.perf_counter() - start
    assert len(clock.steps) == 3
    for step in clock.steps:
        assert step["step"] == pytest.approx(sum(step[part] for part in PARTS))
        assert step["student"] > 0
        assert step["update"] > 0
        assert (step["rollout"] > 0) == (method != "sft")
        assert step["teacher"] > 0 or method in ("grpo", "sft")
    shapes = shapes_of({"shapes": {**clock.shapes, "prompts": 2}})
    assert isinstance(shapes, Shapes)
    assert shapes.sampled == (method != "sft")
    assert (shapes.teacher_prompt is not None) == (method in ("rlsd", "opsd"))


def test_time_within_a_part_is_not_counted_twice(tiny_trainer):
    clock = Clock(tiny_trainer("grpo"))
    with clock.part("student"):
        time.sleep(0.02)
        with clock.part("teacher"):
            time.sleep(0.05)
    assert 0.02 <= clock._seconds["student"] < 0.05 <= clock._seconds["teacher"]
