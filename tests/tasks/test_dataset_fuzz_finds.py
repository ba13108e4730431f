"""What fuzzing found in data sets, each case on its own."""

import pandas as pd
import pytest

from rlsd_cli.config.data import DataConfig
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.dataset import DatasetTask


@pytest.mark.parametrize("content", ["null", "null\n{}", '{"prompt": "q", "answer": "1"}\nnull\n', "3", '"x"'])
def test_json_that_is_not_of_objects_is_refused_with_its_line(tmp_path, content):
    path = tmp_path / "data.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=r"line [12] of .*data\.jsonl cannot be read: it is no JSON object"):
        DatasetTask(DataConfig(path=str(path)))


@pytest.mark.parametrize("damaged", ["prompt", "answer"])
def test_text_of_a_parquet_file_that_is_not_utf8_is_named(tmp_path, damaged):
    path = tmp_path / "data.parquet"
    frame = pd.DataFrame({"prompt": ["PROMPT-TEXT"] * 2, "answer": ["ANSWER-TEXT"] * 2})
    frame.to_parquet(path, index=False, compression=None, write_statistics=False)
    path.write_bytes(
        path.read_bytes().replace(
            f"{damaged.upper()}-TEXT".encode(), f"{damaged.upper()}-T\xff".encode("latin-1") + b"XT"
        )
    )
    with pytest.raises(UserError, match=f"row 0 of .* not UTF-8, in column '{damaged}'"):
        DatasetTask(DataConfig(path=str(path), held_out=0)).train_example(0, 0)


@pytest.mark.parametrize(
    "prompt", [7, None, [], [{"role": "user"}], [{"role": "system", "content": "s"}], [{"role": "user", "content": 3}]]
)
def test_a_prompt_that_is_neither_text_nor_chat_names_its_row(tmp_path, prompt):
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "q", "answer": "1"}\n')
    task = DatasetTask(DataConfig(path=str(path), held_out=0))
    with pytest.raises(UserError, match=r"row 0 of .*data\.jsonl has a"):
        task.example([{"prompt": prompt, "answer": "1"}], 0)
