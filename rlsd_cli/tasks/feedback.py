"""What an environment says of a completion, for teachers that may see it (SDPO)."""

from __future__ import annotations

from rlsd_cli.tasks.base import Task
from rlsd_cli.verifiers.verdict import Verdict


def feedback_on(task: Task, prompt: str, completion: str, verdict: Verdict) -> str:
    """Return the feedback on a completion, '' where there is none: of right completions, and of silent verifiers.

    A task with a method ``feedback(prompt, completion, verdict)`` speaks for itself; of others it is the rule by which
    the verifier refused the answer, beside that answer.
    """
    own = getattr(task, "feedback", None)
    if own is not None:
        return str(own(prompt, completion, verdict))
    if verdict.correct or not verdict.why:
        return ""
    said = f"answered {verdict.extracted}" if verdict.extracted else "gave no answer"
    return f"Feedback on an earlier attempt, which {said}: {verdict.why}."
