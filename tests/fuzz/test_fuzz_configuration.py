"""Any configuration file, `--set` text and sweep file is read or refused in one sentence."""

import yaml
from fuzzing import altered, as_yaml, damaged, fuzz
from hypothesis import strategies as st

from rlsd_cli.arms import ARMS, configure
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.config.run import RunConfig, dump
from rlsd_cli.sweep.plan import plan, read_sweep
from rlsd_cli.sweep.shell import shell_line

WHOLE = {method: configure.build([{"method": method}]).model_dump() for method in ARMS}
DATA = {"path": "x.jsonl", "layout": "plain", "columns": {"prompt": "q"}, "max_pixels": 5, "tolerance": 0.1}
GYM = {"sets": {"chain_sum": {"size": 3}}, "held_out": 3, "shots": 1}
TASKS = [{"name": "arithmetic"}, {"name": "dataset", "data": DATA}, {"name": "reasoning_gym", "gym": GYM}]
SWEEP = {
    "preset": "micro",
    "output_dir": "runs/x",
    "seeds": [0, 1],
    "samples": 2,
    "limit": 3,
    "set": {"train": {"steps": 3}},
    "runs": [{"method": "grpo", "label": "g"}, {"method": "rlsd", "set": {"objective": {"mix": 0.1}}}],
}
keys = [key for key in layers.known_keys(RunConfig) if not key.startswith("objective")]
objectives = [f"objective.{key}" for key in WHOLE["rlsd"]["objective"]]
configurations = st.tuples(st.sampled_from(list(ARMS)), st.sampled_from(TASKS)).flatmap(
    lambda drawn: altered(WHOLE[drawn[0]] | {"task": drawn[1]})
)


def read(path, content):
    path.write_bytes(content)
    built = configure.build([layers.read_yaml(path)], str(path))
    # What was accepted can be written and read back.
    assert configure.build([yaml.safe_load(dump(built))]) == built or "nan" in dump(built)


def test_any_configuration_file(tmp_path):
    def check(content):
        read(tmp_path / "config.yaml", content)

    fuzz(
        "configuration files", 0.18, st.one_of(configurations.map(as_yaml), damaged(configurations.map(as_yaml))), check
    )


def test_any_bytes_as_a_configuration_file(tmp_path):
    def check(content):
        read(tmp_path / "config.yaml", content)

    fuzz("configuration files", 0.04, damaged(st.binary(max_size=40)), check)


values = st.one_of(
    st.integers(-1, 40).map(str),
    st.text(max_size=12),
    st.sampled_from(["rlsd", "true", "0.5", "[1", "{a: ", "!!python/name:os.system", "2026-02-30", "&a [*a]", "1e-6"]),
)
assignments = st.one_of(
    st.text(max_size=20), st.builds("{}={}".format, st.sampled_from([*keys, *objectives]) | st.text(max_size=9), values)
)


def test_any_assignment():
    def check(texts):
        configure.build([{"method": "rlsd"}, *map(parse_assignment, texts)])

    fuzz("--set", 0.14, st.lists(assignments, min_size=1, max_size=3), check)


def test_any_sweep_file(tmp_path):
    entries = st.lists(altered({"method": "opsd", "label": "o", "set": {"train": {"steps": 2}}}), max_size=2)

    sweeps = st.one_of(altered(SWEEP), st.builds(lambda runs: SWEEP | {"runs": runs}, entries))

    def check(content):
        path = tmp_path / "sweep.yaml"
        path.write_bytes(content)
        for run in plan(read_sweep(path)):
            assert shell_line([run.train, run.evaluate, run.audit])

    fuzz("sweep files", 0.12, st.one_of(sweeps.map(as_yaml), damaged(as_yaml(SWEEP))), check)
