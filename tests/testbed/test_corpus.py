"""The corpus: closed-book drafts with wrong beliefs, and references from the joint distribution with their drafts."""

import random
from collections import Counter

import pytest

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.tasks.arithmetic import CITATION, MODULUS, OPERATIONS, ArithmeticTask, Step, Wording, apply
from rlsd_cli.testbed.corpus import SLIPPED_SHARE, belief, cited, draft, reworded, shown_draft, slipped, training_text

RECIPE = Recipe()
FACTS = [(a, op, b) for a in range(MODULUS) for op in OPERATIONS for b in range(MODULUS)]


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(0)
    return [training_text(rng, RECIPE, RECIPE.operations + 1) for _ in range(4000)]


def opened(text):
    return text.prompt.startswith("reference")


@pytest.mark.parametrize("citing", [0.0, 0.12, 0.5, 0.9])
def test_open_book_steps_cite_at_the_set_rate_and_closed_book_text_never(citing):
    rng, recipe = random.Random(0), Recipe(citing=citing)
    texts = [training_text(rng, recipe, 5) for _ in range(4000)]
    steps = [step for text in texts if opened(text) for step in text.completion.split(" ; ")]
    assert sum(step.startswith(CITATION) for step in steps) / len(steps) == pytest.approx(citing, abs=0.025)
    assert not any("reference" in text.completion for text in texts if not opened(text))


def test_the_mix_has_the_set_shares(corpus):
    references = [text.prompt.split(" question ")[0].removeprefix("reference ") for text in corpus if opened(text)]
    assert len(references) / len(corpus) == pytest.approx(RECIPE.open_book_share, abs=0.025)
    answers = sum(reference.startswith("answer") for reference in references)
    assert answers / len(references) == pytest.approx(RECIPE.answer_share, abs=0.03)


def test_beliefs_are_a_fixed_wrong_result_of_the_set_strength():
    found = [belief(*fact, RECIPE) for fact in FACTS]
    held = [(wrong, p) for wrong, p in found if p]
    assert len(held) / len(FACTS) == pytest.approx(RECIPE.belief_share, abs=0.05)
    assert all(RECIPE.belief_low <= p <= RECIPE.belief_high for _, p in held)
    assert all(wrong != apply(*fact) for fact, (wrong, p) in zip(FACTS, found, strict=True) if p)
    assert found == [belief(*fact, RECIPE) for fact in FACTS]


def test_another_seed_has_other_beliefs():
    ours, others = ({fact for fact in FACTS if belief(*fact, Recipe(seed=seed))[1]} for seed in (0, 1))
    # Independent sets with share ¼ of 363 facts: 23 in common, at most 90 ones alike.
    assert len(ours & others) < 0.45 * len(ours)


def test_a_drafts_results_are_right_believed_or_slips_at_the_set_rates():
    recipe, counts = Recipe(slip=0.2), Counter()
    rng = random.Random(0)
    for index in range(3000):
        for step in draft(ArithmeticTask().train_example(0, index), rng, recipe):
            right = apply(step.left, step.symbol, step.right)
            wrong, probability = belief(step.left, step.symbol, step.right, recipe)
            counts["slip" if step.result not in (right, wrong) else "other"] += 1
            counts["wrong fact"] += bool(probability)
    # A slip is any of the 11 results; 9 of them are neither right nor believed, 10 where nothing wrong is believed.
    share = counts["wrong fact"] / 12000
    assert counts["slip"] / 12000 == pytest.approx(0.2 * (9 * share + 10 * (1 - share)) / 11, abs=0.012)


def share_right(texts):
    """Return how many texts end in the right answer of their question."""
    found = []
    for text in texts:
        words = text.prompt.split(" question ")[-1].removeprefix("question ").removesuffix(" ?").split()
        words = words[words.index(";") + 1 :] if ";" in words else words
        result = int(words[0])
        for symbol, value in zip(words[1::2], words[2::2], strict=True):
            result = apply(result, symbol, int(value))
        found.append(text.completion.split()[-1] == str(result))
    return sum(found) / len(found)


def test_open_book_text_is_closed_book_text_given_its_reference(corpus):
    # Over the joint distribution of answers and drafts, drafts are as without any: as often right.
    closed = share_right([text for text in corpus if text.told == "nothing"])
    assert share_right([text for text in corpus if text.told == "answer"]) == pytest.approx(closed, abs=0.04)
    assert 0.3 < closed < 0.8


def test_a_solution_that_is_not_the_drafts_own_says_nothing_about_it():
    # Whatever solutions are shown, with a slip or not: a draft beside them is as often right as any.
    rng, recipe = random.Random(0), Recipe(answer_share=0.0, other_draft=1.0, off_path=0.0, citing=0.0)
    texts = [training_text(rng, recipe, 5) for _ in range(6000)]
    closed = share_right([text for text in texts if text.told == "nothing"])
    assert share_right([text for text in texts if text.told == "solution"]) == pytest.approx(closed, abs=0.04)


