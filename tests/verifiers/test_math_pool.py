"""The pool that compares expressions: deadlines, batches, threads, recovery, memory."""

import threading

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.verifiers import pool as pool_module
from rlsd_cli.verifiers.load import judge_all
from rlsd_cli.verifiers.math import verify_math
from rlsd_cli.verifiers.pool import Child, MathPool

TOWER = "9^{9^{9^{9}}}"


class CountingPool(MathPool):
    """A pool that notes what its children are asked."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.asked = []

    def round(self, pairs, seconds):
        self.asked.append(list(pairs))
        return super().round(pairs, seconds)


@pytest.fixture
def pool():
    pool = CountingPool(workers=1, first=0.5, second=0.5, batch=20.0)
    yield pool
    pool.close()


def test_power_tower_is_given_up_and_the_next_pair_is_compared(pool):
    pool.compare(("x", "y"))  # the child is up
    assert pool.compare((TOWER, "3+x")) == "late"
    assert pool.compare(("2x/4", "x/2")) == "equal"


def test_each_pair_of_a_batch_is_compared_once_however_many_completions_give_it(pool):
    rows = [(rf"\boxed{{{TOWER}}}", "x+1")] * 8 + [(r"\boxed{1+x}", "x+1")] * 8
    verdicts = judge_all(lambda text, gold: verify_math(text, gold, pool), rows, pool)
    assert [verdict.correct for verdict in verdicts] == [False] * 8 + [True] * 8
    assert sorted(pool.asked[0]) == sorted({(TOWER, "x+1"), ("1+x", "x+1")})
    judge_all(lambda text, gold: verify_math(text, gold, pool), rows, pool)
    assert pool.asked[1:] == [[(TOWER, "x+1")]]  # the second try; the second batch asked nothing


def test_hanging_pairs_of_a_batch_take_no_more_than_its_budget_and_leave_the_others_their_verdicts():
    pool = CountingPool(workers=2, first=0.5, second=0.5, batch=1.0)
    hanging = [(f"9^{{9^{{9^{{9}}}}}} + {n}", "x") for n in range(6)]
    fine = [(f"x + {n}", f"{n} + x") for n in range(5)]
    pool.compare_all([*fine, *hanging])
    assert pool.asked == [[*fine, *hanging], hanging[:2]]  # so many second tries as the budget has
    assert [pool.compare(pair) for pair in fine] == ["equal"] * 5
    assert "equal" not in {pool.compare(pair) for pair in hanging}
    pool.close()


def test_verdict_is_the_same_in_a_thread_and_none_gets_the_verdict_of_another(pool):
    found = {}

    def ask(number):
        found[number] = pool.compare((f"{number}x/2", f"{number // 2}x"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: "equal" if number % 2 == 0 else "different" for number in range(12)}


def test_child_that_died_is_started_again(pool):
    assert pool.compare(("x", "y")) == "different"
    pool.children[0].process.kill()
    pool.children[0].process.wait()
    assert pool.compare(("0.25x", "x/4")) == "equal"


def test_numbers_and_equal_texts_need_no_child():
    class Forbidden(MathPool):
        def compare(self, pair):
            raise AssertionError

    for text, gold in (("<answer>Yes.</answer>", "yes"), (r"\boxed{1 1/4}", "1.25"), (r"\boxed{5\text{ cm}}", "5 cm")):
        assert verify_math(text, gold, Forbidden()).correct


def test_missing_math_verify_is_told_in_a_sentence(monkeypatch, tmp_path):
    broken = tmp_path / "worker.py"
    broken.write_text("import a_module_that_does_not_exist")
    monkeypatch.setattr(pool_module, "WORKER", broken)
    with pytest.raises(UserError, match="pip install 'math-verify"):
        Child().start()
    with pytest.raises(UserError, match="pip install 'math-verify"):
        MathPool().compare(("x", "y"))
