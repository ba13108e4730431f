"""What the phrase rules find and spare: vocabulary by frames, disguises, hedges, excuses, languages, a user's own."""

import itertools
import json

import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.detect import examine, leaks, switched_off
from rlsd_cli.leakage.inputs import Columns, completions_source
from rlsd_cli.leakage.language import language_of
from rlsd_cli.leakage.rules import load_rules, own_rules, with_packs
from rlsd_cli.leakage.template import template_nouns, template_pack

FRAMES = (
    "According to the {}, x is 7.",
    "This matches the {}.",
    "The {} says 7.",
    "Looking at the {}, I see 7.",
    "I compare this with the {}.",
    "As in the {}, we factor first.",
    "The {} I was given has 7.",
    "The {} shown to me ends with 7.",
    "Let me check against the {}.",
    "That contradicts the {}, though.",
)
QUALIFIERS = [
    "reference",
    "ref.",
    "ground-truth",
    "gold",
    "official",
    "model",
    "sample",
    "expert",
    "teacher's",
    "instructor's",
    "author's",
    "textbook",
    "canonical",
    "standard",
    "verified",
    "accepted",
    "true",
    "correct",
    "expected",
    "target",
    "worked",
    "ideal",
    "trusted",
    "hidden",
    "attached",
    "provided",
    "desired",
    "oracle",
]
ARTEFACTS = [
    "answer key",
    "solution manual",
    "marking scheme",
    "rubric",
    "grading guide",
    "editorial",
    "demonstration",
    "walkthrough",
    "exemplar",
    "hint",
    "feedback",
    "ground truth",
    "reference short solution",
    "ground-truth label",
    "expected output",
    "reference trace",
    "solution file",
    "teacher's edition",
    "successful attempt",
    "annotation",
]


@pytest.mark.parametrize("qualifier", QUALIFIERS)
def test_each_qualifier_is_found_with_solution_and_answer_in_most_frames(qualifier):
    made = [frame.format(f"{qualifier} {noun}") for noun, frame in itertools.product(("solution", "answer"), FRAMES)]
    assert sum(map(leaks, made)) >= 0.9 * len(made), [text for text in made if not leaks(text)]


@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_each_artefact_is_found_in_most_frames(artefact):
    made = [frame.format(artefact) for frame in FRAMES]
    assert sum(map(leaks, made)) >= 0.9 * len(made), [text for text in made if not leaks(text)]


@pytest.mark.parametrize(
    "text",
    [
        "The **ref**erence solution says 7.",
        "The refe**rence** solution says 7.",
        "The <b>reference</b> solution says 7.",
        "The <b>ref</b>erence solution says 7.",
        "The refer-\nence solution says 7.",
        "The ref\u00aderence solu\u200dtion says 7.",
        "The refe\u200brence solution says 7.",
        "The ｒｅｆｅｒｅｎｃｅ solution says 7.",
        "The 𝐫𝐞𝐟𝐞𝐫𝐞𝐧𝐜𝐞 solution says 7.",
        "The rеfеrеnсе solution says 7.",  # Cyrillic е and с
        "The referenceSolution says 7.",
        "The reference_solution says 7.",
        "The reference\u2003solution says 7.",
        "The \u202ereference\u202c solution says 7.",
        "The GT answer is 7 as well.",
    ],
)
def test_disguises_inside_words_do_not_hide_a_mention(text):
    (found,) = [f for f in examine(text) if not f.dismissed][:1]
    assert text[found.hit.start : found.hit.end] == found.hit.text


@pytest.mark.parametrize(
    "text",
    [
        "Maybe the intended answer is 12.",
        "I suspect the expected answer is just a formula.",
        "Perhaps the answer is supposed to be 3/4.",
        "The official solution would presumably use induction.",
        "If there is an answer key, it most likely has 8.",
        "The textbook answer might be 5.",
        "I could imagine that the reference solution has 34.",
        "Whoever set this probably has the sample answer 5 in mind.",
    ],
)
def test_speculation_about_an_answer_is_no_mention(text):
    assert not leaks(text)


