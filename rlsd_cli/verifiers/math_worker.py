"""A child process of ``rlsd_cli.verifiers.pool``: pairs of LaTeX in, verdicts out, one JSON line each.

It is run by path and imports nothing of this package, so that it starts fast and anywhere. latex2sympy reads
(``math_verify`` brings it), numbers, sets, intervals and tuples are compared here, terms with variables and
equations by ``math_verify.verify``. Time is that of the processor: one alarm raises, and where it can't (a power
computed in C), a second one ends the process.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
from itertools import permutations
from typing import Any

MEMORY_BYTES = 4 * 2**30
GRACE_SECONDS = 1.0
CLOSE = 1.01e-6  # relative; 0.333333 is 1/3 to just 1e-6
DIGITS = 60  # of exact values that are no rational numbers
SAME_DIGITS = 1e-40
POINTS = (0.7312, -1.2193, 2.4177, -0.3391, 1.6180, 3.1622, -2.0901, 0.4823)  # where terms are evaluated
TINY = "1/100000000"
WARM = ((r"\frac{x}{2} + 1", r"\frac{x+2}{2}"), ("(-1, 1]", "-1 < x \\leq 1"), (r"\sqrt{8}", r"2\sqrt{2}"))
WORDS = re.compile(r"\\text\s*\{\s*(or|and)\s*\}")
OR = re.compile(r"\s+or\s+|\s*\\(?:lor|vee)\b\s*")
AND = re.compile(r"\s+and\s+|\s*\\(?:land|wedge)\b\s*")
COMPLEX = re.compile(r"(?<![a-zA-Z\\])i(?![a-zA-Z])|\\(?:imath|mathbb\s*\{C\}|Re|Im|det)\b")


def limit_memory() -> None:
    """Cap the address space, where the system can: an answer like 9^9^9 must not take the trainer's memory."""
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


