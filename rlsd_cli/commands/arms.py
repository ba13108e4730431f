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
        settings = TeacherConfig.model_validate(arm.defaults.get("teacher", {})).model_dump()
        table.add_row(name, arm.data, arm.direction, *arm.teacher_and_reference(settings), arm.summary)
    Console().print(table)
