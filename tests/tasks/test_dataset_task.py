"""The data-set task on local files: mapping, order, prompts, clear refusals."""

import base64
import io
import json

import datasets
import numpy as np
import pytest
import yaml
from PIL import Image

from rlsd_cli.arms import configure
from rlsd_cli.config.data import DataConfig
from rlsd_cli.config.run import RunConfig, TaskConfig, dump
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.tasks.load import load_task
from rlsd_cli.tasks.messages import as_text


def picture(shade: int, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new("RGB", size, (shade, 0, 0))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shade_of(image: Image.Image) -> int:
    return int(np.asarray(image)[0, 0, 0])


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def jsonl(tmp_path):
    def write(rows, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


def sums(count=20):
    return [{"prompt": f"{n} + 1 = ?", "answer": n + 1, "solution": f"one more than {n}"} for n in range(count)]


def task_of(path, **settings):
    return DatasetTask(DataConfig(path=path, **{"held_out": 0, **settings}))


def test_jsonl_in_the_plain_layout_needs_no_mapping(jsonl):
    task = load_task(TaskConfig(name="dataset", data=DataConfig(path=jsonl(sums()), held_out=5)))
    example = task.train_example(0, 0)
    number = int(example.answer) - 1
    assert example.prompt[0]["content"].startswith(f"{number} + 1 = ?\n\nThink first")
    assert example.reference("solution") == f"one more than {number}"
    assert example.id == str(number)


def test_named_columns_are_used_in_place_of_the_layout(jsonl):
    rows = [{"q": "why?", "a": ["because", "so"], "key": f"k{n}"} for n in range(3)]
    task = task_of(jsonl(rows), columns={"prompt": "q", "answer": "a", "id": "key"}, chat=False, instruction="")
    example = task.train_example(0, 0)
    assert (example.prompt, example.answer) == ("why?", "because")
    assert example.id in {"k0", "k1", "k2"}


def test_order_is_a_function_of_the_seed_and_every_pass_shows_every_question_once(jsonl):
    path = jsonl(sums(12))
    task, again = task_of(path, held_out=2), task_of(path, held_out=2)
    ids = [task.train_example(3, index).id for index in range(30)]
    assert ids == [again.train_example(3, index).id for index in range(30)]
    assert sorted(ids[:10]) == sorted(ids[10:20]) == sorted(ids[20:])
    assert ids[:10] != ids[10:20]
    assert ids[:10] != [task.train_example(4, index).id for index in range(10)]
    assert task.train_example(3, 25).id == ids[25]  # any example can be made alone


def test_held_out_questions_are_never_trained_on_and_do_not_depend_on_the_seed(jsonl):
    path = jsonl(sums(20))
    task = task_of(path, held_out=6)
    held_out = {example.id for example in task.suites()["held_out"]}
    assert len(held_out) == 6
    assert {task.train_example(seed, i).id for seed in (0, 1) for i in range(14)} == {
        str(n) for n in range(20)
    } - held_out
    assert {example.id for example in task_of(path, held_out=6).suites()["held_out"]} == held_out


def test_held_out_split_of_a_directory_in_the_hub_layout_is_read(tmp_path):
    for split, rows in {"train": sums(4), "validation": sums(9)[6:]}.items():
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    task = task_of(str(tmp_path), held_out_split="validation", held_out=2)
    assert len(task.training) == 4
    assert [example.answer for example in task.suites()["held_out"]] == ["7", "8"]


def test_no_suite_is_offered_where_nothing_was_held_out(jsonl):
    assert task_of(jsonl(sums())).suites() == {}


def test_mmfinereason_layout_reads_stored_images_and_the_reference_trace(tmp_path):
    rows = [
        {
            "id": n,
            "question": "<image>How many cubes?",
            "answer": "B",
            "image": picture(40 * n),
            "qwen3vl_235b_thinking_response": "<think>count</think>B",
            "source": "GeoQA",
            "pass_rate": 0.0,
        }
        for n in range(4)
    ]
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "question": datasets.Value("string"),
            "answer": datasets.Value("string"),
            "image": datasets.Image(),
            "qwen3vl_235b_thinking_response": datasets.Value("string"),
            "source": datasets.Value("string"),
            "pass_rate": datasets.Value("float64"),
        }
    )
    path = tmp_path / "train.parquet"
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)
    task = task_of(str(path), layout="mmfinereason")
    example = task.train_example(0, 1)
    first, second = example.prompt[0]["content"][:2]
    assert first["type"] == "image"
    assert shade_of(first["image"]) == 40 * int(example.id) == shade_of(example.images[0])
    assert second == {"type": "text", "text": "How many cubes?"}
    assert example.solution == "<think>count</think>B"
    assert task.verify("<answer>B</answer>", example.answer).correct


