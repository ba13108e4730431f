"""Token credit: which rollouts are shown, and that nothing in a token can harm a terminal, a page or a picture."""

import io
import itertools
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from rich.console import Console
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.credit.colours import colour, hex_colour, ink, sign
from rlsd_cli.report.credit.data import (
    CURRENT,
    DELTA,
    EVIDENCE,
    FULL,
    PLACEBO,
    QUANTITIES,
    read_step,
    select,
    visible,
)
from rlsd_cli.report.credit.terminal import show
from rlsd_cli.report.credit.web import page
from rlsd_cli.report.figures.credit import LEFT, MOST_LINES, RIGHT, draw_pair, places_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import open_run
from rlsd_cli.report.style import styled
from rlsd_cli.runs.directory import write_parquet


@pytest.fixture
def run_path(tmp_path):
    return write_run(tmp_path / "run", "rlsd")


@pytest.fixture
def pair(run_path):
    return select(open_run(run_path))


def rewrite(path, change):
    """Apply a function to the last credit file's frame."""
    file = sorted((path / "credit").iterdir())[-1]
    write_parquet(file, change(pd.read_parquet(file)))


def test_the_first_prompt_with_both_kinds_of_rollout_at_the_last_step_is_shown(pair):
    assert (pair.step, pair.prompt_id) == (60, "probe-1")  # probe-0 has wrong rollouts only
    assert pair.correct.correct
    assert not pair.incorrect.correct
    assert pair.correct.advantage == 1.0


@pytest.mark.parametrize("prompt", ["3", "probe-3"])
def test_a_prompt_is_chosen_by_number_or_id(run_path, prompt):
    assert select(open_run(run_path), prompt=prompt).prompt_id == "probe-3"


def test_a_prompt_with_one_kind_only_is_shown_as_far_as_it_goes(run_path):
    pair = select(open_run(run_path), prompt="0")
    assert pair.correct is None
    assert len(pair.trajectories) == 1


def test_an_earlier_step_is_used_where_the_last_has_no_mixed_prompt(run_path):
    rewrite(run_path, lambda frame: frame.assign(correct=False))
    assert select(open_run(run_path)).step == 0


def test_a_step_or_prompt_that_is_not_there_is_refused_with_what_there_is(run_path):
    with pytest.raises(UserError, match="it has steps 0, 60"):
        select(open_run(run_path), step=7)
    with pytest.raises(UserError, match="from 0 to 3"):
        select(open_run(run_path), prompt="4")


def test_no_credit_at_all_and_no_mixed_prompt_are_missing(tmp_path, run_path):
    bare = write_run(tmp_path / "bare", "grpo", credit=False)
    with pytest.raises(Missing, match="no credit"):
        select(open_run(bare))
    rewrite(run_path, lambda frame: frame.assign(correct=False))
    with pytest.raises(Missing, match="at step 60"):
        select(open_run(run_path), step=60)


def test_damaged_credit_is_named(run_path):
    file = sorted((run_path / "credit").iterdir())[-1]
    rewrite(run_path, lambda frame: frame.assign(delta=[[0.0]] * len(frame)))
    with pytest.raises(UserError, match="unequal length"):
        read_step(file)
    file.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a readable credit file"):
        read_step(file)


def test_the_shown_rollout_is_the_one_of_middle_length(run_path):
    lengths = {0: 3, 2: 9}

    def grow(frame):
        for column in ("tokens", "delta", "weight", "token_advantage"):
            frame[column] = [
                list(value[: lengths.get(sample, 5)])
                for value, sample in zip(frame[column], frame["sample_id"], strict=True)
            ]
        return frame.assign(correct=frame["sample_id"] != 1)

    rewrite(run_path, grow)
    assert select(open_run(run_path), prompt="1").correct.sample_id == 3  # lengths 3, 5, 9


def test_both_trajectories_share_the_ends_of_the_scale(pair):
    for quantity in QUANTITIES:
        fractions = np.concatenate([pair.fractions(each, quantity) for each in pair.trajectories])
        assert np.abs(fractions).max() == 1.0
    delta = np.concatenate([each.delta for each in pair.trajectories])
    assert pair.scale(QUANTITIES[0]) == np.abs(delta).max()


