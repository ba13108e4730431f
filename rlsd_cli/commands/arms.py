"""`rlsd arms`: the paradigms, one below the other."""

from __future__ import annotations


def arms() -> None:
    """List the arms: the objective in one line, what each learns from, and what its teacher sees."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rlsd_cli.arms import ARMS, load_arm
    from rlsd_cli.config.run import TeacherConfig

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True, style="bold")
    table.add_column("objective\n[dim]data · direction from · teacher: what it sees[/]")
    for name in ARMS:
        arm = load_arm(name)
        settings = TeacherConfig.model_validate(arm.defaults.get("teacher", {})).model_dump()
        teacher, reference = arm.teacher_and_reference(settings)
        sees = teacher if reference == "–" else f"{teacher}: {reference}"
        told = f"{arm.data} · {arm.direction} · {sees}"
        table.add_row(name, f"{escape(arm.summary)}\n[dim]{escape(told)}[/]")
    Console().print(table)