def test_official_layout_reads_image_paths_beside_the_file(jsonl, tmp_path):
    (tmp_path / "pictures").mkdir()
    picture(9).save(tmp_path / "pictures" / "a.png")
    rows = [{"problem": "What is <image> beside <image>?", "answer": "1", "images": ["pictures/a.png"] * 2}]
    example = task_of(jsonl(rows), layout="rlsd").train_example(0, 0)
    kinds = [(part["type"], part.get("text")) for part in example.prompt[0]["content"]]
    assert kinds[:5] == [("text", "What is"), ("image", None), ("text", "beside"), ("image", None), ("text", "?")]
    assert [shade_of(image) for image in example.images] == [9, 9]


def test_images_come_first_where_the_text_does_not_place_them(jsonl):
    encoded = base64.b64encode(png(picture(200, (90, 70)))).decode()
    rows = [{"prompt": "Count.", "answer": "1", "pics": [f"data:image/png;base64,{encoded}"]}]
    example = task_of(jsonl(rows), columns={"images": "pics"}).train_example(0, 0)
    assert [part["type"] for part in example.prompt[0]["content"]] == ["image", "text", "text"]
    assert shade_of(example.images[0]) == 200


@pytest.mark.parametrize(
    ("bounds", "size"), [({"max_pixels": 1200}, (40, 30)), ({"min_pixels": 30_000}, (200, 150)), ({}, (80, 60))]
)
def test_images_are_scaled_into_the_bounds_and_keep_their_shape(tmp_path, jsonl, bounds, size):
    picture(5, (80, 60)).save(tmp_path / "a.png")
    rows = [{"prompt": "?", "answer": "1", "image": "a.png"}]
    task = task_of(jsonl(rows), columns={"images": "image"}, **bounds)
    assert task.train_example(0, 0).images[0].size == size


def test_messages_pass_through_and_the_first_user_turn_receives_the_images(tmp_path, jsonl):
    picture(5).save(tmp_path / "a.png")
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Count."}]
    task = task_of(jsonl([{"prompt": turns, "answer": "1", "image": "a.png"}]), columns={"images": "image"})
    prompt = task.train_example(0, 0).prompt
    assert prompt[0] == turns[0]
    assert [part["type"] for part in prompt[1]["content"]] == ["image", "text", "text"]


def test_teacher_prompt_is_the_students_plus_reference_and_instruction(jsonl):
    task = task_of(jsonl(sums()))
    example = task.train_example(0, 0)
    prompt = task.teacher_prompt(example.prompt, "THE-REFERENCE")
    text = as_text(prompt)
    assert text.startswith(as_text(example.prompt))
    assert text.index("THE-REFERENCE") > text.index("Think first") < text.rindex("Think first")
    assert "THE-REFERENCE" not in as_text(example.prompt)


def test_teacher_prompt_keeps_the_images_and_leaves_the_students_prompt_alone(tmp_path, jsonl):
    picture(5).save(tmp_path / "a.png")
    task = task_of(jsonl([{"prompt": "?", "answer": "1", "image": "a.png"}]), columns={"images": "image"})
    student = task.train_example(0, 0).prompt
    before = len(student[0]["content"])
    teacher = task.teacher_prompt(student, "r")
    assert len(student[0]["content"]) == before
    assert teacher[0]["content"][:before] == student[0]["content"]


