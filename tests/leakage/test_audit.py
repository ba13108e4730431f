"""The audit as a whole: numbers, files, bounds, and the same bytes twice."""

import json
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit, audit_run
from rlsd_cli.leakage.chart import rate_chart
from rlsd_cli.leakage.detect import EARLY_RULE, Hit
from rlsd_cli.leakage.hits import LONGEST_KEPT, Excerpts, Sample
from rlsd_cli.leakage.inputs import Columns, Completion, Source, completions_source
from rlsd_cli.leakage.page import AROUND, pieces
from rlsd_cli.runs.directory import RunDir, write_parquet, write_text
from rlsd_cli.statistics import wilson_interval

CLEAN = "7 + 9 = 16 ; 16 * 3 = 16 ; answer 16"
LEAK = "7 + 9 = 16 ; the reference says 16 * 3 = 16 ; answer 16"
EARLY = "answer 16 ; 7 + 9 = 16 ; 16 * 3 = 16"
PROMPT = "question 7 + 9 * 3 ?"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two steps: 1 of 4 completions leaks, then 3 of 4."""
    run = RunDir(tmp_path / "run")
    write_text(run.config_file, "method: opsd\n")
    run.write_status(schema_version=1, state="complete", step=2, steps=2)
    for step, texts in ((1, [CLEAN, LEAK, EARLY, CLEAN]), (2, [LEAK, LEAK, CLEAN, LEAK + " ; the reference says"])):
        frame = pd.DataFrame({"step": step, "prompt": PROMPT, "completion": texts, "answer": "16"})
        write_parquet(run.completions_dir / f"step-{step:06d}.parquet", frame)
    return run.path


def lines(path: Path, texts: list[str], **fields) -> Path:
    path.write_text("".join(json.dumps({"completion": text, **fields}) + "\n" for text in texts))
    return path


def test_a_runs_report_holds_the_counts_by_step_rule_and_place(run):
    report = audit_run(run)
    assert (report["schema_version"], report["n"], report["hits"], report["mentions"]) == (2, 8, 4, 5)
    assert report["rate"] == 0.5
    expected = wilson_interval(4, 8)
    assert report["interval"] == [expected.low, expected.high]
    assert [(row["step"], row["n"], row["hits"], row["rate"]) for row in report["by_step"]] == [
        (1, 4, 1, 0.25),
        (2, 4, 3, 0.75),
    ]
    low, high = report["by_step"][0]["low"], report["by_step"][0]["high"]
    assert (low, high) == wilson_interval(1, 4)[1:3]
    rules = {row["rule"]: row for row in report["by_rule"]}
    assert (rules["source_says"]["hits"], rules["source_says"]["mentions"]) == (4, 5)
    assert rules["hint"]["hits"] == 0
    assert sum(row["mentions"] for row in report["by_position"]) == 5
    assert report["by_position"][2]["mentions"] == 3  # 13 of 55 characters
    assert report["trend"]["z"] == pytest.approx(2**0.5)
    assert json.loads((run / "leakage" / "report.json").read_text()) == report


def test_answer_before_derivation_has_its_own_rate_and_is_no_mention(run):
    report = audit_run(run)
    early = report["answer_before_derivation"]
    assert (early["n"], early["hits"]) == (8, 1)
    assert [row["hits"] for row in early["by_step"]] == [1, 0]
    hits = pd.read_parquet(run / "leakage" / "hits.parquet")
    assert (hits.rule == EARLY_RULE).sum() == 1
    assert (hits.rule != EARLY_RULE).sum() == report["mentions"]


def test_without_gold_answers_there_is_no_such_rate(tmp_path):
    report = audit(completions_source(lines(tmp_path / "x.jsonl", [EARLY]), Columns()), tmp_path / "out")
    assert report["answer_before_derivation"] == {"n": 0, "hits": 0, "by_step": []}


def test_every_hit_stands_in_hits_parquet_with_span_rule_and_context(run):
    audit_run(run)
    hits = pd.read_parquet(run / "leakage" / "hits.parquet")
    for row in hits.itertuples():
        text = pd.read_parquet(run / row.source).completion[row.row - 1]
        assert text[row.start : row.end] == row.text
        assert text == row.before + row.text + row.after
        assert row.completion_length == len(text)
    assert hits.step.tolist() == [1, 1, 2, 2, 2, 2]


def test_two_audits_write_the_same_bytes(run):
    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (run / "leakage").iterdir()}

    audit_run(run)
    first = written()
    audit_run(run)
    assert set(first) == {"report.json", "hits.parquet", "report.html"}
    assert written() == first


def test_an_audit_leaves_no_temporary_file_and_a_failed_one_no_report(run, tmp_path):
    audit_run(run)
    assert not list((run / "leakage").glob(".*"))
    empty = completions_source(lines(tmp_path / "empty.jsonl", []), Columns())
    with pytest.raises(UserError, match="it is empty"):
        audit(empty, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_unreadable_rows_are_counted_named_and_kept_out_of_the_rate(tmp_path):
    path = lines(tmp_path / "x.jsonl", [CLEAN, LEAK])
    path.write_text(path.read_text() + "torn\n" + json.dumps({"completion": None}) + "\n")
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    assert (report["n"], report["hits"]) == (2, 1)
    assert report["unreadable"]["count"] == 2
    assert report["unreadable"]["by_reason"] == {"it is no JSON": 1, "the completion is empty (null)": 1}
    assert report["unreadable"]["rows"][0] == {"source": "x.jsonl", "row": 3, "reason": "it is no JSON"}
    assert "it is no JSON" in (tmp_path / "out" / "report.html").read_text()


def test_only_unreadable_rows_are_an_error_that_names_the_first(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("torn\ntorn\n")
    with pytest.raises(UserError, match=r"none of the 2 rows .* x\.jsonl, row 1: it is no JSON"):
        audit(completions_source(path, Columns()), tmp_path / "out")


def test_an_output_that_cannot_be_written_is_told_in_one_sentence(tmp_path):
    source = completions_source(lines(tmp_path / "x.jsonl", [CLEAN]), Columns())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output-dir"):
        audit(source, tmp_path / "file" / "out")


def test_matches_that_do_not_count_are_counted_by_reason_and_shown(tmp_path):
    texts = ["There is no reference solution.", LEAK]
    path = lines(tmp_path / "x.jsonl", texts, prompt="reference answer 16 question ?")
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    assert report["hits"] == 0
    assert report["dismissed"] == {"prompt": 2, "negation": 0, "speculation": 0, "ordinary": 0}
    assert {row["reason"] for row in report["dismissed_examples"]} == {"prompt"}


class Checker(HTMLParser):
    """Collects tags and marked text, and whether tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.urls: list[str] = []
        self.marks: list[str] = []
        self.sound = True

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.urls += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        self.sound = self.sound and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-2:] == ["mark", "bdi"]:
            self.marks.append(data)


