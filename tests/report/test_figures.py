"""What is drawn equals what was logged; what can't be drawn is named; files are equal byte by byte."""

import itertools
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from synthetic_runs import write_run

from rlsd_cli.report.accuracy import mean_interval
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.curves import curve
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.figures.architecture import diagram
from rlsd_cli.report.gates import GatesFile
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.style import ARMS, COLUMN, PAGE, SHADES, save, shade, styled, styles


@pytest.fixture(autouse=True)
def paper_style():
    with styled("paper"):
        yield
    plt.close("all")


def lines_of(axes):
    """Return the labelled lines of an axes by name."""
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


DRAWN = [name for name in FIGURES if name not in ("rates", "dose", "exposure")]  # what the full set allows
SINGLE = {"reward": "reward", "fig5a": "reward", "fig5b": "entropy", "fig1a": "reward", "fig3c": "teacher/kl_forward"}


@pytest.mark.parametrize(("name", "key"), SINGLE.items())
def test_lines_are_the_mean_over_seeds(comparison, name, key):
    axes = FIGURES[name](comparison).figure.axes[0]
    drawn = lines_of(axes)
    assert drawn
    for label, line in drawn.items():
        method = next(method for method, look in ARMS.items() if look.name == label)
        expected = curve(comparison.variants[method], key)
        np.testing.assert_array_equal(line.get_xdata(), expected.steps)
        np.testing.assert_allclose(line.get_ydata(), expected.mean)
    assert len(axes.collections) == 0  # three seeds: no band


def test_bands_are_the_t_interval_from_six_seeds_on(tmp_path):
    for seed in range(6):
        write_run(tmp_path / str(seed), "grpo", seed, evaluated=False, credit=False)
    runs = compare(find_runs([tmp_path]))
    (band,) = FIGURES["reward"](runs).figure.axes[0].collections
    expected = curve(runs.variants["grpo"], "reward")
    vertices = band.get_paths()[0].vertices
    np.testing.assert_allclose(vertices[:, 1].max(), expected.high.max())
    np.testing.assert_allclose(vertices[:, 1].min(), expected.low.min())


def test_single_seeds_are_thin_lines(comparison):
    axes = FIGURES["fig5a"](comparison).figure.axes[0]
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 0.5]
    assert len(thin) == 2 * 3


def test_one_seed_has_no_band_and_the_caption_says_so(tmp_path):
    write_run(tmp_path / "x", "grpo")
    picture = FIGURES["reward"](compare(find_runs([tmp_path])))
    assert len(picture.figure.axes[0].collections) == 0
    assert "One seed each." in picture.caption
    assert "Bands" not in picture.caption


def test_two_seeds_are_two_thin_lines_without_a_band(tmp_path):
    for seed in range(2):
        write_run(tmp_path / str(seed), "grpo", seed)
    picture = FIGURES["reward"](compare(find_runs([tmp_path])))
    axes = picture.figure.axes[0]
    assert len(axes.collections) == 0
    assert sum(line.get_linewidth() < 0.5 for line in axes.get_lines()) == 2
    assert "Bands" not in picture.caption


def test_smoothing_is_stated_in_the_caption(comparison):
    assert "Running means of 5 steps." in FIGURES["reward"](comparison).caption
    assert "Running means" not in FIGURES["accuracy"](comparison).caption


def test_one_probe_is_a_number_and_no_curve(tmp_path):
    write_run(tmp_path / "x", "grpo", steps=5, evaluated=False, credit=False)
    with pytest.raises(Missing, match=r"one value of probe/accuracy only, 0\.\d+ at step 5: no curve"):
        FIGURES["accuracy"](compare(find_runs([tmp_path])))
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", ["reward", "accuracy", "leakage", "fig1a", "fig3a", "fig5a"])
def test_shares_are_shown_from_0_to_1(comparison, name):
    assert FIGURES[name](comparison).figure.axes[0].get_ylim() == (-0.02, 1.02)