def test_teacher_prompt_of_plain_text_is_plain_text(jsonl):
    task = task_of(jsonl(sums()), chat=False)
    example = task.train_example(0, 0)
    assert task.teacher_prompt(example.prompt, "r").startswith(example.prompt)


def test_teacher_without_a_reference_is_refused(jsonl):
    with pytest.raises(UserError, match=r"teacher.reference=answer"):
        task_of(jsonl(sums())).teacher_prompt("q", " ")


@pytest.mark.parametrize(("reward", "value"), [("accuracy", 1.0), ("composite", 0.9)])
def test_reward_is_the_configured_one(jsonl, reward, value):
    task = task_of(jsonl(sums()), reward=reward)
    assert task.reward("Answer: 3", task.verify("Answer: 3", "3")) == pytest.approx(value)


def test_missing_column_is_told_with_the_nearest_name(jsonl):
    with pytest.raises(UserError, match=r"no column 'promt' for the prompt, did you mean 'prompt'\?"):
        task_of(jsonl(sums()), columns={"prompt": "promt"})


def test_column_that_the_layout_needs_is_told_with_the_key_that_sets_it(jsonl):
    with pytest.raises(UserError, match=r"set task.data.columns.images to one of: question, answer"):
        task_of(jsonl([{"question": "?", "answer": "1"}]), layout="mmfinereason")


def test_empty_answer_is_told_with_its_row_and_can_be_dropped(jsonl):
    path = jsonl([*sums(3), {"prompt": "?", "answer": None}])
    with pytest.raises(UserError, match=r"row 3 of .* \(1 rows of 4\)"):
        task_of(path)
    assert len(task_of(path, drop_empty_answers=True).training) == 3


def test_data_set_without_any_answer_is_refused_even_if_empty_answers_are_dropped(jsonl):
    with pytest.raises(UserError, match="every row"):
        task_of(jsonl([{"prompt": "?", "answer": ""}] * 2), drop_empty_answers=True)


def test_holding_everything_out_is_refused(jsonl):
    with pytest.raises(UserError, match="nothing is left to train on"):
        task_of(jsonl(sums(5)), held_out=5)


def test_image_that_is_missing_and_image_that_is_broken_are_told_with_their_row(tmp_path, jsonl):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    columns = {"images": "image"}
    missing = task_of(jsonl([{"prompt": "?", "answer": "1", "image": "none.png"}]), columns=columns)
    with pytest.raises(UserError, match=r"row 0 of .* names the image .*none.png, which does not exist"):
        missing.train_example(0, 0)
    broken = task_of(jsonl([{"prompt": "?", "answer": "1", "image": "broken.png"}], "b.jsonl"), columns=columns)
    with pytest.raises(UserError, match=r"the image broken.png of row 0 of .* cannot be read \(no picture that PIL"):
        broken.train_example(0, 0)


def test_answer_that_is_a_json_object_is_told_with_its_row(jsonl):
    rows = [{"prompt": "?", "answer": "1"}, {"prompt": "?", "answer": {"value": 2}}]
    with pytest.raises(UserError, match=r"row 1 of .* JSON object, in column 'answer': give text"):
        task_of(jsonl(rows))


def test_images_in_a_plain_text_prompt_are_refused(tmp_path, jsonl):
    picture(5).save(tmp_path / "a.png")
    task = task_of(jsonl([{"prompt": "?", "answer": "1", "image": "a.png"}]), columns={"images": "image"}, chat=False)
    with pytest.raises(UserError, match="chat is false"):
        task.train_example(0, 0)


