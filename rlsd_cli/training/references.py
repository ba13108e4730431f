"""Whether a run's questions have the references that its arm needs: told before training, not found out after."""

from __future__ import annotations

from rlsd_cli.arms import Arm
from rlsd_cli.config.run import RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.base import ReferenceKind, Task

LOOKED_AT = 64  # questions of a task that makes its questions, and so gives all of them a reference or none


def missing_references(task: Task, kind: ReferenceKind, seed: int) -> tuple[int, int]:
    """Return (training questions without a reference of a kind, training questions looked at).

    A data set says it of all its questions; of other tasks the first ones of the run are made.
    """
    if hasattr(task, "missing_references"):
        return task.missing_references(kind)
    made = [task.train_example(seed, index).reference(kind) for index in range(LOOKED_AT)]
    return sum(not text.strip() for text in made), len(made)


def check_references(config: RunConfig, arm: Arm, task: Task) -> str:
    """Return a warning if some questions lack the reference that the arm's teacher sees, else ''.

    Raises:
        UserError: All questions lack it; or the arm learns the solutions themselves, and some lack one.
    """
    sources = {view.source for view in arm.views_of(arm.options.model_validate(config.objective)).values()}
    if config.teacher.prompt_column is not None and sources - {"reference", "prompt"}:
        raise UserError(
            f"{config.method}'s teacher sees what was sampled, which no column holds: leave teacher.prompt_column out, "
            "or write a teacher.template."
        )
    if arm.learns_solutions:
        missing, total = missing_references(task, "solution", config.seed)
        if missing:
            raise UserError(
                f"{arm.name} learns reference solutions, and {missing} of {total} questions have none: "
                "set task.data.columns.solution, or drop these questions."
            )
    views = arm.views_of(arm.options.model_validate(config.objective)).values()
    if not any(view.source in ("reference", "other") for view in views):
        return ""
    kind = config.teacher.reference
    missing, total = missing_references(task, kind, config.seed)
    for other in (config.teacher.references or [])[1:]:
        if missing_references(task, other.kind, config.seed)[0] == total:
            raise UserError(
                f"no question has a reference of the kind '{other.kind}', which teacher.references names: "
                f"name its column with task.data.columns.{other.kind}, or leave it out."
            )
    if missing == total:
        raise UserError(
            f"no question has a reference of the kind teacher.reference={kind}, so {config.method}'s teacher would "
            f"see nothing more than the student: name its column with task.data.columns.{kind}, "
            "or set teacher.reference=answer."
        )
    if not missing:
        return ""
    return (
        f"{missing} of {total} questions have no reference of the kind teacher.reference={kind}: "
        f"for them {config.method} has no teacher (docs/data.md)."
    )
