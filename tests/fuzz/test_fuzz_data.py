"""Any data set and any file of completions is read, or refused in one sentence; a bad row is named."""

import base64
import io
import json

import pandas as pd
import pytest
from fuzzing import altered, damaged, fuzz, scalars, trees
from hypothesis import strategies as st

from rlsd_cli.config.data import DataConfig
from rlsd_cli.leakage.inputs import Columns, Completion, Repeated, Unreadable, completions_source
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.tasks.images import load_images
from rlsd_cli.tasks.messages import append_text, user_message
from rlsd_cli.training.data import columns_of

TURNS = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]}]
ROWS = [
    {
        "prompt": "<image> 2 + 2?",
        "answer": "4",
        "solution": "2 + 2 = 4",
        "other_route": None,
        "id": "a",
        "images": None,
    },
    {"prompt": TURNS, "answer": ["4", "four"], "solution": None, "other_route": "4", "id": 7, "images": ["a.png"]},
]
MESSAGES = st.lists(st.sampled_from(TURNS).flatmap(altered), max_size=3)


def picture():
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "PNG")
    return buffer.getvalue()


PNG = picture()
bytes_of_images = damaged(PNG) | st.binary(max_size=30)
names = st.sampled_from(["a.png", "../a.png", "/etc/passwd", "/dev/zero", "", ".", "a/../../b", "\x00", "é" * 300])
images = st.one_of(
    names,
    bytes_of_images,
    bytes_of_images.map(lambda data: "data:image/png;base64," + base64.b64encode(data).decode()),
    st.fixed_dictionaries({}, optional={"bytes": bytes_of_images | st.none(), "path": names | st.none()}),
    trees,
)


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"prompt": "q", "answer": str(index)}) + "\n" for index in range(4)))
    (tmp_path / "a.png").write_bytes(PNG)
    made = DatasetTask(DataConfig(path=str(path), held_out=1))
    made.columns = {name: name for name in ROWS[0]}
    return made


def test_any_row_of_a_data_set(task):
    rows = st.sampled_from(ROWS).flatmap(altered).filter(lambda row: isinstance(row, dict))
    with_prompts = st.builds(lambda row, prompt: row | {"prompt": prompt}, rows, MESSAGES | st.text(max_size=9))

    def check(row):
        row = {name: row.get(name) for name in ROWS[0]}  # a table has all its columns
        example = task.example([row], 0)
        columns_of([example], True, "model")
        task.teacher_prompt(example.prompt, "r")

    fuzz("data rows", 0.12, rows | with_prompts, check)


def test_any_image(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(PNG)
    (tmp_path / "a.png").write_bytes(PNG)

    def check(value):
        for image in load_images(value, tmp_path / "in", "row 0 of x", 2, 100):
            assert image.mode == "RGB"

    fuzz("images", 0.06, images | st.lists(images, max_size=2), check)


def test_any_text_with_placeholders():
    marks = st.sampled_from(["<image>", "<image 1>", "<image_2>", "<image 99999999999>", "<image", "\n", "x"])

    def check(drawn):
        text, count = drawn
        pictures = [f"picture-{index}" for index in range(count)]
        content = append_text([user_message(text, pictures)], "go")[0]["content"]
        shown = [part["image"] for part in content if part["type"] == "image"] if count else []
        assert sorted(shown) == pictures

    fuzz("placeholders", 0.02, st.tuples(st.lists(marks, max_size=5).map("".join), st.integers(0, 3)), check)


def as_lines(rows):
    return "\n".join(json.dumps(row, default=str) for row in rows).encode("utf-8", "replace")


def as_parquet(rows):
    try:
        return pd.DataFrame(rows).to_parquet(index=False)
    except Exception:  # several types in a column: no parquet file can hold it
        return b""


def overwritten(files):
    """Draw files of which a few bytes are others; longer changes would only be refused at once."""
    change = st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=3))

    def changed(drawn):
        data, changes = drawn
        for place, content in changes:
            start = int(place * len(data))
            data = data[:start] + content + data[start + len(content) :]
        return data

    return st.tuples(files, st.lists(change, max_size=2)).map(changed)


def test_any_file_of_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = st.lists(st.sampled_from([{"prompt": "q", "answer": "1"}, *ROWS]).flatmap(altered), min_size=1, max_size=3)
    lines = rows.map(as_lines)

    def check(drawn):
        suffix, content = drawn
        path = tmp_path / f"data{suffix}"
        path.write_bytes(content)
        made = DatasetTask(DataConfig(path=str(path), held_out=0, drop_empty_answers=True))
        made.missing_references("solution")
        made.train_example(0, 0)

    files = st.one_of(
        st.tuples(st.sampled_from([".jsonl", ".json"]), lines | damaged(lines)),
        st.tuples(st.just(".parquet"), overwritten(rows.map(as_parquet))),
    )
    fuzz("data files", 0.01, files, check)


ROLLOUT = {"step": 1, "prompt": "2 + 2?", "completion": "The reference says 4.", "answer": "4", "filter": "none"}
LM_EVAL = {"doc_id": 0, "doc": {}, "target": "4", "arguments": [["2 + 2?", {}]], "resps": [["4"]], "filter": "none"}
CHAT = {"prompt": TURNS, "completion": [{"role": "assistant", "content": "4", "thinking": "t"}], "step": "2"}
VERL = {"input": "q", "output": "4", "gts": "4", "score": 1.0, "step": 3}
LOGS = st.sampled_from([ROLLOUT, LM_EVAL, CHAT, VERL])


def as_csv(rows):
    return pd.DataFrame([row for row in rows if isinstance(row, dict)]).to_csv(index=False).encode("utf-8", "replace")


def test_any_file_of_completions(tmp_path):
    rows = st.lists(LOGS.flatmap(altered), min_size=1, max_size=3)
    columns = st.builds(Columns, *[st.sampled_from([None, None, None, "completion", "step", "x"])] * 4)
    files = st.one_of(
        st.tuples(st.sampled_from([".jsonl", ".ndjson"]), rows.map(as_lines) | damaged(rows.map(as_lines))),
        st.tuples(st.just(".csv"), damaged(rows.map(as_csv))),
        st.tuples(st.just(".parquet"), overwritten(rows.map(as_parquet))),
        st.tuples(st.sampled_from([".jsonl", ".csv", ".parquet"]), st.binary(max_size=30)),
        st.tuples(st.just(".jsonl"), st.lists(scalars, max_size=2).map(as_lines)),
    )

    def check(drawn):
        (suffix, content), named = drawn
        path = tmp_path / f"step_3{suffix}"
        path.write_bytes(content)
        for found in completions_source(path, named).read():
            assert isinstance(found, Completion | Unreadable | Repeated)
            if isinstance(found, Completion):
                found.text.encode(), found.prompt.encode(), found.answer.encode()

    fuzz("completion files", 0.14, st.tuples(files, columns), check)
