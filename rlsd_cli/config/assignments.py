"""`--set key.sub=value`: read as YAML, and as it stands where the key takes a text."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from rlsd_cli.config.run import RunConfig
from rlsd_cli.errors import UserError

TEXTS = (str, str | None)  # types of keys whose values are texts


def parse_assignment(text: str) -> dict[str, Any]:
    """Turn ``train.steps=100`` into ``{'train': {'steps': 100}}``.

    The value is read as YAML; where a text is wanted, one that YAML takes for something else stays the text that it is.

    >>> parse_assignment("task.data.instruction=Answer: 7")
    {'task': {'data': {'instruction': 'Answer: 7'}}}

    Raises:
        UserError: There is no '=' or no key, or the value is no YAML.
    """
    key, found, value = text.partition("=")
    if not found or not all(part.isidentifier() for part in key.split(".")):
        raise UserError(f"--set takes key.sub=value, for example train.steps=100; got '{text}'.")
    kind = annotation_of(key)
    try:
        tree: Any = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        if kind not in TEXTS:
            raise UserError(f"the value in --set '{text}' is not valid YAML: put quotes around it.") from None
        tree = value
    if kind in TEXTS and not isinstance(tree, str) and (tree is not None or kind is str):
        tree = value.strip()  # a text that YAML takes for a number, a mapping or nothing
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return tree


def annotation_of(key: str) -> Any:
    """Return the type of a dotted key of a run's configuration; None where there is no such key."""
    kind: Any = RunConfig
    for part in key.split("."):
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
        if part not in fields:
            return None
        kind = fields[part].annotation
    return kind
