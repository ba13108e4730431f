"""`rlsd arms`: the paradigms side by side."""

from __future__ import annotations


def arms() -> None:
    """List the arms: what each learns from, its teacher, and its objective in one line."""
    from rich.console import Console
    from rich.table import Table

    from rlsd_cli.arms import ARMS, load_arm
    from rlsd_cli.config.run import TeacherConfig

    table = Table()
    for column in ("method", "data", "direction from", "teacher", "reference", "objective"):
        table.add_column(column, no_wrap=column == "method")
    for name in ARMS:
        arm = load_arm(name)
        settings = TeacherConfig.model_validate(arm.defaults.get("teacher", {}))
        teacher, reference = (arm.teacher or settings.source, arm.reference or settings.reference)
        if not arm.needs_teacher:
            teacher = "–"
        table.add_row(name, arm.data, arm.direction, teacher, reference, arm.summary)
    Console().print(table)
