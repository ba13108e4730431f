"""Small local copies of the five benchmarks, in each one's own schema, with images made here."""

from pathlib import Path

import datasets
from datasets import Features, Image, List, Value
from PIL import Image as Pillow

TEXT = Value("string")


def picture(shade: int) -> Pillow.Image:
    return Pillow.new("RGB", (8, 6), (shade, 0, 0))


def write(path: Path, rows: list[dict], features: dict) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=Features(features)).to_parquet(path)
    return str(path)


MMMU_FEATURES = {
    **dict.fromkeys(("id", "question", "options", "explanation"), TEXT),
    **{f"image_{n}": Image() for n in range(1, 8)},
    **dict.fromkeys(("img_type", "answer", "topic_difficulty", "question_type", "subfield"), TEXT),
}


def mmmu_row(name: str, question: str, answer: str, options: str = "[]", images: int = 1) -> dict:
    row = dict.fromkeys(MMMU_FEATURES) | {
        "id": name,
        "question": question,
        "options": options,
        "answer": answer,
        "question_type": "multiple-choice" if options != "[]" else "open",
    }
    return row | {f"image_{n}": picture(10 * n) for n in range(1, images + 1)}


def mmmu(path: Path, rows: list[dict]) -> str:
    return write(path, rows, MMMU_FEATURES)


def mathvista(path: Path, rows: list[dict]) -> str:
    metadata = {
        **dict.fromkeys(("category", "context", "grade", "language", "source", "split", "task"), TEXT),
        "img_height": Value("int64"),
        "img_width": Value("int64"),
        "skills": List(TEXT),
    }
    features = {
        **dict.fromkeys(("pid", "question", "image", "unit", "answer", "question_type", "answer_type", "query"), TEXT),
        "decoded_image": Image(),
        "choices": List(TEXT),
        "precision": Value("float64"),
        "metadata": metadata,
    }
    empty = dict.fromkeys(features) | {"decoded_image": picture(7), "metadata": dict.fromkeys(metadata)}
    return write(path, [empty | row for row in rows], features)


def mathvision(path: Path, rows: list[dict]) -> str:
    features = {
        **dict.fromkeys(("id", "question", "image", "answer", "solution", "subject"), TEXT),
        "options": List(TEXT),
        "decoded_image": Image(),
        "level": Value("int64"),
    }
    empty = dict.fromkeys(features) | {"decoded_image": picture(7), "options": [], "level": 1, "subject": "algebra"}
    return write(path, [empty | row for row in rows], features)


def zerobench(path: Path, rows: list[dict]) -> str:
    features = {
        **dict.fromkeys(("question_id", "question_text", "question_answer", "image_attribution"), TEXT),
        "question_images": List(TEXT),
        "question_images_decoded": List(Image()),
    }
    return write(path, [dict.fromkeys(features) | row for row in rows], features)


def wemath_row(name: str, key: str, answer: str) -> dict:
    return {
        "ID": name,
        "split": "testmini",
        "knowledge concept": "Area of Circles",
        "question": "What is the area?",
        "option": "A. 3;B. 4;C. 5; D. No correct answer",
        "answer": answer,
        "image_path": picture(7),
        "key": key,
        "question number": 1,
        "knowledge concept description": "…",
    }


def wemath(path: Path, rows: list[dict]) -> str:
    features = {
        **dict.fromkeys(("ID", "split", "knowledge concept", "question", "option", "answer", "key"), TEXT),
        "image_path": Image(),
        "question number": Value("int64"),
        "knowledge concept description": TEXT,
    }
    return write(path, rows, features)
