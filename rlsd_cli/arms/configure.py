"""From layers to a run's configuration: presets, the arm's own defaults, and the objective that the arm checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rlsd_cli.arms import ARMS, check_method, load_arm
from rlsd_cli.config.layers import merge, nearest, read_yaml, validated
from rlsd_cli.config.run import RunConfig
from rlsd_cli.errors import UserError


def presets_dir() -> Path:
    """Return the directory of presets: `experiments/` of the checkout, or its copy in the installed package."""
    return Path(__file__).parents[1] / "presets"


def preset_file(preset: str, method: str) -> Path:
    """Return the file of a preset for a method.

    Raises:
        UserError: No such method or preset, or the preset has no file for the method.
    """
    check_method(method)
    folder = presets_dir() / preset
    # Folders without a method's file hold something else: presets of accelerate's launcher.
    names = sorted({path.parent.name for name in ARMS for path in presets_dir().glob(f"*/{name}.yaml")})
    if preset not in names:
        raise UserError(f"there is no preset '{preset[:100]}'{nearest(preset, names)}; presets: {', '.join(names)}.")
    if not (folder / f"{method}.yaml").is_file():
        methods = [name for name in ARMS if (folder / f"{name}.yaml").is_file()]
        raise UserError(f"preset '{preset}' has no file for '{method}'; it has: {', '.join(methods)}.")
    return folder / f"{method}.yaml"


def preset_layer(preset: str, method: str) -> dict[str, Any]:
    """Return a preset's settings for a method.

    An arm for which the preset has no file, such as one of the user's own, takes those of the arm that it names as
    ``like``: task, model and training, and its own defaults for the teacher and the objective.

    Raises:
        UserError: As `preset_file`.
    """
    check_method(method)
    like, folder = load_arm(method).like, presets_dir() / preset
    if (folder / f"{method}.yaml").is_file() or not (like and (folder / f"{like}.yaml").is_file()):
        return read_yaml(preset_file(preset, method))
    layer = read_yaml(preset_file(preset, like))
    return {key: value for key, value in layer.items() if key not in ("teacher", "objective")} | {"method": method}


def build(layers: Iterable[Mapping[str, Any]], source: str = "the configuration") -> RunConfig:
    """Merge layers into a RunConfig, the arm's objective included.

    Raises:
        UserError: A key is unknown or mistyped, or a value is out of range.
    """
    merged = merge(*layers)
    method = merged.get("method")
    if not isinstance(method, str):
        raise UserError(f"{source} does not say which method to train: give --method, or a line 'method: rlsd'.")
    check_method(method)
    validated(RunConfig, merged, source)  # most mistakes are told here, before the arm's module is imported
    arm = load_arm(method)
    config = validated(RunConfig, merge(arm.defaults, merged), source)
    objective = validated(arm.options, config.objective, source, "objective.")
    return config.model_copy(update={"objective": objective.model_dump()})


def describes(stored: Mapping[str, Any], config: RunConfig) -> bool:
    """Return whether a run's stored configuration is ``config``; keys that it does not know have their defaults.

    So a run made before a setting existed is still the same run, and so is one that reports elsewhere.
    """
    if stored.get("method") != config.method:  # no arm is imported because a file names it
        return False
    try:
        return build([stored]).without_places() == config.without_places()
    except UserError:
        return False