def test_what_lies_upon_grpo_is_drawn_as_its_difference_with_the_margin(tmp_path):
    steps = np.arange(60)
    for seed in range(3):
        noise = 0.01 * np.random.default_rng(seed).normal(size=60)
        for method, shift in (("grpo", 0.0), ("rlsd", 0.01), ("opsd", 0.3)):
            write_run(
                tmp_path / f"{method}-{seed}", method, seed, metrics={"reward": 0.4 + steps / 200 + noise + shift}
            )
    picture = FIGURES["reward"](compare(find_runs([tmp_path])))
    _, lower = picture.figure.axes
    assert lower.get_ylabel() == "RLSD − GRPO"  # OPSD lies apart and needs no panel
    drawn = [line for line in lower.get_lines() if line.get_color() == ARMS["rlsd"].colour]
    for line in drawn:
        np.testing.assert_allclose(line.get_ydata(), 0.01, atol=1e-12)  # paired by seed: the noise is gone
    assert len(drawn) == 1 + 3
    margins = sorted(float(line.get_ydata()[0]) for line in lower.get_lines() if len(line.get_ydata()) == 2)
    assert margins == pytest.approx([-0.0232, 0, 0.0232])
    assert "±0.0232" in picture.caption


def test_figure_5c_is_in_shades_of_one_colour_and_marks_where_lambda_ends(comparison):
    picture = FIGURES["fig5c"](comparison)
    axes = picture.figure.axes[0]
    used = {line.get_color() for line in lines_of(axes).values()}
    assert len(used) == 3
    assert not used & {look.colour for name, look in ARMS.items() if name != "rlsd"}
    (mark,) = [line for line in axes.get_lines() if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 1]
    assert mark.get_xdata()[0] == 50  # λ = 0.5 falls to 0 over 50 steps
    assert "From step 50 on λ is 0" in picture.caption


def test_the_hatch_is_the_arms_own_wherever_it_stands(comparison, tmp_path):
    def hatches(runs):
        axes = FIGURES["fig1b"](runs).figure.axes[0]
        return {bars.get_label(): bars[0].get_hatch() for bars in axes.containers if hasattr(bars, "patches")}

    for method in ("rlsd", "opsd"):
        write_run(tmp_path / method, method)
    alone = hatches(compare(find_runs([tmp_path])))
    together = hatches(comparison)
    assert {name: together[name] for name in alone} == alone
    assert len(set(together.values())) == len(together)


def test_grpo_with_twice_the_steps_is_a_bar(tmp_path):
    for method, steps, label in (("grpo", 40, ""), ("grpo", 80, "grpo-long"), ("rlsd", 40, "")):
        write_run(tmp_path / f"{method}{steps}", method, steps=steps, label=label)
    axes = FIGURES["fig1b"](compare(find_runs([tmp_path]))).figure.axes[0]
    labels = [bars.get_label() for bars in axes.containers if hasattr(bars, "patches")]
    assert labels == ["GRPO", "grpo-long (2× steps)", "RLSD"]


def test_figure_3a_shows_what_the_open_book_itself_cites(comparison):
    gates = GatesFile.model_validate({"gates": [], "measured": {"open_book_cites": 0.47}})
    told = replace(comparison, gates={"micro-base": gates})
    picture = FIGURES["fig3a"](told)
    assert any(list(line.get_ydata()) == [0.47, 0.47] for line in picture.figure.axes[0].get_lines())
    assert "0.47; a top-1 target can't carry a habit of less than one half." in picture.caption
    assert any("open book" in each for each in FIGURES["fig3a"](comparison).left_out)


def test_figure_4_follows_the_arms_record(tmp_path):
    texts = {}
    for method, source in (("rlsd", "synced"), ("opsd", "frozen")):
        write_run(tmp_path / method, method, changes={"teacher": {"source": source}}, evaluated=False)
        (variant,) = compare(find_runs([tmp_path / method])).arms
        texts[method] = " ".join(text.get_text() for text in diagram(variant).figure.findobj(mpl.text.Text))
    assert "teacher (synced)" in texts["rlsd"]
    assert "verifier" in texts["rlsd"]
    assert "teacher (frozen)" in texts["opsd"]
    assert "verifier" not in texts["opsd"]
    assert "divergence" in texts["opsd"]
    write_run(tmp_path / "only" / "grpo", "grpo", evaluated=False)
    with pytest.raises(Missing, match="no arm of these runs has a teacher"):
        FIGURES["fig4"](compare(find_runs([tmp_path / "only"])))