def test_unreadable_sources_are_told_in_a_sentence(tmp_path, jsonl, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 no")
    text = tmp_path / "notes.txt"
    text.write_text("x")
    for source, message in {
        str(empty): "is empty",
        str(torn): "cannot be read",
        str(text): "is no data set",
        str(tmp_path / "nowhere" / "data.parquet"): "does not exist",
        "nobody/no-such-data-set": "nor to be had from the hub",
    }.items():
        with pytest.raises(UserError, match=message):
            task_of(source)


def test_unknown_split_is_told(tmp_path):
    datasets.Dataset.from_list(sums(4)).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(UserError, match="has no split 'valid'; it has: train"):
        task_of(str(tmp_path), split="valid")


def test_subsets_of_a_hub_layout_are_asked_for_and_chosen(tmp_path):
    configs = []
    for subset, count in {"easy": 3, "hard": 5}.items():
        datasets.Dataset.from_list(sums(count)).to_parquet(tmp_path / subset / "train-0.parquet")
        configs.append(f"- config_name: {subset}\n  data_files: {subset}/train-*")
    (tmp_path / "README.md").write_text("---\nconfigs:\n" + "\n".join(configs) + "\n---\n")
    with pytest.raises(UserError, match=r"several subsets: choose one with task\.data\.subset, of easy, hard"):
        task_of(str(tmp_path))
    with pytest.raises(UserError, match="no subset 'hart', did you mean 'hard'"):
        task_of(str(tmp_path), subset="hart")
    assert len(task_of(str(tmp_path), subset="hard").training) == 5


def test_configuration_of_other_tasks_holds_no_section_of_a_data_set():
    dumped = yaml.safe_load(dump(configure.build([{"method": "grpo"}])))
    assert dumped["task"] == {"name": "arithmetic", "operations": 4, "words": 1, "word_choices": 8}


def test_data_configuration_survives_being_written_and_read():
    data = {"path": "x.jsonl", "columns": {"prompt": "q"}}
    config = configure.build([{"method": "grpo", "task": {"name": "dataset", "data": data}}])
    assert RunConfig.model_validate(yaml.safe_load(dump(config))) == config


@pytest.mark.parametrize(
    ("data", "key"),
    [({"pth": "x"}, "task.data.path"), ({"path": "x", "columns": {"promt": "q"}}, "task.data.columns.prompt")],
)
def test_mistyped_key_is_told_with_the_nearest_one(data, key):
    with pytest.raises(UserError, match=f"did you mean '{key}'"):
        configure.build([{"method": "grpo", "task": {"name": "dataset", "data": data}}])


@pytest.mark.parametrize("task", [{"name": "dataset"}, {"data": {"path": "x"}}])
def test_task_name_and_data_go_together(task):
    with pytest.raises(UserError, match="go together"):
        configure.build([{"method": "grpo", "task": task}])


def golds(task):
    return sorted(task.train_example(0, n).answer for n in range(len(task.training)))


def test_field_of_a_struct_is_a_column_by_its_dotted_name(tmp_path):
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{n}+1?"}],
            "reward_model": {"style": "rule", "ground_truth": str(n + 1)},
        }
        | {"extra_info": {"index": n, "tags": ["a", "b"]}}
        for n in range(3)
    ]
    path = tmp_path / "verl.parquet"
    datasets.Dataset.from_list(rows).to_parquet(path)
    for settings in ({"columns": {"answer": "reward_model.ground_truth"}}, {"columns": {"answer": "reward_model"}}):
        assert golds(task_of(str(path), **settings)) == ["1", "2", "3"]
    verl = task_of(str(path), layout="verl")
    assert {verl.train_example(0, n).id for n in range(3)} == {"0", "1", "2"}
    with pytest.raises(UserError, match=r"groundtruth' .*did you mean 'reward_model.ground_truth'"):
        task_of(str(path), columns={"answer": "reward_model.groundtruth"})
    with pytest.raises(UserError, match=r"JSON object, in column 'extra_info'.*extra_info\.index"):
        task_of(str(path), columns={"answer": "extra_info"})


def test_worked_solutions_train_on_their_answer(jsonl):
    rows = [{"prompt": "?", "answer": "1+1 = 2\n#### 2"}, {"prompt": "?", "answer": r"So \boxed{\frac{1}{2}}."}]
    assert golds(task_of(jsonl(rows))) == ["2", r"\frac{1}{2}"]
