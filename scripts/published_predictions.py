"""Predictions that official repositories published, judged here and compared with their own verdicts.

    git clone https://github.com/MMMU-Benchmark/MMMU; git clone https://github.com/mathllm/MATH-V
    git clone https://github.com/lupantech/MathVista
    python scripts/published_predictions.py --mmmu MMMU --mathvision MATH-V --mathvista MathVista

Prints, per file, the published accuracy, ours, and how many single verdicts agree. ``--differing N`` shows where they
do not. MathVista's published answers were extracted by GPT-4; with ``--extracted`` these are judged in place of the
responses, which compares the rules of equality alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlsd_cli.evaluation.benchmarks.base import Question
from rlsd_cli.evaluation.benchmarks.mathvision import MATHVISION
from rlsd_cli.evaluation.benchmarks.mathvista import MATHVISTA
from rlsd_cli.evaluation.benchmarks.mmmu import MMMU
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.load import judge_all


@dataclass(frozen=True)
class Prediction:
    """A published completion, its question, and the published verdict (None where only the file's score is known)."""

    question: Question
    completion: str
    right: bool | None


def read_json(path: Path) -> Any:
    """Return a JSON file's content."""
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def mathvision(folder: Path) -> Iterator[tuple[str, list[Prediction], float | None]]:
    """Yield (file, predictions, published accuracy) of MATH-V/outputs."""
    rows = {str(row["id"]): {**row, "decoded_image": None} for row in lines_of(folder / "data" / "test.jsonl")}
    for path in sorted((folder / "outputs").rglob("*.jsonl")):
        found = [
            Prediction(MATHVISION.read(rows[str(row["id"])]), str(row["response"]), bool(row["correct"]))
            for row in lines_of(path)
            if str(row["id"]) in rows and "correct" in row
        ]
        yield path.name, found, None


def mathvista(folder: Path, extracted: bool) -> Iterator[tuple[str, list[Prediction], float | None]]:
    """Yield (file, predictions, published accuracy) of MathVista/results."""
    for path in sorted((folder / "results").rglob("output_*.json")):
        scores = path.with_name(path.name.replace("output_", "scores_"))
        if not scores.is_file():
            continue
        found = []
        for row in read_json(path).values():
            if "true_false" not in row or "response" not in row:
                continue
            question = MATHVISTA.read({**row, "decoded_image": None})
            said = rf"\boxed{{{row['extraction']}}}" if extracted else str(row["response"])
            found.append(Prediction(question, said, bool(row["true_false"])))
        yield path.name, found, float(read_json(scores)["average"]["accuracy"]) / 100


def mmmu(folder: Path) -> Iterator[tuple[str, list[Prediction], float | None]]:
    """Yield (model, predictions, published accuracy) of MMMU/mmmu/example_outputs; parsed answers say what was read."""
    golds = read_json(folder / "mmmu" / "answer_dict_val.json")
    for model in sorted(path for path in (folder / "mmmu" / "example_outputs").iterdir() if path.is_dir()):
        found = []
        for path in sorted(model.glob("*/output.json")):
            for row in read_json(path):
                options = list(row.get("index2ans", {}).values())
                kind = "multiple-choice" if options else "open"
                gold = golds[row["id"]]["ground_truth"]
                made = {"id": row["id"], "question": "?", "options": repr(options), "answer": str(gold)}
                question = MMMU.read({**made, "question_type": kind})
                found.append(Prediction(question, str(row["response"]), None))
        results = model / "result.json"
        published = read_json(results)["Overall"]["acc"] if results.is_file() else None
        yield model.name, found, published


def compare(name: str, source: Any, judge: Any, differing: int) -> None:
    """Print the comparison of each file."""
    for file, predictions, published in source:
        if not predictions:
            continue
        examples = [Example(p.question.id, "", p.question.answer, meta=p.question.meta) for p in predictions]
        verdicts = judge_all(judge, [(p.completion, e) for p, e in zip(predictions, examples, strict=True)])
        ours = sum(verdict.correct for verdict in verdicts) / len(verdicts)
        known = [(p, v) for p, v in zip(predictions, verdicts, strict=True) if p.right is not None]
        theirs = sum(bool(p.right) for p, _ in known) / len(known) if known else published
        agree = sum(p.right == v.correct for p, v in known)
        told = "" if theirs is None else f"published {100 * theirs:5.1f}  "
        single = f"  same verdict {agree} of {len(known)}" if known else ""
        print(f"{name:10} {file:48} {told}ours {100 * ours:5.1f}{single}")
        shown = [(p, v) for p, v in known if p.right != v.correct][:differing]
        for prediction, verdict in shown:
            whose = "theirs right" if prediction.right else "ours right"
            print(f"    {whose}: gold {prediction.question.answer!r}, said {prediction.completion[-160:]!r}, {verdict}")


def main() -> None:
    """Compare what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mmmu", type=Path)
    parser.add_argument("--mathvision", type=Path)
    parser.add_argument("--mathvista", type=Path)
    parser.add_argument("--extracted", action="store_true", help="MathVista: judge the answers that GPT-4 extracted")
    parser.add_argument("--differing", type=int, default=0, help="show so many differing verdicts per file")
    arguments = parser.parse_args()
    if arguments.mmmu:
        compare("mmmu", mmmu(arguments.mmmu), MMMU.judge, arguments.differing)
    if arguments.mathvision:
        compare("mathvision", mathvision(arguments.mathvision), MATHVISION.judge, arguments.differing)
    if arguments.mathvista:
        compare("mathvista", mathvista(arguments.mathvista, arguments.extracted), MATHVISTA.judge, arguments.differing)


if __name__ == "__main__":
    main()
