"""Any files in a run directory are read, or refused in one sentence, by whoever reads them."""

import json
import math

import pandas as pd
import pytest
import yaml
from fuzzing import altered, as_yaml, damaged, fuzz, scalars, trees
from hypothesis import strategies as st

from rlsd_cli.arms import configure
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.credit.data import COLUMNS, select
from rlsd_cli.report.evaluations import evaluation_notes, rows_of, suites_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs, open_run
from rlsd_cli.runs.checkpoints import MARKER, checkpoint_files, digests, newest_intact
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.training.run import begin, prepare

CONFIG = configure.build([{"method": "rlsd", "label": "x", "train": {"steps": 3}}])
STATUS = {"schema_version": 1, "state": "complete", "step": 3, "steps": 3, "error": None}
PROVENANCE = {"schema_version": 1, "seed": 0, "attempts": [{"from_step": 0}]}
METRICS = [{"step": step, "loss": 0.5, "reward": 0.25, "leakage/rate": None} for step in (1, 2, 3)]
SUMMARY = {"suite": "chain", "checkpoint_step": 3, "n_questions": 2, "samples": 1, "temperature": 1.0}


def as_json(value):
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")


def or_damaged(encode, whole):
    """Draw a file that says something else than it should, or is no longer of its format."""
    return st.one_of(altered(whole).map(encode), damaged(encode(whole)))


lines = st.lists(st.sampled_from(METRICS).flatmap(altered).map(as_json), max_size=4).map(b"\n".join)
files = st.fixed_dictionaries(
    {
        "config.yaml": or_damaged(as_yaml, CONFIG.model_dump()) | st.just(as_yaml(CONFIG.model_dump())),
        "status.json": or_damaged(as_json, STATUS) | st.just(as_json(STATUS)),
        "provenance.json": or_damaged(as_json, PROVENANCE) | st.just(as_json(PROVENANCE)),
        "metrics.jsonl": lines | damaged(b"\n".join(map(as_json, METRICS)) + b"\n"),
    }
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def each_in_turn(*calls):
    """Call all, so that one's refusal does not hide what another would do; raise the last refusal."""
    refusal = None
    for call in calls:
        try:
            call()
        except (UserError, Missing) as error:
            refusal = error
    if isinstance(refusal, UserError):
        raise refusal


def test_any_files_of_a_run(folder):
    def check(contents):
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        run = RunDir(folder)

        def drawn():
            for variant in compare(find_runs([folder.parent])).variants.values():
                assert variant.label
                assert all(math.isfinite(value) for value in variant.runs[0].series("loss")[1])

        each_in_turn(
            lambda: RunDir.open(folder),
            run.metrics,
            drawn,
            lambda: prepare(folder, CONFIG, resume=True),
            lambda: begin(CONFIG, run, 2),
        )

    fuzz("run directories", 0.14, files, check)


names = st.sampled_from(["../../evil", "a/b", "..", "seed", "x", "", "[red]", "\x1b[2J"]) | st.text(max_size=6)


def frames(columns):
    """Draw small tables, with columns missing or holding other types."""

    def table(drawn):
        kept, rows = drawn
        frame = pd.DataFrame(rows or [{}]).reindex(columns=kept)
        return frame

    rows = st.lists(st.fixed_dictionaries(columns), max_size=4)
    kept = st.lists(st.sampled_from(list(columns)), unique=True, min_size=len(columns) - 1)
    return st.tuples(kept, rows).map(table)


def write_table(path, frame, damage):
    """Write a table as parquet, cut and overwritten as ``damage`` says; False where pandas can't write it."""
    try:
        data = frame.to_parquet(index=False)
    except Exception:  # a column of several types: no parquet file can hold it
        return False
    for place, content in damage:
        start = int(place * len(data))
        data = data[:start] + content + data[start + len(content) :]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return True


damage = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=5)), max_size=2)


def test_any_evaluation(folder):
    (folder / "config.yaml").write_text(dump(CONFIG))
    (folder / "status.json").write_text(json.dumps(STATUS))
    columns = {
        "prompt_id": st.sampled_from(["a", "b"]) | scalars,
        "sample_id": st.integers(-1, 2),
        "correct": st.booleans() | st.sampled_from([None, 0, 1, 2.5, "yes"]),
    }

    def check(drawn):
        frame, damages, summary = drawn
        (folder / "eval").mkdir(exist_ok=True)
        (folder / "eval" / "chain.json").write_bytes(summary)
        if not write_table(folder / "eval" / "chain.parquet", frame, damages):
            return
        (variant,) = compare([open_run(folder)]).variants.values()
        each_in_turn(
            lambda: suites_of(variant),
            lambda: rows_of(variant, "chain"),
            lambda: evaluation_notes([variant], ["chain"]),
        )

    fuzz("evaluations", 0.06, st.tuples(frames(columns), damage, or_damaged(as_json, SUMMARY)), check)


def test_any_credit(folder):
    (folder / "config.yaml").write_text(dump(CONFIG))
    (folder / "status.json").write_text(json.dumps(STATUS))
    numbers = st.lists(st.floats(), min_size=2, max_size=2) | st.none() | st.lists(scalars, max_size=3)
    text = st.text(max_size=5) | st.none()
    columns = {
        **dict.fromkeys(COLUMNS, text),
        "sample_id": st.integers(0, 3) | st.none(),
        "correct": st.booleans() | st.none(),
        "advantage": st.floats() | st.none(),
        "tokens": st.lists(st.text(max_size=4), min_size=2, max_size=2) | st.none(),
        **dict.fromkeys(("delta", "weight", "token_advantage"), numbers),
    }

    def check(drawn):
        frame, damages = drawn
        if write_table(folder / "credit" / "step-000002.parquet", frame, damages):
            each_in_turn(lambda: select(open_run(folder)), lambda: select(open_run(folder), prompt="0", step=2))

    fuzz("credit files", 0.04, st.tuples(frames(columns), damage), check)


def test_any_marker_of_a_checkpoint(folder):
    checkpoint = folder / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    whole = {"files": checkpoint_files(checkpoint), "sha256": digests(checkpoint)}

    def check(content):
        (checkpoint / MARKER).write_bytes(content)
        found = newest_intact(folder / "checkpoints")
        assert found is None or found == (2, checkpoint)
        # Nothing but what was written at the time may pass.
        if found:
            value = json.loads(content)
            assert value["files"] == whole["files"]
            assert value.get("sha256") in (None, whole["sha256"])

    fuzz("markers", 0.04, st.one_of(or_damaged(as_json, whole), trees.map(as_json)), check)


def test_a_label_never_leads_out_of_its_directory():
    def check(label):
        built = configure.build([{"method": "rlsd", "label": label}])
        assert yaml.safe_load(dump(built))["label"] == label
        assert "/" not in built.name
        assert built.name not in ("", ".", "..")
        assert built.name.isprintable()

    fuzz("labels", 0.02, names, check)
