"""`rlsd probe`: the gates for any model, task and arm, before money is spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlsd_cli.arms import configure
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment

if TYPE_CHECKING:
    from rich.console import Console

    from rlsd_cli.gates.base import Gate
    from rlsd_cli.gates.probe import Probed
    from rlsd_cli.gates.verdicts import Sentence

WHAT, MUCH, OUTPUT = "What to probe", "How much", "Output"


def probe(
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="The arm; `rlsd arms` lists them.", rich_help_panel=WHAT)
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings from experiments/PRESET/METHOD.yaml.", rich_help_panel=WHAT)
    ] = "micro",
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file instead of a preset, for example a run's config.yaml.", rich_help_panel=WHAT),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUB=VALUE", help="Set one value; repeatable.", rich_help_panel=WHAT),
    ] = None,
    questions: Annotated[int, typer.Option(min=2, help="Held-out questions.", rich_help_panel=MUCH)] = 32,
    seeds: Annotated[
        int, typer.Option(min=1, help="Completions of each question, and batches.", rich_help_panel=MUCH)
    ] = 1,
    prompts: Annotated[int, typer.Option(min=1, help="Questions of a batch, at most.", rich_help_panel=MUCH)] = 4,
    claims: Annotated[
        str, typer.Option(help="Whose claims: a paper's arXiv number, or all.", rich_help_panel=WHAT)
    ] = "2604.03128",
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.", rich_help_panel=MUCH)] = 0,
    output: Annotated[Path | None, typer.Option(help="Write all numbers to this JSON.", rich_help_panel=OUTPUT)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as JSON, and no tables.", rich_help_panel=OUTPUT)
    ] = False,
    gates_dir: Annotated[
        Path | None,
        typer.Option("--gates", help="Write MODEL.json for `rlsd plot --gates` here.", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Tell in minutes what a model, a task and an arm can show: which claims are testable there, and which not and why.

    Examples:
      rlsd probe
      rlsd probe --preset smollm2 --questions 16
      rlsd probe --method opsd --set model.path=DIRECTORY --set task.name=dataset --set task.data.path=FILE
    """
    from rich.console import Console

    sets = [parse_assignment(text) for text in assignments or []]
    flags = {"method": method} if method is not None else {}
    if config is not None:
        layer, source = layers.read_yaml(config), str(config)
    else:
        layer, source = configure.preset_layer(preset, method or "rlsd"), f"preset '{preset}'"
    resolved = configure.build([layer, flags, *sets], source if not sets else f"{source} with --set")
    from rlsd_cli.report.claims import check_paper, known_papers

    papers = known_papers() if claims == "all" else [check_paper(claims)]

    from rlsd_cli.models.libraries import quiet_libraries

    quiet_libraries(resolved.train.threads)
    from rlsd_cli.arms import load_arm
    from rlsd_cli.gates.probe import Plan
    from rlsd_cli.gates.probe import probe as measure
    from rlsd_cli.gates.records import record
    from rlsd_cli.gates.verdicts import all_gates, claims_for, sentences
    from rlsd_cli.report.gates import gates_file
    from rlsd_cli.runs.directory import jsonable, write_json

    plan = Plan(questions, seeds, prompts, seed=seed)
    with Stages(Console(stderr=True, quiet=quiet)) as told:
        probed = measure(resolved, plan, told)
    arm = load_arm(resolved.method)
    asked = claims_for(arm, papers)
    found = all_gates(probed, arm, asked)
    told_claims = sentences(found, asked)
    result = as_document(resolved.model.path, resolved.method, probed, found, told_claims)
    if output:
        write_json(output, result)
    if gates_dir:
        write_json(gates_file(gates_dir, resolved.model.path), record(probed.measured, found))
    if as_json:
        import json

        typer.echo(json.dumps(jsonable(result), indent=2, ensure_ascii=False))
    else:
        show(Console(), f"{resolved.model.path}, {resolved.task.name}, {resolved.method}", probed, found, told_claims)


def as_document(model: str, method: str, probed: Probed, found: list[Gate], claims: list[Sentence]) -> dict[str, Any]:
    """Return all that was measured and judged."""
    return {
        "schema_version": 1,
        "model": model,
        "method": method,
        **probed.as_json(),
        "gates": [
            {
                "text": gate.text,
                "asked": gate.asked,
                "value": gate.value,
                "met": None if gate.value is None else gate.met,
                "why": gate.why if gate.value is None else "",
                "claims": list(gate.claims),
            }
            for gate in found
        ],
        "claims": [
            {"claim": each.claim, "testable": each.testable, "because": each.because, "sentence": each.text}
            for each in claims
        ],
    }


def show(console: Console, title: str, probed: Probed, found: list[Gate], claims: list[Sentence]) -> None:
    """Print tables, and a sentence per claim."""
    from rlsd_cli.gates.page import gates_table
    from rlsd_cli.gates.probe_page import kinds_table, references_table, updates_table

    console.print(title, style="bold", markup=False, highlight=False)
    console.print(references_table(probed))
    if len(probed.measured.behaviour.rows) == 1:
        console.print("Open book not measured: no question has a reference.", highlight=False, soft_wrap=True)
    if probed.updates and "updates" not in probed.why:
        console.print(updates_table(probed))
    if any(shares for each in probed.updates for shares in each.shares.values()):
        console.print(kinds_table(probed))
    for what, reason in probed.why.items():
        name = {"updates": "The arm's update beside GRPO's", "placebo": "Placebo references"}[what]
        console.print(f"{name} not measured: {reason}.", markup=False, highlight=False, soft_wrap=True)
    console.print(gates_table(found))
    for each in claims:
        console.print(each.text, markup=False, highlight=False, soft_wrap=True)


class Stages:
    """A progress line on stderr: which part is measured; a bar of the parts so far."""

    PARTS = 9

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.console, self.task = console, self.bar.add_task("probing", total=self.PARTS)

    def __enter__(self) -> Stages:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, stage: str) -> None:
        """Begin a stage."""
        self.bar.update(self.task, description=f"probing: {stage.replace('_', ' ')}", advance=1)
        if not self.console.is_terminal:
            self.console.print(f"probing: {stage.replace('_', ' ')}", highlight=False)
