"""`rlsd probe`: models that copy their reference or ignore it, arms that are GRPO or are not."""

import json
from dataclasses import replace

import pytest
import tiny_qwen3_vl
import yaml
from trainers import reward_even_length
from typer.testing import CliRunner

from rlsd_cli.arms import load_arm
from rlsd_cli.cli import app
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.gates.base import Gate, Measured
from rlsd_cli.gates.behaviour import Reader, read_references
from rlsd_cli.gates.kinds import KINDS, kinds_of
from rlsd_cli.gates.probe import Probed
from rlsd_cli.gates.updates import BatchUpdates, compare_updates
from rlsd_cli.gates.verdicts import all_gates, claims_for, sentences
from rlsd_cli.report.claims import known_papers
from rlsd_cli.report.gates import GatesFile
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.testbed.network import build_tokenizer

TASK = ArithmeticTask(2)
EXAMPLES = [TASK.train_example(0, index) for index in range(40)]


def copier(prompts):
    """Says whatever answer its reference ends in, and cites; closed-book it says 3."""
    texts = []
    for prompt in prompts:
        given = prompt.partition("question")[0]
        answer = given.rpartition("answer ")[2].strip() if "answer" in given else ""
        texts.append(f"the reference says answer {answer}" if answer else "so answer 3")
    return texts


def ignorer(prompts):
    """Says 3 whatever it is told."""
    return ["so answer 3"] * len(prompts)


def mute(prompts):
    """Never answers."""
    return ["so so so"] * len(prompts)


def behaviour(monkeypatch, model, examples=EXAMPLES, **more):
    monkeypatch.setattr(Reader, "complete", lambda self, prompts: model(prompts))
    return read_references(None, build_tokenizer(), TASK, examples, **more)


def share(row, what):
    return getattr(row, what) / row.n


def test_a_model_that_copies_its_reference_is_found_out(monkeypatch):
    rows = behaviour(monkeypatch, copier).rows
    assert [share(rows[name], "followed") for name in rows if name != "closed"] == [1.0] * 5
    assert share(rows["answer"], "right") == share(rows["solution"], "right") == 1.0
    assert share(rows["wrong_answer"], "right") == 0.0
    assert share(rows["other_question"], "right") == 0.0  # of another answer, by choice
    assert share(rows["answer"], "citing") == 1.0
    assert share(rows["closed"], "citing") == 0.0


def test_a_model_that_ignores_its_reference_is_found_out(monkeypatch):
    found = behaviour(monkeypatch, ignorer)
    three = sum(example.answer == "3" for example in EXAMPLES) / len(EXAMPLES)
    assert share(found.rows["answer"], "right") == share(found.rows["closed"], "right") == three
    gain = found.gain("answer")
    assert (gain.mean, gain.low, gain.high) == (0.0, 0.0, 0.0)
    # Its own wrong answer is 3 everywhere, and it says 3: it "follows" its own belief, but no other question's answer.
    assert share(found.rows["other_question"], "followed") < 0.5


def test_a_model_that_never_answers_is_told_decoys(monkeypatch):
    found = behaviour(monkeypatch, mute)
    assert found.own == 0
    assert found.rows["wrong_answer"].n == len(EXAMPLES)
    assert found.rows["wrong_answer"].right == found.rows["wrong_answer"].followed == 0


def test_a_task_without_a_reference_has_the_closed_book_only(monkeypatch):
    bare = [replace(each, answer="", solution="", other_route="") for each in EXAMPLES[:4]]
    assert set(behaviour(monkeypatch, mute, bare).rows) == {"closed"}
    unsolved = [replace(each, solution="") for each in EXAMPLES]
    assert set(behaviour(monkeypatch, copier, unsolved).rows) == {"closed", "answer", "wrong_answer", "other_question"}


def test_several_samples_of_a_question_count_as_one_question(monkeypatch):
    once, thrice = (behaviour(monkeypatch, copier, samples=samples).gain("answer") for samples in (1, 3))
    assert once == thrice


class Pieces:
    """A tokenizer whose tokens are its texts."""

    def __init__(self, *texts, gap=""):
        self.texts, self.gap = texts, gap

    def decode(self, tokens, skip_special_tokens):
        return self.gap.join(self.texts[token] for token in tokens if self.texts[token])


