"""`rlsd push`: a run's model to the hub, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    run_dir: Annotated[Path, typer.Argument(help="A finished run.")],
    repo_id: Annotated[str, typer.Argument(help="OWNER/NAME at the hub.")],
    public: Annotated[bool, typer.Option("--public", help="A new repository is public. Default: private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write and print the model card; send nothing.")] = False,
) -> None:
    """Publish a run's final model, with a card that says how it was trained and what was measured."""
    from rlsd_cli.hub.push import check_name, check_pushable, write_card
    from rlsd_cli.hub.push import push as send
    from rlsd_cli.runs.directory import RunDir

    check_name(repo_id)
    run = RunDir.open(run_dir)
    check_pushable(run)
    if dry_run:
        typer.echo(write_card(run))
        return
    from huggingface_hub import HfApi

    typer.echo(send(run, repo_id, HfApi(), private=not public))
