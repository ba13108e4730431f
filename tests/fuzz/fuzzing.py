"""What the fuzz tests share: the budget, the count of cases, damaged bytes, what a reader may raise."""

import os
from collections import Counter

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rlsd_cli.errors import UserError

# Cases in all; `make fuzz` sets more, and draws others each time.
CASES = int(os.environ.get("RLSD_FUZZ_CASES", "0"))
DEFAULT_CASES = 2_000
LONGEST = 2_000  # characters of a message

seen: Counter[str] = Counter()
refused: Counter[str] = Counter()


def fuzz(reader, share, strategy, check):
    """Call ``check`` with values of ``strategy``, for a share of the budget, and count the cases as the reader's."""

    def counted(value):
        seen[reader] += 1
        try:
            check(value)
        except UserError as error:  # the one exception that is an answer
            message = str(error).strip()
        else:
            return
        refused[reader] += 1
        assert 0 < len(message) < LONGEST

    limits = settings(
        max_examples=max(5, round((CASES or DEFAULT_CASES) * share)),
        deadline=None,
        database=None,
        derandomize=not CASES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # shrinking a case of a slow reader takes minutes
    )
    limits(given(strategy)(counted))()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([10**30, -1, 0, 1e300, float("nan"), float("inf"), "", "x", "../..", "/etc", "\x1b[2J", "\x00"]),
    st.floats(),
    st.text(max_size=8),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
SNIPPETS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b"\n",
    b"\n\n",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"null",
    b"\t",
    b"- ",
]
SNIPPETS += [b": : ", b"<<: *a", b"? ", b"&a [*a]", b"!!python/x", b"2026-02-30", b"1e999", b"9" * 5000, b"[" * 3000]
snippets = st.binary(max_size=6) | st.sampled_from(SNIPPETS)


@st.composite
def damaged(draw, whole):
    """Draw ``whole`` (bytes) with a few places overwritten, cut out, doubled or filled in."""
    data = draw(whole) if isinstance(whole, st.SearchStrategy) else whole
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 8, 10**9])))
        again = data[start:stop] if draw(st.booleans()) else b""
        data = data[:start] + draw(snippets) + again + data[stop:]
    return data


@st.composite
def altered(draw, whole):
    """Draw a mapping with the keys of ``whole``, of which a few hold something else, are gone or are misspelt."""
    if not isinstance(whole, dict) or draw(st.integers(0, 20)) == 0:
        return draw(trees)
    result = dict(whole)
    for key in draw(st.lists(st.sampled_from(sorted(whole)), max_size=3)) if whole else []:
        change = draw(st.sampled_from(["within", "within", "replace", "remove", "misspell"]))
        value = result.pop(key, None)
        if change == "within" and isinstance(value, dict):
            result[key] = draw(altered(value))
        elif change == "misspell":
            result[key + draw(st.text(max_size=2))] = value
        elif change != "remove":
            result[key] = draw(trees)
    return result


def as_yaml(value):
    """Return a value as YAML, in bytes; what YAML can't hold becomes text."""
    try:
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "replace")
    except (yaml.YAMLError, ValueError):
        return repr(value).encode("utf-8", "replace")