@pytest.mark.parametrize(
    ("name", "section", "values", "tick"),
    [
        ("rates", "train.learning_rate", (2e-5, 1e-4), "2e-5"),
        ("dose", "model.path", ("micro-base:citing=0.25", "micro-base:citing=0.9"), "0.2"),
    ],
)
def test_a_map_has_a_line_per_arm_over_the_one_setting_that_varies(tmp_path, name, section, values, tick):
    part, key = section.split(".")
    for number, value in enumerate(values):
        for method in ("opsd", "rlsd"):
            label = f"{method}-{number}"
            write_run(tmp_path / label, method, label=label, changes={part: {key: value}}, evaluated=False)
    picture = FIGURES[name](compare(find_runs([tmp_path])))
    first = picture.figure.axes[0]
    drawn = lines_of(first)
    assert set(drawn) == {"OPSD", "RLSD"}
    expected = [2e-5, 1e-4] if name == "rates" else [0.25, 0.9]
    for line in drawn.values():
        np.testing.assert_allclose(line.get_xdata(), expected)
    picture.figure.canvas.draw()
    assert any(tick in label.get_text() for label in first.get_xticklabels())
    for content, box in texts_of(picture.figure):
        assert box.x0 >= -1, content
        assert box.x1 <= picture.figure.bbox.x1 + 1, content


def test_arms_without_a_metric_are_named_by_the_panel_and_in_words(comparison):
    picture = FIGURES["overview"](comparison)
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert "Leakage\n(without SFT)" in titles
    assert "Weights clipped\n(RLSD only)" in titles
    assert "sft, grpo, opd, opsd, grpo_opsd log no rlsd/weight_clip_low+rlsd/weight_clip_high" in picture.left_out


def test_the_overview_names_the_variants_that_it_leaves_out_for_legibility(comparison):
    picture = FIGURES["overview"](comparison)
    assert "not shown, to keep the lines apart: opsd-frozen, opsd-student-top1, opsd-teacher-top1" in picture.left_out


def test_the_legend_follows_the_order_of_the_arms(comparison):
    legend = FIGURES["overview"](comparison).figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["SFT", "GRPO", "OPD", "OPSD", "GRPO+OPSD", "RLSD"]


def test_the_overview_has_no_empty_panels(tmp_path):
    write_run(tmp_path / "x", "grpo", credit=False, metrics={"reward": np.ones(20), "entropy": np.ones(20)})
    picture = FIGURES["overview"](compare(find_runs([tmp_path])))
    assert [axes.get_title() for axes in picture.figure.axes] == ["Training reward", "Entropy"]
    assert "no run logs leakage/rate" in picture.left_out


def test_the_entropy_of_sft_is_told_apart(tmp_path):
    write_run(tmp_path / "x", "sft", metrics={"entropy": np.ones(20)})
    runs = compare(find_runs([tmp_path]))
    for name in ("overview", "entropy"):
        assert any("on the reference solutions" in told for told in FIGURES[name](runs).left_out)


def test_a_metric_that_only_some_seeds_log_is_drawn_from_those_and_named(tmp_path):
    write_run(tmp_path / "a", "grpo", 0, metrics={"reward": np.ones(20), "entropy": np.ones(20)})
    write_run(tmp_path / "b", "grpo", 1, metrics={"reward": np.ones(20)})
    picture = FIGURES["entropy"](compare(find_runs([tmp_path])))
    assert picture.left_out == ["only 1 of 2 runs of grpo log entropy"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fig1a", "grpo"), ("fig1b", "no run of base"), ("fig3a", "no run of opsd"), ("fig3c", "no run of opd"),
        ("fig5a", "grpo"), ("fig5c", "no run of rlsd"), ("reward", "sft logs no reward"), ("fig6", "no credit"),
    ],
)  # fmt: skip
def test_what_the_runs_cannot_support_is_missing_with_the_reason(tmp_path, name, reason):
    write_run(tmp_path / "x", "sft", evaluated=False)
    runs = compare(find_runs([tmp_path]))
    open_before = len(plt.get_fignums())
    with pytest.raises(Missing, match=reason):
        FIGURES[name](runs)
    assert len(plt.get_fignums()) == open_before


def test_an_overview_of_runs_that_have_not_trained_yet_is_missing(tmp_path):
    path = write_run(tmp_path / "x", "grpo", state="running")
    (path / "metrics.jsonl").unlink()
    with pytest.raises(Missing, match="none of the runs has logged a training step"):
        FIGURES["overview"](compare(find_runs([tmp_path])))


def test_figure_3c_falls_back_on_each_arms_own_divergence_and_says_so(tmp_path):
    loss = {"distillation/loss": np.linspace(0.4, 0.3, 30)}
    write_run(tmp_path / "a", "opsd", changes={"objective": {"support": "full", "beta": 0.0}}, metrics=loss)
    write_run(tmp_path / "b", "opd", changes={"objective": {"support": "full", "beta": 1.0}}, metrics=loss)
    picture = FIGURES["fig3c"](compare(find_runs([tmp_path])))
    np.testing.assert_allclose(lines_of(picture.figure.axes[0])["OPSD"].get_ydata(), loss["distillation/loss"])
    (told,) = picture.left_out
    assert "opd support full, beta 1.0, opsd support full, beta 0.0" in told


