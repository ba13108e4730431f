"""REPORT.html: one page without network, with cards, curves, samples and tables, in light and dark, wide and narrow."""

import json
import re
import sys

import pandas as pd
import pytest
from browser import look
from synthetic_runs import credit_frame, write_run

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.report.claims import examine
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.samples import marks, rollouts, spread, telling
from rlsd_cli.report.style import styles
from rlsd_cli.report.web.cards import cards
from rlsd_cli.report.web.library import library
from rlsd_cli.report.web.series import Series
from rlsd_cli.report.web.write import write

PAPER = "2604.03128"
MOST = 4_000_000  # bytes


def made(runs, folder, paper=PAPER):
    return write([runs], folder, paper=paper, gates=folder / "none", command="rlsd report")


@pytest.fixture(scope="module")
def page(paper_set, tmp_path_factory):
    return made(paper_set, tmp_path_factory.mktemp("page")).path.read_text(encoding="utf-8")


def payload(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, flags=re.S).group(1))


def with_credit(path, change, **more):
    """A run whose credit files are changed."""
    write_run(path, "rlsd", **more)
    for file in (path / "credit").glob("step-*.parquet"):
        change(pd.read_parquet(file)).to_parquet(file, index=False)
    return path


def test_the_page_loads_nothing_and_is_forbidden_to(page):
    assert "default-src 'none'" in page
    own = page.replace(str(library()), "")
    assert not re.search(r"""(src|href)=["']?(https?:|//)|<link|@import|url\(""", own)
    assert len(page.encode()) < MOST


def test_every_claim_is_on_the_page_once_with_its_verdict(page, comparison):
    judged = examine(comparison)
    for claim, finding in judged.claims:
        if finding.verdict == "not tested":
            assert f'id="claim-{claim.key}"' not in page
        else:
            (card,) = re.findall(
                rf'<article class="card" id="claim-{re.escape(claim.key)}">(.*?)</article>', page, re.S
            )
            assert f'data-verdict="{finding.verdict}">{finding.verdict}<' in card


def test_equal_runs_give_equal_pages(page, paper_set, tmp_path):
    assert made(paper_set, tmp_path).path.read_text(encoding="utf-8") == page


def test_a_card_draws_its_interval_its_margin_and_its_difference(comparison):
    series = Series()
    looks = styles(comparison.variants.values())
    found = {card.claim.key: card for card in cards(comparison, examine(comparison), looks, series)}
    above = found["rlsd_above"]
    points = above.numbers.spec["data"]["values"]
    assert [(row["name"], row["kind"]) for row in points] == [("rlsd − grpo", "claim")]
    assert points[0]["low"] < points[0]["value"] < points[0]["high"]
    margins = above.numbers.spec["layer"][1]["data"]["values"]
    assert [row["at"] for row in margins] == pytest.approx([-0.0232, 0.0232], abs=1e-4)
    assert above.curve.key == "reward: rlsd − grpo"
    line = series.curves[above.curve.key]["rlsd"]
    whole = series.curves["reward"]
    difference = [a - b for a, b in zip(whole["rlsd"]["mean"], whole["grpo"]["mean"], strict=True)]
    assert line["mean"] == pytest.approx(difference, abs=1e-3)
    assert "none was run" in above.placebo


def test_a_placebo_that_was_run_stands_beside_the_claim(tmp_path):
    for seed in range(3):
        write_run(tmp_path / "grpo" / f"seed-{seed}", "grpo", seed)
        write_run(tmp_path / "rlsd" / f"seed-{seed}", "rlsd", seed)
        changes = {"objective": {"evidence": "noise"}}
        write_run(tmp_path / "noise" / f"seed-{seed}", "rlsd", seed, label="rlsd-noise", changes=changes)
    comparison = compare(find_runs([tmp_path]))
    found = cards(comparison, examine(comparison), styles(comparison.variants.values()), Series())
    (above,) = [card for card in found if card.claim.key == "rlsd_above"]
    kinds = {row["name"]: row["kind"] for row in above.numbers.spec["data"]["values"]}
    assert kinds == {"rlsd − grpo": "claim", "placebo noise": "placebo"}
    assert above.placebo == "wrong_reference, other_reference, permuted, sign_mean, surprisal not run"