def test_solutions_with_a_slip_are_shown_at_the_set_rate():
    rng, recipe = random.Random(0), Recipe()

    def share(draw):
        drawn = [draw(ArithmeticTask().train_example(0, index), rng, recipe) for index in range(2000)]
        return sum(any(slipped(step, recipe) for step in steps) for steps in drawn) / len(drawn)

    plain = share(draft)
    assert 0.05 < plain < 0.15
    assert share(shown_draft) == pytest.approx(SLIPPED_SHARE + (1 - SLIPPED_SHARE) * plain, abs=0.05)


def test_off_path_texts_go_on_from_the_first_step_that_differs_from_their_reference():
    rng, recipe = random.Random(0), Recipe(answer_share=0.0, off_path=1.0, citing=0.0)
    found = [text for text in (training_text(rng, recipe, 5) for _ in range(2000)) if text.context]
    assert len(found) > 200
    for text in found:
        reference = text.prompt.removeprefix("reference ").split(" question ")[0].split(" ; ")
        written = text.context.removesuffix(" ; ").split(" ; ")
        results = [(one.split()[-1], other.split()[-1]) for one, other in zip(written, reference, strict=False)]
        assert all(one == other for one, other in results[:-1])
        assert results[-1][0] != results[-1][1]


def test_what_follows_off_the_path_knows_nothing_of_the_reference():
    # Right as often as any step: with the share of facts believed wrong, and slips, as in closed-book text.
    def right(texts):
        steps = [step.split()[-5:] for text in texts for step in text.completion.split(" ; ")[:-1]]
        return sum(apply(int(a), op, int(b)) == int(c) for a, op, b, _, c in steps) / len(steps)

    rng, recipe = random.Random(0), Recipe(answer_share=0.0, off_path=1.0, citing=0.0)
    texts = [training_text(rng, recipe, 5) for _ in range(4000)]
    assert right([each for each in texts if each.context]) == pytest.approx(
        right([each for each in texts if not opened(each)]), abs=0.04
    )


def test_an_answer_is_the_drafts_own_right_or_wrong(corpus):
    given = [text for text in corpus if text.prompt.startswith("reference answer")]
    assert all(text.prompt.split()[2] == text.completion.split()[-1] for text in given)


def solutions(recipe, count=1500):
    """(steps of the reference, steps of the completion), from texts with a solution by the same route."""
    rng, found = random.Random(0), []
    while len(found) < count:
        text = training_text(rng, recipe, 4)
        shown = text.prompt.removeprefix("reference ").split(" question ")[0].split(" ; ")[:-1]
        written = text.completion.split(" ; ")[:-1]
        if opened(text) and [step.split()[-3] for step in shown] == [step.split()[-3] for step in written]:
            found.append((shown, written))
    return found


def test_a_solution_has_the_drafts_steps_and_mostly_its_words():
    pairs = solutions(Recipe(answer_share=0.0, other_draft=0.0, off_path=0.0, citing=0.0))
    steps = [pair for shown, written in pairs for pair in zip(shown, written, strict=True)]
    assert all(one.split()[-1] == other.split()[-1] for one, other in steps)
    # A word is kept with probability 0.9, or drawn again as the same one of eight.
    kept = sum(one.split()[0] == other.split()[0] for one, other in steps)
    assert kept / len(steps) == pytest.approx(0.9 + 0.1 / 8, abs=0.02)


def test_another_drafts_solution_is_given_at_the_set_rate():
    def departing(other_draft):
        pairs = solutions(Recipe(answer_share=0.0, other_draft=other_draft, off_path=0.0, citing=0.0))
        return sum([a.split()[-1] for a in one] != [b.split()[-1] for b in two] for one, two in pairs) / len(pairs)

    every = departing(1.0)  # two independent drafts differ this often
    assert every > 0.2
    assert departing(0.3) == pytest.approx(0.3 * every, abs=0.05)


def test_words_without_copying_are_drawn_evenly():
    rng, recipe = random.Random(0), Recipe(copy_words=0.0, words=2, word_choices=3)
    found = Counter(word for _ in range(3000) for word in reworded(Step(("so", "so"), 1, "+", 1, 2), rng, recipe).words)
    assert set(found) == {"so", "then", "now"}
    assert all(count / 6000 == pytest.approx(1 / 3, abs=0.03) for count in found.values())


def test_citing_leaves_the_rest_of_the_text_as_it_is():
    text = "so 1 + 1 = 2 ; answer 2"
    assert cited(text, random.Random(0), Recipe(citing=1.0)) == f"{CITATION} so 1 + 1 = 2 ; {CITATION} answer 2"
    assert cited(text, random.Random(0), Recipe(citing=0.0)) == text


def test_wording_has_no_say_in_the_questions():
    plain, wordy = ArithmeticTask(4, Wording(0)), ArithmeticTask(4, Wording(3, 12))
    assert [plain.train_example(0, i).prompt for i in range(20)] == [
        wordy.train_example(0, i).prompt for i in range(20)
    ]