def test_figure_3_shows_the_three_supports_under_the_papers_names(comparison):
    drawn = lines_of(FIGURES["fig3a"](comparison).figure.axes[0])
    assert set(drawn) == {"full", "teacher's top-1", "student's top-1", "frozen teacher"}
    expected = curve(comparison.variants["opsd-teacher-top1"], "leakage/rate")
    np.testing.assert_allclose(drawn["teacher's top-1"].get_ydata(), expected.mean)


def test_figure_3_names_a_support_that_was_not_run(tmp_path):
    write_run(tmp_path / "x", "opsd")
    with pytest.raises(Missing, match="of the supports of opsd only full was run"):
        FIGURES["fig3b"](compare(find_runs([tmp_path])))
    write_run(tmp_path / "y", "opsd", label="top", changes={"objective": {"support": "teacher_top1"}})
    picture = FIGURES["fig3b"](compare(find_runs([tmp_path])))
    assert picture.left_out == ["there is no run of opsd with student-top-1"]


def test_figure_3c_marks_where_opsd_starts(comparison):
    axes = FIGURES["fig3c"](comparison).figure.axes[0]
    start = curve(comparison.variants["opsd"], "teacher/kl_forward", smooth=False).mean[0]
    assert any(np.allclose(line.get_ydata(), start) for line in axes.get_lines() if len(line.get_ydata()) == 2)


def test_accuracy_over_steps_is_that_of_the_probes_where_training_questions_repeat(tmp_path):
    write_run(tmp_path / "x", "grpo", changes={"task": {"name": "parquet"}})
    runs = compare(find_runs([tmp_path]))
    drawn = lines_of(FIGURES["fig1a"](runs).figure.axes[0])
    assert len(drawn["GRPO"].get_xdata()) == 12


def test_bars_and_whiskers_are_the_suites_means_and_intervals(comparison):
    axes = FIGURES["fig1b"](comparison).figure.axes[0]
    bars = next(container for container in axes.containers if container.get_label() == "RLSD")
    expected = [mean_interval(comparison.variants["rlsd"], [suite]) for suite in ("chain", "large", "long")]
    expected.append(mean_interval(comparison.variants["rlsd"], ["chain", "large", "long"]))
    np.testing.assert_allclose([bar.get_height() for bar in bars], [each.mean for each in expected])
    whiskers = bars.errorbar.lines[2][0].get_segments()
    np.testing.assert_allclose([w[:, 1] for w in whiskers], [each.within(0.0, 1.0)[1:3] for each in expected])


@pytest.mark.parametrize(
    ("name", "suffix"), [("overview", "pdf"), ("fig3a", "svg"), ("fig1b", "pdf"), ("fig1b", "svg"), ("fig6", "png")]
)
def test_a_figure_drawn_twice_is_equal_byte_by_byte(comparison, tmp_path, name, suffix):
    files = [save(FIGURES[name](comparison).figure, tmp_path / f"{i}", [suffix])[0] for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].suffix == f".{suffix}"


def test_pdfs_hold_type_42_fonts_and_no_date(comparison, tmp_path):
    (path,) = save(FIGURES["fig3a"](comparison).figure, tmp_path / "x", ["pdf"])
    content = path.read_bytes()
    assert b"/CIDFontType2" in content or b"/TrueType" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def texts_of(figure):
    """Return what is printed in a figure with its box; ticks beyond the limits exist, but are not drawn."""
    hidden = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                hidden |= {id(tick.label1), id(tick.label2)}
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_text().strip() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in texts if id(text) not in hidden]


@pytest.mark.parametrize(
    ("name", "style"),
    [*((name, "paper") for name in DRAWN), ("overview", "slides"), ("fig3a", "slides"), ("fig6", "slides")],
)
def test_axes_are_named_and_no_text_is_cut_off_or_lies_upon_another(comparison, name, style):
    with styled(style):
        picture = FIGURES[name](comparison)
        figure = picture.figure
        figure.canvas.draw()
        texts = texts_of(figure)
    assert picture.caption.endswith(".")
    if name not in ("fig4", "fig6"):
        assert all(axes.get_ylabel() for axes in figure.axes)
        assert all(axes.get_xlabel() for axes in figure.axes[-1:])
    assert len(texts) > 8
    frame = figure.bbox
    for content, box in texts:
        assert box.x0 >= frame.x0 - 1, content
        assert box.x1 <= frame.x1 + 1, content
        assert box.y0 >= frame.y0 - 1, content
        assert box.y1 <= frame.y1 + 1, content
    for (first, one), (second, two) in itertools.combinations(texts, 2):
        width = min(one.x1, two.x1) - max(one.x0, two.x0)
        height = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert width <= 1.5 or height <= 1.5, (first, second)


