"""What each tool writes, and where: one reader per tool, from a directory to a `Log`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.foreign.log import Log
from rlsd_cli.foreign.names import OPENRLHF, TRL, VERL, number, renamed, whole
from rlsd_cli.foreign.places import STEP_NAME, named, one_run, rows_in
from rlsd_cli.foreign.rows import LAST_STEP, Beside, rollouts_of
from rlsd_cli.leakage.inputs.layouts import STEP
from rlsd_cli.records import Damage, RowError, stream_rows
from rlsd_cli.runs.directory import read_object

_CONSOLE = {".log", ".txt", ".out"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Given:
    """Where the user says that things lie, and what columns are called."""

    directory: Path
    completions: Path | None = None
    evaluations: Path | None = None
    beside: Beside = field(default_factory=Beside)
    names: Mapping[str, str] | None = None  # from the tool's name of a metric to ours


Reader = Callable[[Given], Log]


def _rows(path: Path, log: Log) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of metrics; a last line that is torn, as of a killed run, is left out and told."""
    log.sources.append(path)
    try:
        for place, row in stream_rows(path):
            if isinstance(row, RowError):
                log.skipped[f"row {place} of {path.name}: {row}"] += 1
            else:
                yield row
    except Damage as damage:
        raise UserError(f"{path} cannot be read: {damage}.") from None


def _attach(log: Log, given: Given, rollouts: list[Path], evaluations: list[Path], beside: Beside) -> None:
    trained = rows_in(given.completions) if given.completions else rollouts
    held_out = rows_in(given.evaluations) if given.evaluations else evaluations
    log.sources += [*trained, *held_out]
    log.rollouts = partial(rollouts_of, trained, beside, log)
    log.evaluations = partial(rollouts_of, held_out, beside, log)


def _step(record: Mapping[str, Any]) -> int | None:
    """Return the step that a line of metrics says, also as ms-swift's ``3/100``."""
    for name in (*STEP, "global_step/max_steps"):
        value = record.get(name)
        if isinstance(value, str):
            value = value.split("/")[0]
        if (step := whole(value)) is not None and step <= LAST_STEP:
            return step
    return None


def _history(lines: Iterator[dict[str, Any]], log: Log, names: Mapping[str, str]) -> None:
    for line in lines:
        step = _step(line)
        if step is None:
            if "train_runtime" not in line:
                log.skipped["lines of metrics that name no step (--step-column)"] += 1
        else:
            log.add(step, renamed(line, names))


def _functions(log: Log) -> tuple[str, ...]:
    """Return the reward functions that the metrics of TRL and ms-swift name: columns beside the completions."""
    keys = {key for record in log.metrics.values() for key in record}
    return tuple(sorted(key.split("/")[1] for key in keys if re.fullmatch(r"rewards/[^/]+/mean", key)))


def trl(given: Given) -> Log:
    """TRL: ``trainer_state.json`` (of the run, or of its newest checkpoint) and ``completions/*.parquet``."""
    log = Log()
    states = named(given.directory, lambda path: path.name == "trainer_state.json")
    one_run(states, "TRL", lambda path: path.parents[1] if path.parent.name.startswith("checkpoint-") else path.parent)
    read = [(path, read_object(path)) for path in states]
    if read:
        path, state = max(read, key=lambda pair: number(pair[1].get("global_step")) or 0)
        history = state.get("log_history")
        if not isinstance(history, list) or not all(isinstance(line, dict) for line in history):
            raise UserError(f"{path} holds no log_history: give the directory that TRL's trainer wrote.")
        log.sources.append(path)
        _history(iter(history), log, TRL | dict(given.names or {}))
        log.steps = whole(state.get("max_steps")) or None
    tables = named(given.directory, lambda path: re.fullmatch(r"completions_\d+\.parquet", path.name))
    one_run(tables, "TRL")
    functions = given.beside.reward or _functions(log)
    _attach(log, given, tables, [], Beside(given.beside.columns, functions, given.beside.correct))
    return log


def ms_swift(given: Given) -> Log:
    """ms-swift: ``logging.jsonl``, ``completions.jsonl`` (a line of columns per step) and ``args.json``."""
    log = Log()
    lines = one_run(named(given.directory, lambda path: path.name == "logging.jsonl"), "ms-swift")
    for path in lines:
        _history(_rows(path, log), log, TRL | dict(given.names or {}))
        log.steps = _planned(path)
    tables = one_run(named(given.directory, lambda path: path.name == "completions.jsonl"), "ms-swift")
    for path in one_run(named(given.directory, lambda path: path.name == "args.json" and len(path.parts) <= 2), "args"):
        log.sources.append(path)
        log.settings = _of_arguments(read_object(path))
    functions = given.beside.reward or _functions(log)
    _attach(log, given, tables, [], Beside(given.beside.columns, functions, given.beside.correct))
    return log


def _planned(path: Path) -> int | None:
    for _, row in stream_rows(path):
        if isinstance(row, dict) and "/" in (text := str(row.get("global_step/max_steps", ""))):
            return whole(text.split("/")[1]) or None
    return None


def _of_arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    train = {"learning_rate": found.get("learning_rate"), "group_size": found.get("num_generations")}
    settings: dict[str, Any] = {"train": {key: value for key, value in train.items() if number(value) is not None}}
    if isinstance(found.get("model"), str):
        settings["model"] = {"path": found["model"]}
    return settings