@pytest.mark.parametrize(
    "text",
    [
        "Perhaps I made a slip, because the reference solution says 5.",
        "The provided answer might be wrong here.",
        "I guess I should redo this, but the answer key says 5.",
    ],
)
def test_a_hedge_about_something_else_spares_nothing(text):
    assert leaks(text)


@pytest.mark.parametrize(
    "text",
    [
        "Press the answer key on the piano.",
        "In this frame of reference the train rests.",
        "Compare the output with a reference implementation.",
        "Rinse the electrode with the reference solution of potassium chloride.",
        "The correct answer is 7.",
        "The correct solution is x = 5.",
        "So the standard solution y = cosh x has two terms.",
        "Draft a rubric first. The rubric says what counts.",
        "Don't miss the lightning demonstration. The demonstration shows what happens.",
        "The legend is a map key. According to the key, green means forest.",
        "Use a reference parameter. The reference says which object is bound.",
        "Check your solution by plugging it in.",
        "My previous solution had a slip; the corrected solution is 4.",
        "The expected value of the die is 3.5, as stated.",
        "Of the answers provided, only B fits.",
        "People tend to choose the expected answer, which is a bias.",
    ],
)
def test_ordinary_uses_in_other_trades_are_no_mention(text):
    assert not leaks(text)


MATHVISTA = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."


def test_a_prompts_format_hint_excuses_talk_of_the_format_and_nothing_else():
    assert not leaks("According to the hint, I should provide the option letter at the end.", MATHVISTA)
    assert leaks("According to the hint, the second angle is the one to start with.", MATHVISTA)
    assert switched_off(MATHVISTA) == []
    assert "hint" in switched_off("Hint: use the law of cosines. Find x.")


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Q: 2+4? A: The answer is 6.\nQ: 5+4? A:", "We know the answer is 9 from the context."),
        ("A teacher has 24 pencils. How many are left?", "The hint says to subtract."),
        ("60 % of her attempts were goals.", "The successful attempt shown to me subtracts."),
        ("Demonstrate that 7 is prime.", "The demonstration starts with 2."),
        ("Take the ground as the reference frame.", "According to the reference, v is 7."),
        ("Find the general solution. Give your answer as a box.", "This matches the given answer."),
        ("A 20 % solution was mixed; the result is 26 litres.", "I was told that the answer is 12."),
    ],
)
def test_a_word_in_the_prompt_does_not_switch_off_a_rule(prompt, text):
    assert leaks(text, prompt)


def test_the_same_value_in_the_prompt_excuses_that_one_was_told_it():
    assert not leaks("We are told that the answer is 42.", "Show that the answer is 42.")
    assert leaks("We are told that the answer is 43.", "Show that the answer is 42.")


def test_a_report_counts_in_how_many_prompts_each_rule_was_off(tmp_path):
    rows = [{"completion": "The hint says 7.", "prompt": prompt} for prompt in ("Hint: add. 3+4?", MATHVISTA, "3+4?")]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    off = {row["rule"]: row["off"] for row in report["by_rule"]}
    assert off["hint"] == 1
    assert off["answer_key"] == 0
    assert report["hits"] == 2


@pytest.mark.parametrize(
    ("around", "leak", "clean"),
    [
        ("我们先计算这个问题的答案。", "对照参考答案,结果是7。", "没有参考答案可以对照。"),
        (
            "Es la suma de los datos.",
            "Según la solución de referencia, x es 7.",
            "No tengo una solución de referencia.",
        ),
        ("Das ist die Summe.", "Die Musterlösung nennt 7.", "Eine Musterlösung liegt mir nicht vor."),
        ("Le calcul est une somme.", "D'après le corrigé, x vaut 7.", "Je n'ai pas de corrigé."),
    ],
)
def test_each_language_has_rules_and_negations(around, leak, clean):
    assert leaks(f"{around} {leak}")
    assert not leaks(f"{around} {clean}")