class Comparer:
    """Compares what two LaTeX texts mean. Made once, because importing sympy takes its time."""

    def __init__(self) -> None:
        import sympy
        from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, latex2sympy
        from math_verify import verify

        self.sympy, self.latex2sympy, self.verify = sympy, latex2sympy, verify
        # Units are taken off before: this normalisation would take the variable of "2m" for metres.
        self.reading = NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
        )

    def term(self, text: str) -> Any:
        """Return one expression."""
        return self.latex2sympy(text, is_real=not COMPLEX.search(text), normalization_config=self.reading)

    def read(self, text: str) -> Any:
        """Return the expression, relation or set that a text means; 'or' and 'and' join sets of solutions."""
        text = WORDS.sub(r" \1 ", text)
        either = OR.split(text)
        if len(either) > 1:
            found = [self.read(part) for part in either]
            if any(self.is_region(each) for each in found):
                return self.sympy.Union(*map(self.as_set, found))
            return self.term(",".join(either))
        both = AND.split(text) if AND.search(text) else self.commas(text)
        if len(both) > 1 and all(re.search(r"[<>]|\\(?:leq?|geq?|lt|gt|neq?)\b", part) for part in both):
            return self.sympy.Intersection(*(self.as_set(self.term(part)) for part in both))
        return self.term(text)

    @staticmethod
    def commas(text: str) -> list[str]:
        """Return the parts between top-level commas."""
        parts, depth = [""], 0
        for letter in text:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += letter
        return parts

    def is_region(self, value: Any) -> bool:
        """Tell whether a value is a set or an inequality, and no equation."""
        sympy = self.sympy
        if isinstance(value, sympy.Eq):
            return False
        return isinstance(value, sympy.Set | sympy.And | sympy.Or | sympy.core.relational.Relational)

    def as_set(self, value: Any) -> Any:
        """Return a set of solutions: of an inequality, of ``x = 3``, of a set itself."""
        sympy = self.sympy
        if isinstance(value, sympy.Eq) and value.lhs.is_Symbol:
            return self.as_set(value.rhs)
        if isinstance(value, sympy.Set):
            parts = list(value.args) if isinstance(value, sympy.FiniteSet) else []
            if parts and all(isinstance(each, sympy.Eq) and each.lhs == parts[0].lhs for each in parts):
                return sympy.FiniteSet(*(each.rhs for each in parts))
            return value
        if isinstance(value, sympy.logic.boolalg.Boolean):
            symbols = {symbol: sympy.Symbol(symbol.name, real=True) for symbol in value.free_symbols}
            return value.subs(symbols).doit().as_set()
        return sympy.FiniteSet(value)

    def same(self, answer: Any, gold: Any) -> bool:
        """Return whether two values are one and the same."""
        sympy = self.sympy
        answer, gold = self.without_name(answer, gold), self.without_name(gold, answer)
        both = (answer, gold)
        kinds = [kind for kind in (sympy.MatrixBase, sympy.Set, sympy.Tuple) if any(isinstance(e, kind) for e in both)]
        if sympy.MatrixBase in kinds:
            matrices = all(isinstance(each, sympy.MatrixBase) for each in both) and answer.shape == gold.shape
            found = matrices and all(map(self.same, answer.flat(), gold.flat()))
        elif kinds == [sympy.Set]:
            found = self.same_set(self.as_set(answer), self.as_set(gold))
        elif kinds == [sympy.Tuple]:
            tuples = all(isinstance(each, sympy.Tuple) for each in both) and len(answer) == len(gold)
            found = tuples and all(map(self.same, answer, gold))
        elif kinds:
            found = self.same_pair(*(both if isinstance(answer, sympy.Set) else reversed(both)))
        elif not all(isinstance(each, sympy.Expr) for each in both):
            found = self.same_relation(answer, gold)
        elif answer.free_symbols or gold.free_symbols:
            found = self.same_term(answer, gold)
        else:
            found = self.same_number(answer, gold)
        return found

    def without_name(self, value: Any, other: Any) -> Any:
        """Return the right side of ``x = …`` where the other is no equation, or one of the same name."""
        sympy = self.sympy
        last = value
        while isinstance(last, sympy.And) and isinstance(value, sympy.And):  # a chain x = 3/4 = 0.75
            last = getattr(last, "_unsorted_args", last.args)[-1]
        first = value
        while isinstance(first, sympy.And):
            first = getattr(first, "_unsorted_args", first.args)[0]
        if not isinstance(last, sympy.Eq) or not isinstance(first, sympy.Eq):
            return value
        named = first.lhs.is_Symbol or isinstance(first.lhs, sympy.core.function.AppliedUndef)
        if not named:
            return value
        if not isinstance(other, sympy.Eq | sympy.And) or (isinstance(other, sympy.Eq) and other.lhs == first.lhs):
            return last.rhs
        return value

    def same_pair(self, found: Any, pair: Any) -> bool:
        """Compare a tuple with what may be one: ``(1, 2)`` is read as an interval, ``1, 2`` as a set."""
        sympy = self.sympy
        if isinstance(found, sympy.Interval) and found.left_open and found.right_open and len(pair) == 2:
            return self.same(found.start, pair[0]) and self.same(found.end, pair[1])
        parts = getattr(found, "_unsorted_args", None)
        if isinstance(found, sympy.FiniteSet) and parts and len(parts) == len(pair):
            named = all(isinstance(each, sympy.Eq) and each.lhs.is_Symbol for each in parts)
            parts = sorted(parts, key=lambda each: each.lhs.name) if named else parts
            values = [each.rhs if isinstance(each, sympy.Eq) else each for each in parts]
            return all(map(self.same, values, pair))
        return False

    def same_set(self, answer: Any, gold: Any) -> bool:
        """Compare sets of numbers or tuples: elements and ends by value, in any order."""
        sympy = self.sympy
        if isinstance(answer, sympy.Interval) and isinstance(gold, sympy.Interval):
            ends = answer.left_open == gold.left_open and answer.right_open == gold.right_open
            return ends and self.same(answer.start, gold.start) and self.same(answer.end, gold.end)
        for pair, listed in ((answer, gold), (gold, answer)):
            open_ = isinstance(pair, sympy.Interval) and pair.left_open and pair.right_open
            if open_ and isinstance(listed, sympy.FiniteSet) and len(listed) == 2:
                return self.same_pair(listed, sympy.Tuple(pair.start, pair.end))
        answer, gold = answer.doit(), gold.doit()
        if answer == gold:
            return True
        return self.same_elements(answer, gold)

    def same_elements(self, answer: Any, gold: Any) -> bool:
        """Compare sets that are not written alike: by what only one of them holds, or part by part."""
        sympy = self.sympy
        if type(answer) is not type(gold) and isinstance(answer, sympy.FiniteSet) == isinstance(gold, sympy.FiniteSet):
            try:
                return bool(answer.symmetric_difference(gold).is_empty)
            except (NotImplementedError, TypeError):
                return False
        mine, theirs = list(answer.args), list(gold.args)
        if len(mine) != len(theirs) or type(answer).__name__ != type(gold).__name__:
            return False
        if len(mine) <= 4:
            return any(all(map(self.same, order, theirs)) for order in permutations(mine))
        # Values that are close to one another are not told apart in so long a list.
        return all(any(self.same(one, each) for one in mine) for each in theirs)

    def same_number(self, answer: Any, gold: Any) -> bool:
        """Compare numbers: exact ones exactly, decimals by their relative distance, never by an absolute one."""
        sympy = self.sympy
        decimal = answer.has(sympy.Float) or gold.has(sympy.Float)
        answer, gold = answer.doit(), gold.doit()
        if answer == gold:
            return answer not in (sympy.nan, sympy.zoo)
        if answer.is_Rational and gold.is_Rational:
            return False
        left, right = answer.evalf(DIGITS), gold.evalf(DIGITS)
        if not (left.is_finite and right.is_finite):
            return False
        size = abs(right)
        distance = abs((left - right).evalf(DIGITS))
        if size == 0 or abs(left) == 0:
            return bool(distance == 0)
        return bool(distance <= size * (CLOSE if decimal else SAME_DIGITS))

    def same_term(self, answer: Any, gold: Any) -> bool:
        """Compare terms with variables: by algebra, and by their values at a few points."""
        if answer == gold:
            return True
        if answer.free_symbols == gold.free_symbols:
            near = self.agree(answer, gold)
            if near is not None:
                return near
        return bool(self.verify(gold, answer, timeout_seconds=None, numeric_precision=30))

    def agree(self, answer: Any, gold: Any) -> bool | None:
        """Return whether two terms have the same values at all points; None where they have none at any."""
        sympy = self.sympy
        close = CLOSE if answer.has(sympy.Float) or gold.has(sympy.Float) else 1e-25
        symbols = sorted(gold.free_symbols, key=str)
        compared = 0
        for shift in range(len(POINTS)):
            scale = (
                sympy.Rational(TINY) if shift >= len(POINTS) - 2 else sympy.Integer(1)
            )  # where a small constant is not small
            values = {
                symbol: (sympy.Rational(str(POINTS[(shift + 3 * index) % len(POINTS)])) + index) * scale
                for index, symbol in enumerate(symbols)
            }
            left, right = (term.subs(values).doit().evalf(40) for term in (answer, gold))
            if not (left.is_number and right.is_number and left.is_finite and right.is_finite):
                continue
            compared += 1
            if abs(left - right) > close * abs(right):
                # Where variables are whole numbers, as in (-1)^(2n), other points say nothing.
                return (
                    None if answer.has(sympy.factorial) or (answer.has(sympy.Pow) and self.in_exponent(gold)) else False
                )
        return True if compared >= 3 else None

    def in_exponent(self, term: Any) -> bool:
        """Tell whether a variable stands in an exponent."""
        return any(power.exp.free_symbols for power in term.atoms(self.sympy.Pow))

    def same_relation(self, answer: Any, gold: Any) -> bool:
        """Compare equations and inequalities: by their sets of solutions, or by math-verify, either way round."""
        if self.is_region(answer) and self.is_region(gold):
            symbols = answer.free_symbols | gold.free_symbols
            if len(symbols) == 1:
                return self.same_set(self.as_set(answer), self.as_set(gold))
        found = self.verify(gold, answer, timeout_seconds=None, numeric_precision=30)
        return bool(found or self.verify(answer, gold, timeout_seconds=None, numeric_precision=30))

    def why(self, answer: str, gold: str) -> str:
        """Return 'equal', 'different', or 'unread' where one of both is no mathematics."""
        try:
            values = self.read(answer), self.read(gold)
        except Exception:  # latex2sympy raises plain exceptions for what it can't read
            return "unread"
        return "equal" if self.same(*values) else "different"


class OutOfTime(BaseException):
    """The alarm; no exception of the ordinary kind, which the libraries catch."""


def out_of_time(*_: Any) -> None:
    """End a comparison that takes too long."""
    raise OutOfTime


def main() -> None:
    """Answer each line ``[answer, gold, seconds]`` with a word until the input ends."""
    limit_memory()
    comparer = Comparer()
    logging.disable(logging.CRITICAL)  # the libraries log every expression that they cannot read
    for pair in WARM:  # what the libraries load when they are first used is not a question's time
        comparer.why(*pair)
    alarms = hasattr(signal, "setitimer")
    if alarms:
        signal.signal(signal.SIGPROF, out_of_time)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        answer, gold, seconds = json.loads(line)
        try:
            if alarms:
                signal.setitimer(signal.ITIMER_VIRTUAL, seconds + GRACE_SECONDS)
                signal.setitimer(signal.ITIMER_PROF, seconds)
            word = comparer.why(answer, gold)
        except OutOfTime:
            word = "late"
        except (Exception, RecursionError):
            word = "different"
        finally:
            if alarms:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(json.dumps(word), flush=True)


if __name__ == "__main__":
    main()