def test_token_advantages_are_coloured_by_their_distance_from_plain_grpo(run_path):
    rewrite(
        run_path,
        lambda frame: frame.assign(
            advantage=frame["advantage"] * (1 + frame["correct"]),
            token_advantage=frame["token_advantage"] * (1 + frame["correct"]),
        ),
    )
    pair = select(open_run(run_path))
    assert pair.correct.advantage == 2.0
    expected = (pair.correct.weight - 1) / pair.scale(FULL)  # (Â − A)/|A| = w − 1 where A > 0
    np.testing.assert_allclose(pair.fractions(pair.correct, FULL), expected)
    assert pair.end(FULL, 0) == "A"
    assert pair.end(FULL, 1) == f"A+{pair.scale(FULL):.2g}|A|"


def test_the_credit_of_the_step_is_that_of_its_own_lambda(run_path):
    run = open_run(run_path)
    early, late = select(run, step=0), select(run)
    assert (early.mix, late.mix) == (pytest.approx(0.49), 0.0)  # λ falls from 0.5 to 0 over 50 steps
    # Â = A·[(1−λ) + λ·w]
    each = early.correct
    np.testing.assert_allclose(each.current, each.advantage * (0.51 + 0.49 * each.weight))
    assert (late.correct.current == late.correct.advantage).all()
    assert not late.fractions(late.correct, CURRENT).any()  # plain GRPO: one colour
    assert early.scale(CURRENT) == early.scale(FULL)
    assert "λ is 0 at this step" in late.legend


def test_the_evidence_is_shown_as_it_is_before_the_clip(pair):
    for each in pair.trajectories:
        np.testing.assert_allclose(np.clip(each.evidence, 0.8, 1.2), each.weight)
        np.testing.assert_allclose(each.shift(EVIDENCE), np.sign(each.advantage) * each.delta)


def test_a_placebos_gain_is_a_row_where_the_probe_records_it(run_path, pair):
    assert PLACEBO not in pair.quantities
    rewrite(run_path, lambda frame: frame.assign(delta_placebo=frame["delta"].map(lambda each: -np.asarray(each))))
    told = select(open_run(run_path))
    assert PLACEBO in told.quantities
    np.testing.assert_allclose(told.correct.placebo, -told.correct.delta)


def test_terminal_without_colour_carries_the_numbers(pair):
    out = io.StringIO()
    show(pair, Console(file=out, width=200))
    text = out.getvalue()
    assert "\x1b" not in text
    for quantity in QUANTITIES:
        for trajectory in pair.trajectories:
            first = f"{trajectory.tokens[0]}({trajectory.values(quantity)[0]:+.2f})"
            assert first in text


def test_terminal_with_colour_paints_each_token(pair):
    out = io.StringIO()
    show(pair, Console(file=out, width=200, force_terminal=True, color_system="truecolor"))
    quantity, trajectory = QUANTITIES[0], pair.correct
    red, green, blue = colour(float(trajectory.delta[0]) / pair.scale(quantity))
    assert f"48;2;{red};{green};{blue}m{trajectory.tokens[0]}" in out.getvalue()


def test_terminal_says_which_kind_of_rollout_is_missing(run_path):
    out = io.StringIO()
    show(select(open_run(run_path), prompt="0"), Console(file=out, width=120))
    assert "There is no correct rollout" in out.getvalue()


HOSTILE = [
    "[red]",
    "\x1b[31m",
    "<script>alert(1)</script>",
    "$\\q$",
    "\n",
    " ",
    "",
    "\u202e",
    "&amp;",
    '" x="',
]


def hostile(frame):
    n = len(HOSTILE)
    columns = {name: [[0.1] * n] * len(frame) for name in ("delta", "weight", "token_advantage")}
    return frame.assign(tokens=[HOSTILE] * len(frame), prompt="<img src=x onerror=y>\x1b[2J", **columns)


class Page(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def test_hostile_tokens_stay_text_in_the_page(run_path):
    rewrite(run_path, hostile)
    parser = Page()
    parser.feed(page(select(open_run(run_path))))
    assert parser.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "p",
        "div",
        "span",
        "sup",
    }
    assert parser.attributes <= {"lang", "charset", "name", "content", "class", "style", "title"}
    assert "<script>alert(1)</script>" in parser.text


