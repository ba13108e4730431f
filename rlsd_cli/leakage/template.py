"""A rule made from a teacher's own prompt: what it calls the privileged text is what a leak repeats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rlsd_cli.leakage.normalise import normalise
from rlsd_cli.leakage.rules import Pack, english_words, make_pack

OWN_RULE = "own_template"
NEAR = 160  # characters before the place of the reference in which a template names it
_HEADS = (
    "solution|answer|response|reference|hint|demonstration|example|explanation|proof|derivation|reasoning|trace|rationale"
    "|feedback|critique|key|label|output|result|attempt|guide|notes|plan|sketch|walkthrough|information|context|caption"
    "|annotation|transcript|translation|code|program|patch|steps|rubric|report|text|document|passage|completion|expert"
)
_NO_PART = "the|an|this|that|is|your|my|its|following|here|below|above"
_PHRASE = re.compile(rf"\b((?:(?!(?:{_NO_PART})\b)[\w']{{2,14}} ){{0,2}}(?:{_HEADS})s?)\b")
_EVERYDAY = {
    "answer",
    "final answer",
    "solution",
    "result",
    "text",
    "steps",
    "output",
    "code",
    "reasoning",
    "your answer",
}


def template_nouns(template: str, marker: str = "{reference}") -> list[str]:
    r"""Return what a template calls the text at ``marker``, the nearest first.

    A bare "answer" or "solution" is left out: a student says it of its own work.

    >>> template_nouns("Problem: {question}\\nHere is a correct solution:\\n{reference}\\nNow solve it yourself.")
    ['correct solution']
    """
    place = template.find(marker)
    before = normalise(template[max(0, place - NEAR) : place] if place >= 0 else template)
    found = [" ".join(match.group(1).split()) for match in _PHRASE.finditer(before)]
    return [phrase for phrase in dict.fromkeys(reversed(found)) if phrase not in _EVERYDAY]


def template_pack(nouns: list[str]) -> Pack:
    """Return a rule for these phrases, in the frames of the English pack: what leans on them, and where they speak."""
    phrases = "|".join(re.escape(noun).replace(r"\ ", " ") for noun in sorted(nouns, key=len, reverse=True))
    near: dict[str, Any] = {
        "anchors": sorted({noun.split()[-1] for noun in nouns}),
        "before": ["<leans_on>", "<lean_on>", "<stands_in>"],
        "after": ["<speaks>", "<held>"],
        "patterns": [rf"(?<![\w-])(?:(?:<this>) )?(?:{phrases})\b"],
    }
    rule = {"about": f"what the run's own teacher prompt says ({', '.join(nouns)})", "weight": 3, "near": [near]}
    return make_pack({"rules": {OWN_RULE: rule | {"like": True}}, **english_words()}, "own")


def teacher_nouns(task: Any) -> list[str]:
    """Return what the teacher prompt of a task calls the reference."""
    marker = "\u2038reference\u2038"
    prompt = task.teacher_prompt("\u2038question\u2038", marker)
    if isinstance(prompt, list):
        prompt = "\n".join(str(message.get("content", "")) for message in prompt)
    return template_nouns(str(prompt), marker)


def run_nouns(run_dir: Path) -> list[str]:
    """Return what the teacher prompt of a run calls the reference; nothing where the run's task is not at hand."""
    from rlsd_cli.config.run import RunConfig
    from rlsd_cli.errors import UserError
    from rlsd_cli.runs.directory import RunDir
    from rlsd_cli.tasks.load import task_of

    run = RunDir.open(run_dir)
    try:
        return teacher_nouns(task_of(RunConfig.model_validate(run.config())))
    except (UserError, ValueError, KeyError, TypeError):
        return []  # an old run, or one whose data set is elsewhere: its completions can be audited all the same