def verl(given: Given) -> Log:
    """verl: the file logger's ``{"step", "data"}`` lines, or the console's; rollouts and validation as ``N.jsonl``."""
    log = Log()
    names = VERL | dict(given.names or {})
    for path in named(given.directory, lambda path: path.suffix == ".jsonl" and not STEP_NAME.fullmatch(path.name)):
        first = next((row for _, row in stream_rows(path) if isinstance(row, dict)), {})
        if isinstance(first.get("data"), dict) and "step" in first:
            for row in _rows(path, log):
                step, data = _step(row), row.get("data")
                if step is not None and isinstance(data, dict):
                    log.add(step, renamed(data, names))
    if not log.metrics:
        _from_console(given.directory, log, partial(_line_of_verl, names=names))
    _number_of_tokens(log)
    dumps = named(given.directory, lambda path: STEP_NAME.fullmatch(path.name))
    held_out = [path for path in dumps if "val" in path.parent.name.lower()]
    trained = [path for path in dumps if path not in held_out]
    _attach(log, given, trained, held_out, given.beside)
    return log


def _number_of_tokens(log: Log) -> None:
    total = 0
    for step in sorted(log.metrics):
        if (tokens := log.metrics[step].get("perf/total_num_tokens")) is not None:
            total += int(tokens)
            log.metrics[step]["num_tokens"] = total


def _line_of_verl(line: str, names: Mapping[str, str]) -> tuple[int, dict[str, Any]] | None:
    match = re.search(r"\bstep:(\d+) - (.+)$", line)
    if match is None:
        return None
    pairs = (part.rsplit(":", 1) for part in match.group(2).split(" - "))
    return int(match.group(1)), renamed({pair[0]: pair[1] for pair in pairs if len(pair) == 2}, names)


def openrlhf(given: Given) -> Log:
    """OpenRLHF: the console's ``Global step N: {…}`` lines, or TensorBoard's files."""
    log = Log()
    names = OPENRLHF | dict(given.names or {})
    _from_console(given.directory, log, partial(_line_of_openrlhf, names=names))
    if not log.metrics:
        events = one_run(named(given.directory, lambda path: path.name.startswith("events.out.tfevents")), "OpenRLHF")
        for path in events:
            log.sources.append(path)
        for folder in {path.parent for path in events}:
            for step, record in scalars(folder).items():
                plain = {key.removeprefix("train/"): value for key, value in record.items()}
                log.add(step, renamed(plain, names))
    _attach(log, given, [], [], given.beside)
    return log


def _line_of_openrlhf(line: str, names: Mapping[str, str]) -> tuple[int, dict[str, Any]] | None:
    match = re.search(r"Global step (\d+): (\{.*\})\s*$", line)
    if match is None:
        return None
    text = re.sub(r"\b(nan|inf)\b", "None", match.group(2))
    try:
        record = ast.literal_eval(re.sub(r"np\.\w+\(([^()]*)\)", r"\1", text))
    except (ValueError, SyntaxError, RecursionError):
        return None
    return int(match.group(1)), renamed(record, names)


def scalars(folder: Path) -> dict[int, dict[str, float]]:
    """Return the numbers in TensorBoard's files of a folder, by step.

    Raises:
        UserError: The package that reads them is missing.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        raise UserError(f"{folder} holds TensorBoard's files: pip install tensorboard, which reads them.") from None
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    found: dict[int, dict[str, float]] = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            found.setdefault(event.step, {})[tag] = event.value
    return found


def _from_console(directory: Path, log: Log, parse: Callable[[str], tuple[int, dict[str, Any]] | None]) -> None:
    """Read metrics from what a tool has printed, of whichever files hold such lines."""
    holding = []
    for path in named(directory, lambda path: path.suffix in _CONSOLE):
        with open(path, encoding="utf-8", errors="replace") as file:
            found = [each for line in file if (each := parse(_COLOUR.sub("", line))) is not None]
        if found:
            holding.append((path, found))
    one_run([path for path, _ in holding], "logged")
    for path, found in holding:
        log.sources.append(path)
        for step, record in found:
            log.add(step, record)


def table(given: Given) -> Log:
    """Tables: a file with a column of completions is one of completions, any other with a step one of metrics."""
    log = Log()
    files = rows_in(given.directory, lambda path: "val" not in path.stem.lower() and "eval" not in path.stem.lower())
    held_out = [path for path in rows_in(given.directory) if path not in files]
    trained = []
    for path in files:
        first = next((row for _, row in stream_rows(path) if isinstance(row, dict)), {})
        if _has_completions(first, given.beside, path):
            trained.append(path)
        else:
            _history((_with_step(row, given) for row in _rows(path, log)), log, dict(given.names or {}))
    _attach(log, given, trained, held_out, given.beside)
    return log


def _with_step(row: dict[str, Any], given: Given) -> dict[str, Any]:
    column = given.beside.columns.step
    return {**row, "step": row.get(column)} if column else row


def _has_completions(row: dict[str, Any], beside: Beside, path: Path) -> bool:
    from rlsd_cli.leakage.inputs.layouts import Columns, recognise

    try:
        column = recognise(row, Columns(beside.columns.completion), path).completion
    except UserError:
        return False
    return number(row.get(column)) is None


READERS: dict[str, Reader] = {"trl": trl, "verl": verl, "ms-swift": ms_swift, "openrlhf": openrlhf, "csv": table}


def read_log(tool: str, given: Given) -> Log:
    """Read a tool's logs.

    Raises:
        UserError: The directory does not exist or holds none, or a file of it is damaged.
    """
    if not given.directory.exists():
        raise UserError(f"{given.directory} does not exist: give the directory of {tool}'s logs.")
    if given.directory.is_file() and tool != "csv":
        raise UserError(f"{given.directory} is a file: give the directory that holds {tool}'s logs.")
    try:
        return READERS[tool](given)
    except Damage as damage:
        raise UserError(f"{given.directory} cannot be read: {damage}.") from None
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror or error}.") from None