def test_hostile_tokens_stay_text_in_the_terminal(run_path):
    rewrite(run_path, hostile)
    out = io.StringIO()
    show(select(open_run(run_path)), Console(file=out, width=200))
    assert "\x1b" not in out.getvalue()
    assert "[red](+0.10)" in out.getvalue()


def test_hostile_tokens_stay_text_in_the_picture(run_path):
    rewrite(run_path, hostile)
    with styled("paper"):
        picture = draw_pair(select(open_run(run_path)))
        picture.figure.canvas.draw()
        texts = [text.get_text() for text in picture.figure.axes[0].texts]
        plt.close(picture.figure)
    assert {"[red]", "\\x1b[31m", "<script>alert(1)<…", "$\\q$"} <= set(texts)


def test_page_shows_the_numbers_of_each_token(pair):
    text = page(pair)
    found = [pair.correct.values(quantity)[4] for quantity in (DELTA, EVIDENCE, FULL, CURRENT)]
    delta, weight, full, current = (f"{value:+.4f}" for value in found)
    assert f'title="token 5: Δ = {delta}, w = {weight}, Â₁ = {full}, Â = {current}"' in text
    assert "http" not in text  # no other file is loaded
    assert text.count('class="token"') == 4 * sum(len(each.tokens) for each in pair.trajectories)


def test_picture_has_a_cell_for_each_token_and_quantity_in_its_colour(pair):
    with styled("paper"):
        picture = draw_pair(pair)
    axes = picture.figure.axes[0]
    tokens = sum(len(each.tokens) for each in pair.trajectories)
    assert len(axes.patches) == 4 * tokens + 4 * 21  # and the scales
    cells = axes.patches[: len(pair.correct.tokens)]
    expected = [hex_colour(value / pair.scale(DELTA)) for value in pair.correct.delta]
    drawn = ["#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in cell.get_facecolor()[:3])) for cell in cells]
    assert drawn == expected
    assert picture.pages == {"html": page(pair)}
    plt.close(picture.figure)


def test_a_long_trajectory_is_cut_in_the_picture_and_said_so(run_path):
    def lengthen(frame):
        columns = {name: [[0.1] * 400] * len(frame) for name in ("delta", "weight", "token_advantage")}
        return frame.assign(tokens=[["word"] * 400] * len(frame), **columns)

    rewrite(run_path, lengthen)
    with styled("paper"):
        picture = draw_pair(select(open_run(run_path)))
    lines = [line for line, _, _ in places_of(("word",) * 400)]
    shown = sum(line < MOST_LINES for line in lines)
    assert 0 < shown < 400
    assert picture.left_out[0].startswith(f"tokens after number {shown} of the correct")
    plt.close(picture.figure)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=80))
def test_tokens_flow_from_left_to_right_within_the_column_and_never_overlap(tokens):
    places = places_of(tuple(tokens))
    assert len(places) == len(tokens)
    for line, x, width in places:
        assert x >= LEFT
        assert x == LEFT or x + width <= RIGHT
        assert line >= 0
    for (line, x, width), (next_line, next_x, _) in itertools.pairwise(places):
        assert next_line == line + 1 or (next_line == line and next_x > x + width)


def test_colours_run_from_orange_over_white_to_blue_and_stop_at_the_ends():
    assert (colour(-1), colour(0), colour(1)) == ((0xD5, 0x5E, 0x00), (255, 255, 255), (0x00, 0x72, 0xB2))
    assert colour(5) == colour(1)
    assert colour(float("nan")) == (255, 255, 255)
    assert (ink(0), ink(1)) == ("#000000", "#ffffff")


def test_signs_tell_directions_apart_without_colour():
    assert [sign(value) for value in (-1, -0.2, 0.2, 1, float("nan"))] == ["−", "", "", "+", ""]


@given(st.text(max_size=20))
def test_a_visible_token_is_printable_and_never_empty(token):
    shown = visible(token)
    assert shown
    assert shown.isprintable()
