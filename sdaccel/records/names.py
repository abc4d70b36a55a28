"""What records call things: classes by their registered names, options as short as they stay clear."""

from collections.abc import Callable, Mapping
from typing import Any


def named(value: Any, name_of: Callable[[str], str]) -> Any:
    """A configuration with `name` in place of every `_target_`, a class's path."""
    if isinstance(value, list):
        return [named(entry, name_of) for entry in value]
    if not isinstance(value, dict):
        return value
    own = {"name": name_of(value["_target_"])} if "_target_" in value else {}
    return own | {key: named(entry, name_of) for key, entry in value.items() if key != "_target_"}


def short(option: str) -> str:
    """`generator.num_steps` reads as `num_steps`."""
    return option.removeprefix("generator.").removeprefix("backend.")


def arm_name(template: str, point: Mapping[str, Any]) -> str:
    """Its template with the values that tell it from the template's other arms."""
    values = ",".join(f"{short(key)}={value}" for key, value in point.items())
    return f"{template}[{values}]" if values else template


def random_weights(options: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """A model that draws its weights from a seed and of which no file was hashed."""
    return "init_seed" in options and "sha256" not in identity