def page_of(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    return checker


def test_the_page_shows_each_hit_in_its_completion_and_loads_nothing(run):
    audit_run(run)
    page = page_of(run / "leakage" / "report.html")
    assert page.sound
    assert page.marks.count("the reference says") == 5
    assert page.marks.count("answer 16") == 1
    assert page.tags.count("article") == 5
    assert not page.urls
    assert "script" not in page.tags


def test_markup_in_completions_prompts_and_names_is_escaped(tmp_path):
    evil = "<script>alert(1)</script> The reference solution says </pre><img src=x onerror=y> &amp; $body"
    (tmp_path / "<b>").mkdir()
    path = lines(tmp_path / "<b>" / "<i>.jsonl", [evil], prompt="<script>", step=1)
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    page = page_of(tmp_path / "out" / "report.html")
    assert report["hits"] == 1
    assert page.sound
    assert not {"script", "img", "i"} & set(page.tags)
    assert page.tags.count("b") == 1  # the page's own


def test_a_long_completion_is_cut_far_from_its_hits_on_the_page():
    text = "a" * 5000 + "HIT" + "b" * 5000
    shown = pieces(text, [Hit("hint", 5000, 5003, "HIT")], {"hint"})
    assert [len(piece.text) for piece in shown] == [0, 0, AROUND, 3, AROUND, 0, 0]
    assert [piece.cut for piece in shown] == [0, 5000 - AROUND, 0, 0, 0, 5000 - AROUND, 0]
    assert [piece.rule for piece in shown if piece.rule] == ["hint"]


def test_the_page_shows_a_sample_when_there_are_too_many(tmp_path):
    source = completions_source(lines(tmp_path / "x.jsonl", [LEAK] * 50), Columns())
    report = audit(source, tmp_path / "out", Options(shown=7))
    assert report["shown"] == {"completions": 7, "of": 50}
    assert page_of(tmp_path / "out" / "report.html").tags.count("article") == 7
    assert len(pd.read_parquet(tmp_path / "out" / "hits.parquet")) == 50


def completion(row: int, text: str = LEAK, answer: str = "") -> Completion:
    return Completion(text, "", answer, None, "x", row)


def test_the_sample_does_not_depend_on_the_order_of_reading():
    forward, backward = Sample(10), Sample(10)
    for row in range(1, 201):
        forward.add(completion(row), [])
        backward.add(completion(201 - row), [])
    assert {c.row for c, _ in forward.items()} == {c.row for c, _ in backward.items()}
    assert [c.row for c, _ in forward.items()] == sorted(c.row for c, _ in forward.items())
    assert {c.row for c, _ in forward.items(4)} < {c.row for c, _ in forward.items()}


def test_a_sample_keeps_only_a_part_of_a_huge_completion_around_its_first_hit():
    text = "a" * 200_000 + "HIT" + "b" * 200_000
    sample = Sample(1)
    sample.add(completion(1, text), [Hit("hint", 200_000, 200_003, "HIT"), Hit("hint", 399_000, 399_001, "b")])
    ((kept, hits),) = sample.items()
    assert len(kept.text) == LONGEST_KEPT
    assert [kept.text[hit.start : hit.end] for hit in hits] == ["HIT"]


def test_excerpts_put_specific_rules_and_nearby_answers_first():
    excerpts = Excerpts({"told_answer": 1, "answer_key": 3})
    weak, strong = Hit("told_answer", 0, 3, "abc"), Hit("answer_key", 0, 3, "abc")
    for row in range(1, 6):
        excerpts.add(completion(row, "abc def"), [weak])
    excerpts.add(completion(6, "abc is 42", "42"), [weak])
    excerpts.add(completion(7, "abc def"), [strong])
    assert [item["row"] for item in excerpts.items()] == [6, 7, 1, 2]


def test_one_completion_gives_one_excerpt_per_rule():
    excerpts = Excerpts({"hint": 2})
    excerpts.add(completion(1, "abc abc abc 42", "42"), [Hit("hint", 4 * i, 4 * i + 3, "abc") for i in range(3)])
    assert [item["start"] for item in excerpts.items()] == [0]


def test_the_chart_names_its_axes_and_stays_inside_its_frame():
    rows = [{"step": s, "rate": r, "low": r / 2, "high": min(1.0, 2 * r)} for s, r in ((1, 0.1), (5, 0.9), (9, 1.0))]
    chart = rate_chart(rows)
    assert ">training step<" in chart
    assert ">completions with a mention, %<" in chart
    assert ">100<" in chart
    assert "nan" not in chart


def test_completions_without_a_step_stand_last_and_in_no_trend(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = [{"completion": LEAK, "step": None}, {"completion": CLEAN, "step": 2}, {"completion": CLEAN, "step": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    assert [row["step"] for row in report["by_step"]] == [1, 2, None]
    assert report["trend"] is None


def test_memory_does_not_grow_with_the_number_of_completions(tmp_path):
    text = ("We have a number of steps here. " * 15 + "The reference solution says 7. ") * 2

    def peak(count: int) -> int:
        source = Source("made", "made", 1, tmp_path, lambda: (completion(row, text) for row in range(1, count + 1)))
        tracemalloc.start()
        audit(source, tmp_path / f"{count}", Options(shown=20))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    small, large = peak(1_100), peak(3_300)  # from one full row group of hits on
    assert large < 1.3 * small


def test_an_arm_without_rollouts_is_audited_on_its_probes(run):
    rollouts = RunDir(run)
    expected = audit_run(run)["hits"]
    rollouts.completions_dir.rename(rollouts.credit_dir)
    assert audit_run(run)["hits"] == expected > 0
