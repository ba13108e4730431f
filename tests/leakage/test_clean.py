"""Clean solver text must give no hit: derivations of the testbed, solver's prose, questions of reasoning-gym."""

import random

import pytest

from rlsd_cli.leakage.detect import examine
from rlsd_cli.tasks.arithmetic import ArithmeticTask

# How solvers talk of their own work, with the nouns and verbs of the rules in it.
PROSE = (
    "Let me check my answer by substituting it back into the equation.",
    "So the correct answer is 42.",
    "The correct option is therefore (B), because the other choices are too small.",
    "This matches the result from the first method, so I am confident in it.",
    "The solution set is {2, 3}, and both solutions satisfy the original equation.",
    "As expected, the two sides agree.",
    "From the given information we know that the sum of the angles is 180 degrees.",
    "The answer is 3/4, and this is the final answer.",
    "Hmm, that's not what I expected, so let me recompute the value.",
    "The problem states that the train leaves at noon.",
    "I think the intended reading is that each person gets at least one coin.",
    "Perhaps the question wants the answer in simplest form.",
    "Wait, is the expected number of heads 5? Yes, because each toss has probability one half.",
    "The value shown in the figure is 12, so the radius is 6.",
    "To verify the solution, I plug x = 2 into the formula, which gives 10, as required.",
    "We need to find the value of k for which the equation has exactly one solution.",
    "Both approaches give the same answer, which is a good sign.",
    "The key step is to notice that the terms cancel in pairs.",
    "Following the same steps as above, the second integral equals 8.",
    "In the example given in the problem, the output for 3 is 6.",
    "The function must return the expected output for the sample input.",
    "Comparing the two fractions, the first one is larger.",
    "So far the solution looks right, but let me double-check the last step.",
    "The user wants a step-by-step explanation, so I will write one.",
    "According to the theorem, the sequence converges.",
    "According to the table, 12 students chose apples.",
    "The graph shows that the maximum lies between 2 and 3.",
    "Given the answer choices, only C is possible.",
    "The label on the x-axis says time, and the key shows three colours.",
    "I should present the final answer in a box.",
    "My previous attempt had a sign error, and the corrected result is 7.",
    "A proper proof would also treat the case n = 0.",
    "This contradicts the assumption, so the original statement holds.",
    "Therefore the required probability is 1/6.",
    "The desired ratio is 3 : 5.",
    "It is given that x is positive, so we discard the negative root.",
    "The standard approach is integration by parts.",
    "One could use a calculator to confirm this, but the exact value is enough.",
    "There might be a shorter solution, but this one is easy to follow.",
    "The provided data is enough to determine the mean.",
    "The total must be 100 per cent, so the remaining share is 15 per cent.",
    "The actual distance is larger than the estimate because the road is curved.",
    "As a sanity check, the units work out to metres per second.",
    "Recall that the derivative of the sine is the cosine.",
)


def texts_of_the_testbed(count: int) -> list[str]:
    task = ArithmeticTask()
    return [task.train_example(3, index).solution for index in range(count)]


def solver_prose(count: int) -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.sample(PROSE, 8)) for _ in range(count)]


def questions_of_reasoning_gym(count: int) -> list[str]:
    """Questions and answers as if a model had said them: other people's English, full of solutions and examples."""
    gym = pytest.importorskip("reasoning_gym")
    names = [
        "leg_counting",
        "gsm_symbolic",
        "basic_arithmetic",
        "chain_sum",
        "letter_counting",
        "word_sorting",
        "number_sorting",
        "gcd",
        "lcm",
        "dice",
        "prime_factorization",
        "simple_equations",
        "simple_geometry",
        "polynomial_equations",
        "syllogism",
        "knights_knaves",
        "countdown",
        "family_relationships",
        "calendar_arithmetic",
        "time_intervals",
        "coin_flip",
        "spell_backward",
        "number_sequence",
        "word_ladder",
        "group_anagrams",
        "propositional_logic",
        "base_conversion",
        "fraction_simplification",
        "count_primes",
        "power_function",
        "shortest_path",
        "tower_of_hanoi",
        "n_queens",
        "course_schedule",
        "ransom_note",
        "isomorphic_strings",
        "string_manipulation",
        "self_reference",
        "needle_haystack",
        "jugs",
        "caesar_cipher",
        "letter_jumble",
        "sentence_reordering",
        "mini_sudoku",
        "products",
    ]
    each = -(-count // len(names))
    made = [f"{e['question']}\n{e['answer']}" for name in names for e in gym.create_dataset(name, seed=7, size=each)]
    return made[:count]


@pytest.mark.parametrize(
    "source",
    [texts_of_the_testbed, solver_prose, pytest.param(questions_of_reasoning_gym, marks=pytest.mark.slow)],
)
def test_two_thousand_clean_texts_have_no_hit(source):
    texts = source(2000)
    assert len(texts) == 2000
    hits = [(f.hit.rule, f.hit.text) for text in texts for f in examine(text) if not f.dismissed and not f.apart]
    assert hits == []