@pytest.mark.parametrize(
    ("pieces", "gap", "kinds"),
    [
        (
            ("so", "7", "+", "9", "=", "5", ";", "answer", "5", ""),
            " ",
            "word number operator number operator result punctuation word result end",
        ),
        (("The", " answer", " is", " 1", "2", ".", "\n"), "", "word word word result result punctuation punctuation"),
        ((" \\boxed{", "42", "}", " of", " 3", " cats"), "", "word result punctuation word number word"),
        (("the", "reference", "says", "so", "7"), " ", "citation citation citation word number"),
        (("As", " the", " reference", " solution", " says", ",", " x"), "", None),
    ],
)
def test_kinds_of_tokens_by_hand(pieces, gap, kinds):
    found = kinds_of(Pieces(*pieces, gap=gap), range(len(pieces)), "question ?")
    assert set(found) <= set(KINDS)
    if kinds is None:
        assert "citation" in found
        assert found[-1] == "word"
    else:
        assert found == kinds.split()


def updates(tiny_trainer, method="rlsd", options=None, **more):
    teacher = {"source": "online", "reference": "solution"}
    layer = {"objective": {"mix": 1.0, "mix_decay_steps": 0} | (options or {}), "teacher": teacher}
    trainer = tiny_trainer(method, layer if method == "rlsd" else {"teacher": teacher}, more)
    reward_even_length(trainer)
    return compare_updates(trainer, next(iter(trainer.get_train_dataloader())))


def test_an_arm_that_is_grpo_has_grpos_update(tiny_trainer):
    found = updates(tiny_trainer, options={"mix": 0.0})
    assert found.cosine["arm"] == pytest.approx(1.0, abs=1e-9)
    assert found.ratio["arm"] == pytest.approx(1.0, abs=1e-6)
    assert found.shares["arm"] == pytest.approx(found.shares["grpo"])
    assert found.increment == {"wrong": None, "other": None}  # nothing is added, so it has no direction


def test_an_arm_with_wide_weights_has_another_and_so_have_its_placebos(tiny_trainer):
    found = updates(tiny_trainer, options={"epsilon_w": 0.9})
    assert found.cosine["arm"] < 0.9999
    assert found.cosine["wrong"] != found.cosine["arm"]
    assert found.increment["wrong"] is not None
    assert found.increment["wrong"] < 1.0
    for shares in (found.tokens, *found.shares.values()):
        assert sum(shares.values()) == pytest.approx(1.0)


def test_a_doubled_weight_doubles_the_norm(tiny_trainer, monkeypatch):
    from rlsd_cli import objectives

    monkeypatch.setattr(
        objectives, "rlsd_advantage", lambda advantage, delta, *_, **__: 2 * advantage[:, None].expand_as(delta)
    )
    found = updates(tiny_trainer)
    assert found.cosine["arm"] == pytest.approx(1.0, abs=1e-9)
    assert found.ratio["arm"] == pytest.approx(2.0, rel=1e-5)


def test_micro_batches_change_nothing(tiny_trainer):
    whole = updates(tiny_trainer)
    parts = updates(tiny_trainer, train={"micro_batch": 2})
    assert parts.cosine["arm"] == pytest.approx(whole.cosine["arm"], abs=1e-5)
    assert parts.shares["arm"] == pytest.approx(whole.shares["arm"], abs=1e-4)


def test_without_an_advantage_there_is_no_direction_and_no_zero(tiny_trainer):
    trainer = tiny_trainer("rlsd", {"teacher": {"source": "online"}})  # a random model answers nothing right
    found = compare_updates(trainer, next(iter(trainer.get_train_dataloader())))
    assert found.cosine["arm"] is None
    assert found.ratio["arm"] is None
    assert found.shares["grpo"] is None


@pytest.mark.parametrize("method", ["opsd", "sdpo", "grpo_opsd", "sdar"])
def test_arms_with_other_losses_are_compared_too(tiny_trainer, method):
    found = updates(tiny_trainer, method)
    assert found.cosine["arm"] is not None
    assert abs(found.cosine["arm"]) < 1


def probed(monkeypatch, model, *, increment=0.2, cosine=0.9, why=None):
    batch = BatchUpdates({}, {}, {"arm": cosine}, {"arm": 1.0}, {"wrong": increment})
    return Probed(Measured(behaviour(monkeypatch, model)), [batch], "answer", why or {})


def told(found, arm="rlsd"):
    arm = load_arm(arm)
    claims = claims_for(arm)
    return {each.claim: each for each in sentences(all_gates(found, arm, claims), claims)}


def test_the_sentences_name_the_gate_and_its_number(monkeypatch):
    ignoring = told(probed(monkeypatch, ignorer))["opsd_leaks"]
    assert ignoring.testable is False
    assert ignoring.text == (
        "OPSD comes to leak: not testable here, because mentions its reference, r = answer is 0.000, asked ≥ 0.02."
    )
    copying = told(probed(monkeypatch, copier))["opsd_leaks"]
    assert copying.text == "OPSD comes to leak: testable here."


