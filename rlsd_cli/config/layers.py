"""Sections and layers of the configuration: checked models, YAML files, `key.sub=value`, merging, near misses.

Later layers win: defaults, the arm's own defaults, a preset or config file, flags, `--set`.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rlsd_cli.errors import UserError
from rlsd_cli.records.kinds import refuse_url

Checked = TypeVar("Checked", bound=BaseModel)


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DoubleKey(Exception):
    """A mapping has one key twice; the message says which and where."""


class UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings have each key once; PyYAML itself takes the last and says nothing."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return a mapping.

        Raises:
            DoubleKey: It has a key twice.
        """
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in lines:
                    raise DoubleKey(f"has the key '{key.value[:60]}' in line {lines[key.value]} and in line {line}")
                lines[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping.

    Raises:
        UserError: The file is missing, not YAML, or not a mapping.
    """
    refuse_url(path, "the config file")
    try:
        value = yaml.load(path.read_bytes(), UniqueKeys)
    except FileNotFoundError:
        raise UserError(f"the config file {path} does not exist: check the path.") from None
    except OSError as error:
        raise UserError(f"the config file {path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except DoubleKey as double:
        raise UserError(f"the config file {path} {double}: keep one of them.") from None
    except yaml.reader.ReaderError:
        raise UserError(f"the config file {path} is no text in UTF-8: save it as such.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise UserError(f"the config file {path} is not valid YAML{where}: fix it.") from None
    except (ValueError, RecursionError):  # a date such as 2026-02-30; brackets without end
        raise UserError(f"the config file {path} is not valid YAML: fix it.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"the config file {path} must hold keys and values, like 'seed: 1'.")
    return value


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings section by section; later layers win."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = result.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            result[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" where a candidate is close to ``word``, else ''."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f", did you mean '{matches[0]}'?" if matches else ""


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted keys that a section accepts."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
    return keys


def short(value: Any) -> str:
    """Return ``value`` as Python writes it, cut: YAML's aliases can make a few lines of text into gigabytes."""
    writer = reprlib.Repr()
    writer.maxstring = writer.maxother = 100
    writer.maxlevel = 3
    return writer.repr(value)[:300]


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Turn pydantic's first complaint into one sentence, with the nearest valid key for a mistyped one."""
    first = error.errors()[0]
    key = prefix + ".".join(str(part)[:100] for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no key '{key}'{nearest(key, [prefix + name for name in known_keys(model)]) or '.'}"
    if first["type"] == "missing":
        return f"'{key}' is missing: give it."
    if first["input"] is None and first["type"].endswith("_type"):
        return f"'{key}' has no value: give one."
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{message}."
    return f"'{key}' is {short(first['input'])}: {message[0].lower()}{message[1:]}."


def validated(model: type[Checked], value: Mapping[str, Any], source: str, prefix: str = "") -> Checked:
    """Return ``value`` as a section.

    Raises:
        UserError: A key is unknown or mistyped, or a value is out of range.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{source} is not valid: {explain(error, model, prefix)}") from None
