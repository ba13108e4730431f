"""Reading an arm costs no torch and no TRL: the table, a sweep's plan and a mistyped key answer at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlsd_cli.arms import ARMS, Look, load_arm

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "trl", "transformers", "datasets", "numpy", "pandas")


def loaded_by(code):
    """Return what a fresh interpreter has loaded after the code, of the libraries that take seconds."""
    script = f"import sys\n{code}\nprint([name for name in {LIBRARIES} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


LIGHT = {
    "the table of arms": "from rlsd_cli.commands.arms import arms; arms()",
    "every record": "from rlsd_cli.arms import ARMS, load_arm; [load_arm(name).views_of() for name in ARMS]",
    "an arm of one's own": "sys.path.append('tests/support')\n"
    "from rlsd_cli.arms import load_arm; load_arm('lab.positive')",
    "a plan of a sweep": "from pathlib import Path\n"
    "from rlsd_cli.sweep.plan import plan, read_sweep\n"
    "plan(read_sweep(Path('experiments/micro/paper.yaml')))",
    "a mistyped key": "from rlsd_cli.arms.configure import build\n"
    "from rlsd_cli.errors import UserError\n"
    "try: build([{'method': 'rlsd', 'objective': {'epsilom_w': 1}}])\n"
    "except UserError as error: assert 'epsilon_w' in str(error)",
}


@pytest.mark.parametrize("what", LIGHT)
def test_it_loads_no_heavy_library(what):
    assert loaded_by(LIGHT[what]) == "[]"


def test_the_list_is_seen_where_something_heavy_is_loaded():
    assert "torch" in loaded_by("import rlsd_cli.objectives")


@pytest.mark.parametrize("part", ["title", "colour", "line", "marker"])
def test_every_part_of_a_look_tells_the_arms_apart_alone(part):
    values = [str(getattr(load_arm(name).look, part)) for name in ARMS]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    "spoiled", [{"colour": "blue"}, {"marker": "$x$"}, {"line": (0,)}, {"title": ""}, {"title": "a\x1b"}, {"size": 3}]
)
def test_a_look_from_a_strangers_file_is_checked(spoiled):
    with pytest.raises(ValueError, match=next(iter(spoiled))):
        Look.model_validate({**load_arm("rlsd").look.model_dump(), **spoiled})


@pytest.mark.parametrize("method", ARMS)
def test_every_arm_says_where_it_is_described(method):
    arm = load_arm(method)
    page, _, section = arm.docs.partition("#")
    assert f"\n## {section}\n" in (ROOT / page).read_text()
    assert arm.summary
    assert arm.name == method


@pytest.mark.parametrize(
    ("method", "teacher", "reference"),
    [
        ("sft", "–", "solution"),
        ("grpo", "–", "–"),
        ("opd", "larger model", "–"),
        ("sdpo", "ema", "right sibling"),
        ("rlsd", "ema", "answer"),
        ("cepo", "ema", "answer, wrong reference"),
        ("rlcsd", "ema", "right sibling, wrong sibling"),
        ("sdpg", "ema, frozen", "answer, –"),
    ],
)
def test_the_teacher_and_what_it_sees_in_words(method, teacher, reference):
    words = load_arm(method).teacher_and_reference({"source": "ema", "reference": "answer"})
    assert words == (teacher, reference)