def test_paper_figures_have_the_width_of_a_column_or_page_and_slides_are_larger(comparison):
    for name in DRAWN:
        assert FIGURES[name](comparison).figure.get_figwidth() in (COLUMN, PAGE), name
    with styled("slides"):
        assert FIGURES["fig3a"](comparison).figure.get_figwidth() == pytest.approx(COLUMN * 1.75)


def test_arms_differ_in_colour_line_and_marker_each_by_itself():
    for part in ("colour", "line", "marker", "hatch"):
        values = [repr(getattr(look, part)) for look in ARMS.values()]
        assert len(set(values)) == len(values), part


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab_as_seen(colour, matrix):
    """Return CIELAB (D65) of a colour seen through a matrix on linear RGB."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(matrix @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def rhythm(line):
    """Return how many strokes a line has to its period, the period's length, and the share of it that is drawn."""
    dashes = line[1] if isinstance(line, tuple) else (1.0,)
    return len(dashes[::2]), sum(dashes), sum(dashes[::2]) / sum(dashes)


@pytest.mark.parametrize(
    "matrix", [DEUTERANOPIA, np.tile([0.2126, 0.7152, 0.0722], (3, 1))], ids=["deuteranopia", "grey"]
)
def test_arms_whose_colours_look_alike_to_some_eyes_or_in_grey_differ_in_line_marker_and_hatch(matrix):
    seen = {name: lab_as_seen(look.colour, matrix) for name, look in ARMS.items()}
    near = [
        (ARMS[one], ARMS[other])
        for one, other in itertools.combinations([name for name in ARMS if name != "base"], 2)
        if np.linalg.norm(seen[one] - seen[other]) < 22  # a just noticeable difference is about 2.3
    ]
    assert near  # no fourteen colours stay apart in grey, so the test has something to say
    for one, other in near:
        assert one.marker != other.marker
        assert one.hatch != other.hatch
        (strokes, period, drawn), (others, length, share) = rhythm(one.line), rhythm(other.line)
        unlike = strokes != others or abs(period / length - 1) > 0.15 or abs(drawn - share) > 0.08
        assert unlike, (one.name, other.name)


def test_the_colours_of_grpo_rlsd_and_opsd_stay_apart_to_some_eyes_and_in_grey():
    for matrix in (np.eye(3), DEUTERANOPIA):
        seen = [lab_as_seen(ARMS[name].colour, matrix) for name in ("grpo", "rlsd", "opsd")]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 35


def test_a_variant_of_fig_3_looks_alike_in_its_panels(comparison):
    def looks(name):
        axes = FIGURES[name](comparison).figure.axes[0]
        lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        return {line.get_label(): (line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}

    leakage, accuracy = looks("fig3a"), looks("fig3b")
    assert set(accuracy) < set(leakage)
    assert accuracy == {name: leakage[name] for name in accuracy}


def test_a_variants_style_does_not_depend_on_which_other_arms_are_shown(comparison):
    alone = styles([comparison.variants["rlsd"]])["rlsd"]
    assert styles(comparison.variants.values())["rlsd"] == alone


def test_variants_of_one_arm_get_lines_and_markers_of_their_own(comparison):
    looks = styles(comparison.of_method("opsd"))
    assert len({(repr(look.line), look.marker, look.colour) for look in looks.values()}) == 4
    assert len({repr(line) for _, line, _ in SHADES} | {repr(ARMS["opsd"].line)}) == len(SHADES) + 1


def test_shades_keep_away_from_white():
    assert shade("#D55E00", 99) != "#FFFFFF"


def test_variants_of_the_black_arm_are_greys_of_their_own():
    greys = {shade("#000000", factor) for factor, _, _ in SHADES}
    assert len(greys) == len(SHADES)
    assert "#000000" not in greys


def test_the_users_matplotlib_settings_do_not_leak_in_or_out(comparison):
    before = mpl.rcParams["font.size"]
    with styled("slides"):
        assert mpl.rcParams["font.size"] == 14
    assert mpl.rcParams["font.size"] == before