def test_an_update_that_is_grpos_forbids_the_claims_about_the_arm_alone(monkeypatch):
    alike = told(probed(monkeypatch, copier, cosine=0.9998))
    assert alike["rlsd_keeps_entropy"].testable is False
    assert "0.999" in alike["rlsd_keeps_entropy"].because
    assert alike["opsd_falls"].testable
    assert told(probed(monkeypatch, copier))["rlsd_keeps_entropy"].testable


def test_other_papers_claims_pass_the_same_gates(monkeypatch):
    arm = load_arm("rlsd")
    claims = claims_for(arm, known_papers())
    assert {claim.key for claim in claims_for(arm)} < {claim.key for claim in claims}
    found = probed(monkeypatch, mute)
    silent = {each.claim: each for each in sentences(all_gates(found, arm, claims), claims)}
    for claim in claims:
        if claim.measure.__name__ == "ends_above":
            assert silent[claim.key].testable is False, claim.key


def test_evidence_that_placebos_give_too_is_not_the_references(monkeypatch):
    same = told(probed(monkeypatch, copier, increment=0.9995))["blame_at_the_error"]
    assert same.testable is False
    assert "1.000, asked ≤ 0.95" in same.because
    assert told(probed(monkeypatch, copier))["blame_at_the_error"].testable


def test_what_was_not_measured_forbids_nothing_and_is_not_called_testable(monkeypatch):
    unknown = told(probed(monkeypatch, copier))["kl_stagnates"]
    assert unknown.testable is None
    assert "not measured (the task has one reference of each kind" in unknown.text
    gate = Gate("x", 0.5, None, "y", why="of z")
    assert not gate.met
    assert gate.shown == "not measured: of z"


def run(*arguments):
    return CliRunner().invoke(app, ["probe", *map(str, arguments)])


def quick(tiny_model, tmp_path, *more):
    out = tmp_path / "probe.json"
    options = ("--set", f"model.path={tiny_model}", "--set", "train.group_size=2", "--set", "train.threads=1")
    return run(*options, "--questions", 4, "--prompts", 2, "--output", out, *more), out


def test_the_command_writes_what_it_prints(tiny_model, tmp_path):
    result, out = quick(tiny_model, tmp_path, "--seeds", 2, "--gates", tmp_path / "gates")
    assert result.exit_code == 0, result.exception
    stored = json.loads(out.read_text())
    assert len(stored["updates"]) == 2
    for each in stored["claims"]:
        assert each["sentence"] in result.stdout
    assert {each["claim"] for each in stored["claims"]} == {claim.key for claim in claims_for(load_arm("rlsd"))}
    # A random model never answers right: RL can't be judged there, and says so.
    sentence = next(each for each in stored["claims"] if each["claim"] == "rlsd_above")
    assert sentence["testable"] is False
    assert "right closed-book is 0.000, asked ≥ 0.02" in sentence["sentence"]
    (file,) = (tmp_path / "gates").iterdir()
    assert GatesFile.model_validate(json.loads(file.read_text())).gates


def test_json_alone_is_json(tiny_model, tmp_path):
    result, _ = quick(tiny_model, tmp_path, "--json", "--quiet")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["method"] == "rlsd"


@pytest.mark.parametrize(
    ("method", "reason"), [("sft", "samples no rollouts"), ("grpo", "what the others are compared")]
)
def test_an_arm_without_an_update_to_compare_says_why(tiny_model, tmp_path, method, reason):
    result, out = quick(tiny_model, tmp_path, "--method", method)
    assert result.exit_code == 0, result.exception
    assert reason in result.stdout
    assert json.loads(out.read_text())["updates"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "opd", "--set", "teacher.model=null"], "needs a teacher"),
        (["--method", "rlds"], "no method"),
        (["--preset", "nano"], "no preset"),
        (["--claims", "1234.56789"], "no claims of a paper '1234.56789'"),
        (["--set", "model.path=/nowhere"], "nowhere"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, message):
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.exception
    assert message in str(result.exception)


def test_a_vision_model_is_probed_with_its_pictures(tmp_path, tiny_config):
    data = {"path": str(tiny_qwen3_vl.write_questions(tmp_path / "shapes", 12)), "columns": {"images": "images"}}
    config = tiny_config(
        "rlsd",
        {
            "model": {"path": str(tiny_qwen3_vl.write_model(tmp_path / "model"))},
            "task": {"name": "dataset", "data": data | {"held_out": 2, "max_completion_tokens": 8}},
            "train": {"max_completion_tokens": None},
        },
    )
    (tmp_path / "run.yaml").write_text(dump(config))
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["method"] == "rlsd"
    result = run("--config", tmp_path / "run.yaml", "--questions", 3, "--prompts", 2, "--json", "--quiet")
    assert result.exit_code == 0, result.exception
    found = json.loads(result.stdout)
    assert found["own_wrong_references"] == 0
    assert found["behaviour"]["wrong_answer"]["n"] == 3
    assert found["floor"] is None