def test_a_text_in_a_language_without_rules_is_warned_about(tmp_path):
    text = "Portanto não são mais do que os números que você também vê, e isso é uma soma. A resposta é 7."
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"completion": text}) + "\n")
    report = audit(completions_source(path, Columns()), tmp_path / "out")
    assert report["languages"] == {"counts": {"pt": 1}, "without_rules": 1.0}
    result = CliRunner().invoke(app, ["leakage-audit", "--completions", str(path)])
    assert "WARNING: 100 % of the completions are in a language without rules" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("So the answer is that we have to add them.", "en"),
        ("所以答案是七,我们先算这个。", "zh"),
        ("これは答えです。", "ja"),
        ("Ответ равен семи, потому что это сумма.", "ru"),
        ("$x = 4$", "none"),
        ("7 + 9 = 5 ; answer 5", "none"),
    ],
)
def test_a_language_is_named_by_its_script_or_its_frequent_words(text, language):
    assert language_of(text) == language


def test_a_value_that_has_to_come_out_stands_apart_from_the_rate(tmp_path):
    row = {"completion": "The total has to come out at 66, so I count again.", "prompt": "How many are there?"}
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(row) + "\n")
    source = completions_source(path, Columns())
    report = audit(source, tmp_path / "out")
    assert report["hits"] == 0
    assert [(row["rule"], row["hits"]) for row in report["apart"]] == [("indirect_target", 1)]
    included = audit(source, tmp_path / "in", Options(include=("indirect_target",)))
    assert (included["hits"], included["apart"]) == (1, [])
    assert not [f for f in examine(row["completion"], "Make 66 with these.") if not f.dismissed]


def test_a_users_own_rules_stand_beside_the_built_in_ones(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules:\n  oracle_card:\n    about: our own cards\n    near:\n      - anchors: [oracle card]\n"
        "        before: ['<leans_on>', '<stands_in>']\n        after: ['<speaks>']\n"
        "        patterns: ['oracle cards?\\b']\n    explained: ['\\boracle cards?\\b']\n"
    )
    completions = tmp_path / "x.jsonl"
    rows = [
        {"completion": "According to the oracle card, x is 7."},
        {"completion": "The reference solution says 7."},
        {"completion": "There is no oracle card here."},
        {"completion": "According to the oracle card, x is 7.", "prompt": "Oracle card: 7"},
    ]
    completions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["leakage-audit", "--completions", str(completions), "--rules", str(rules), "--json"]
    report = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert {row["rule"]: row["hits"] for row in report["by_rule"] if row["hits"]} == {
        "oracle_card": 1,
        "reference_solution": 1,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no `rules`"),
        ("rules: [", "no YAML"),
        ("rules:\n  a:\n    near:\n      - anchors: [x]\n        patterns: ['(']\n", "no regular expression"),
        ("rules:\n  a:\n    about: b\n", "no file of rules"),
        ("rules:\n  hint:\n    near:\n      - anchors: [x]\n        patterns: [x]\n", "exists already"),
    ],
)
def test_a_wrong_file_of_rules_is_told_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        own_rules(path)


def test_the_nouns_of_a_teachers_template_become_a_rule():
    template = "Question: {question}\nThis is a blessed scroll for the problem, a holy trace:\n{reference}\nSolve it."
    nouns = template_nouns(template)
    assert "holy trace" in nouns
    rules = with_packs([template_pack(nouns)])
    assert not leaks("The holy trace multiplies by seven.")
    assert [f.hit.rule for f in examine("The holy trace multiplies by seven.", "", rules) if not f.dismissed] == [
        "own_template"
    ]
    assert len(load_rules().packs) == len(rules.packs) - 1