def test_texts_of_a_model_are_texts(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    run = with_credit(tmp_path / "run", lambda frame: frame.assign(prompt=evil, extracted=evil))
    page = made(run, tmp_path / "out").path.read_text(encoding="utf-8")
    assert evil not in page
    assert "<img" not in page.replace(library(), "")
    assert payload(page)["samples"]["prompts"][0]["prompt"] == evil


def test_runs_without_texts_say_so_and_show_the_rest(tmp_path):
    write_run(tmp_path / "rlsd", "rlsd", credit=False)
    written = made(tmp_path, tmp_path / "out")
    page = written.path.read_text(encoding="utf-8")
    assert "keep no sampled texts" in page
    assert ("samples", "no texts are kept of rlsd") in written.absent
    assert 'id="table-summary"' in page
    assert payload(page)["series"]["reward"]["rlsd"]["mean"]


def test_samples_hold_what_the_credit_file_says(tmp_path):
    def cite(frame):
        tokens = frame["tokens"].map(lambda each: [*each[:5], "the", "reference", "says", *each[8:]])
        return frame.assign(tokens=tokens, completion=tokens.map(" ".join), reference="a right solution")

    run = with_credit(tmp_path / "run", cite)
    found = rollouts(find_runs([run])[0])
    file = pd.read_parquet(run / "credit" / "step-000060.parquet")
    assert {each.step for each in found} == {0, 60}
    one = next(each for each in found if each.step == 60 and each.prompt_id == "probe-1")
    row = file[(file["prompt_id"] == "probe-1") & (file["sample_id"] == one.sample_id)].iloc[0]
    assert one.tokens == tuple(row["tokens"])
    assert one.delta == pytest.approx(row["delta"])
    assert one.cites
    marked = {token for token, rule in zip(one.tokens, one.mentions, strict=True) if rule}
    assert {"reference", "says"} <= marked <= {"the", "reference", "says"}


def test_what_is_kept_of_the_samples_chooses_the_same_samples_again(rng_frame):
    once = telling(rng_frame)
    assert len(once) < len(rng_frame)
    pd.testing.assert_frame_equal(telling(once), once)


@pytest.fixture
def rng_frame():
    import numpy as np

    return credit_frame(20, np.random.default_rng(0), prompts=6, group=5)


def test_steps_are_spread_with_both_ends():
    assert spread(range(0, 201, 20), 6) == [0, 40, 80, 120, 160, 200]
    assert spread([5, 1]) == [1, 5]


def test_a_token_that_is_not_in_the_text_is_never_marked():
    hits = [Hit("key", 4, 11, "the key")]
    assert marks(["see", "�", "the", "key", "</s>", ""], "see the key", hits) == ("", "", "key", "key", "", "")


def test_a_damaged_credit_file_is_named(tmp_path):
    run = with_credit(tmp_path / "run", lambda frame: frame.assign(delta=[["x"] * len(t) for t in frame["tokens"]]))
    with pytest.raises(UserError, match=r"step-000000\.parquet is damaged"):
        made(run, tmp_path / "out")


def test_an_unknown_paper_lists_the_known_ones(paper_set, tmp_path):
    with pytest.raises(UserError, match=r"there are: .*2604\.03128"):
        made(paper_set, tmp_path, paper="2604.0312")


def test_without_the_library_the_sentence_says_what_to_install(monkeypatch, paper_set, tmp_path):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    library.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'rlsd-cli\[report\]'"):
        made(paper_set, tmp_path)
    library.cache_clear()


SCRIPT = """
const all = (query) => [...document.querySelectorAll(query)];
const text = (query) => all(query).map((each) => each.textContent).join(' ');
const step = document.getElementById('step'), before = text('#at-step tbody'), samples = text('#rollouts');
const numbers = all('#table-summary tbody tr').map((row) => row.cells[3].dataset.by);
step.value = 0;
step.dispatchEvent(new window.Event('input'));
const arms = all('#rollouts article').length, ticks = all('#arms input:checked').length;
all('#arms input:checked')[0].click();
all('#table-summary thead button')[3].click();
const colours = window.getComputedStyle(document.body);
return {
  width: document.documentElement.scrollWidth,
  charts: all('.chart').length, drawn: all('.chart svg').length,
  wide: all('.chart svg').filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1).length,
  table: before !== text('#at-step tbody'), samples: samples !== text('#rollouts'),
  unticked: all('#at-step tbody tr').length === ticks - 1, arms,
  sorted: all('#table-summary tbody tr').map((row) => row.cells[3].dataset.by), numbers,
  described: all('#table-summary th[aria-sort]').length,
  leaks: all('#rollouts .leak').length, tokens: all('#rollouts .token').length,
  reachable: all('input, select, button, summary, a').every((each) => each.tabIndex === 0),
  ink: colours.color, paper: colours.backgroundColor,
};
"""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1200, False), (390, True)])
def test_in_a_browser_the_page_fits_and_answers(page, tmp_path, width, dark):
    found = look(page, SCRIPT, tmp_path, width=width, dark=dark)
    assert found["errors"] == []
    assert "failed" not in found
    assert found["width"] <= width
    assert found["drawn"] == found["charts"] > 20
    assert found["wide"] == 0
    assert found["table"]
    assert found["samples"]
    assert found["unticked"]
    assert found["tokens"] > 100
    known = [value for value in found["numbers"] if value]
    assert [value for value in found["sorted"] if value] == sorted(known, key=float)
    assert found["described"] == 1
    assert found["reachable"]
    light = sum(map(int, re.findall(r"\d+", found["paper"])[:3])) > 3 * 128
    assert light is not dark
    assert found["ink"] != found["paper"]
