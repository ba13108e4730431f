"""The child process of the math verifier: deadline, threads, recovery."""

import threading
import time

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.verifiers import math as math_verifier
from rlsd_cli.verifiers.math import MathChild, verify_math


@pytest.fixture
def child():
    child = MathChild(deadline=2.0)
    yield child
    child.close()


def test_power_tower_is_given_up_at_the_deadline_and_the_next_question_is_answered(child):
    child.start()
    start = time.monotonic()
    assert not child.equal("9^{9^{9^{9}}}", "3")
    assert time.monotonic() - start < 8.0
    assert child.equal("2/4", "1/2")


def test_verdict_is_the_same_in_a_thread(child):
    found = []
    thread = threading.Thread(target=lambda: found.append(verify_math(r"\boxed{\frac{2}{4}}", "0.5", child)))
    thread.start()
    thread.join()
    assert found[0].correct


def test_threads_take_turns_and_none_gets_the_verdict_of_another(child):
    found = {}

    def ask(number):
        found[number] = child.equal(f"{number}/2", f"{number // 2}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number % 2 == 0 for number in range(12)}


def test_child_that_died_is_started_again(child):
    child.start().kill()
    child.process.wait()
    assert child.equal("0.25", "1/4")


def test_equal_strings_need_no_child():
    class Forbidden(MathChild):
        def equal(self, answer, gold):
            raise AssertionError

    assert verify_math("<answer>Yes.</answer>", "yes", Forbidden()).correct


def test_missing_math_verify_is_told_in_a_sentence(monkeypatch, tmp_path):
    broken = tmp_path / "worker.py"
    broken.write_text("import a_module_that_does_not_exist")
    monkeypatch.setattr(math_verifier, "WORKER", broken)
    with pytest.raises(UserError, match="pip install 'math-verify"):
        MathChild().start()
