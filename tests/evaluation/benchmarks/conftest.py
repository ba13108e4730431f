"""Local copies of all five benchmarks, and the tiny Qwen3-VL of the vision tests."""

import datasets
import hub_copies as copies
import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def vl_model(tmp_path_factory):
    """A random Qwen3-VL with its processor."""
    import tiny_qwen3_vl

    return tiny_qwen3_vl.write_model(tmp_path_factory.mktemp("tiny-vl"))


@pytest.fixture(scope="session")
def local_copies(tmp_path_factory):
    """A file per benchmark, two questions and more in each."""
    path = tmp_path_factory.mktemp("copies")
    pictures = [copies.picture(1), copies.picture(2)]
    steps = [
        copies.wemath_row(name, key, "B")
        for name in ("2steps_1", "2steps_2", "2steps_3")
        for key in ("2steps_1", "2steps_2", "2steps_multi")
    ]
    return {
        "mmmu": copies.mmmu(
            path / "mmmu.parquet",
            [
                copies.mmmu_row("validation_Accounting_1", "<image 1> Which?", "B", "['$6', '$7', 'none']"),
                copies.mmmu_row("validation_Art_Theory_2", "Which?", "A", "['<image 2>', '<image 3>']", images=3),
                copies.mmmu_row("validation_Math_3", "How many? <image 1>", "24"),
            ],
        ),
        "mathvista": copies.mathvista(
            path / "mathvista.parquet",
            [
                {"pid": "1", "question": "Larger?", "choices": ["yes", "no"], "answer": "no", "answer_type": "text"},
                {"pid": "2", "question": "How many?", "answer": "14", "answer_type": "integer"},
            ],
        ),
        "mathvision": copies.mathvision(
            path / "mathvision.parquet",
            [
                {"id": "1", "question": "What?\n<image1>", "answer": "60"},
                {"id": "2", "question": "Which?\n<image1>", "options": list("ABCDE"), "answer": "C", "level": 2},
            ],
        ),
        "zerobench": copies.zerobench(
            path / "zerobench.parquet",
            [
                {"question_id": "1", "question_text": "How many?", "question_answer": "1,204"}
                | {"question_images_decoded": pictures, "question_images": ["a", "b"]},
                {"question_id": "2", "question_text": "Which?", "question_answer": "Blue Whale"}
                | {"question_images_decoded": pictures[:1], "question_images": ["a"]},
            ],
        ),
        "wemath": copies.wemath(path / "wemath.parquet", steps),
    }
