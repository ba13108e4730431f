"""Training progress in the terminal: a live line with reward, leakage and time left; plain lines elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rlsd_cli.config.run import RunConfig

PLAIN_EVERY_S = 10.0


def number(value: Any, digits: int = 2) -> str:
    """Return a metric for a person: '–' where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


class TrainProgress:
    """Shows the steps of one run on stderr."""

    def __init__(self, config: RunConfig, path: Path, quiet: bool = False) -> None:
        self.config = config
        self.path = path
        self.console = Console(stderr=True, quiet=quiet)
        self.last: dict[str, Any] = {}
        self._last_plain = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("reward {task.fields[reward]}  leakage {task.fields[leakage]}  {task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._progress.add_task(
            f"[bold]{escape(config.name)}[/] seed {config.seed}",
            total=config.train.steps,
            reward="–",
            leakage="–",
            speed="",
        )

    def __enter__(self) -> TrainProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a sentence above the live line."""
        self.console.print(text, style="yellow", markup=False, highlight=False)

    def update(self, record: dict[str, Any]) -> None:
        """Show a step that has ended."""
        self.last = record
        reward = record.get("reward", record.get("probe/accuracy"))
        leakage = record.get("leakage/rate", record.get("probe/leakage"))
        seconds = f"{record['time/step_s']:.2f} s/step"
        self._progress.update(
            self._task, completed=record["step"], reward=number(reward), leakage=number(leakage), speed=seconds
        )
        now = time.monotonic()
        last_step = record["step"] == self.config.train.steps
        if not self.console.is_terminal and (now - self._last_plain > PLAIN_EVERY_S or last_step):
            self._last_plain = now
            self.console.print(
                f"{self.config.name} seed {self.config.seed}  step {record['step']}/{self.config.train.steps}  "
                f"reward {number(reward)}  leakage {number(leakage)}  {seconds}",
                markup=False,
                highlight=False,
            )

    def close_with_summary(self) -> None:
        """Print where the run is, and what to do with it."""
        self.console.print(f"run directory: {self.path}", markup=False, highlight=False, soft_wrap=True)
