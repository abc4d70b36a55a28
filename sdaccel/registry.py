"""How a thing of a config group, such as a strategy, gets its name: a dataclass under `@configurable(group=..., name=...)`.

The frozen dataclass is at once the object, the only place of its defaults, and the schema its YAML is checked against: the YAML
opens with `defaults: [/schema/<group>/<name>@_here_, _self_]`. Strategies and backends promise more than a schema, so they are
registered by the decorators of `sdaccel.strategies.base`, which check it.

Modules of sdaccel.generators, sdaccel.strategies (which holds the backends too), sdaccel.metrics and sdaccel.benches are found
by themselves; other packages name theirs under entry points of those names.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import field, fields
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf, open_dict

from sdaccel.errors import BadInput

PACKAGES = ("sdaccel.generators", "sdaccel.strategies", "sdaccel.metrics", "sdaccel.benches")
PROMISING = ("strategy", "backend")
"""Groups whose members keep a contract."""

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Named(dict[str, T]):
    """Things of one kind that are found by importing them, by name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.homes: dict[str, str] = {}

    def add(self, name: str, thing: T, *, home: str) -> None:
        """`home` tells it from others of the name, which stands for one; importing its module again makes no second."""
        if self.homes.setdefault(name, home) != home:
            raise TypeError(f"{self.kind} {name} is registered twice: by {self.homes[name]} and by {home}")
        self[name] = thing


LATER = "later"


def later(default: Any) -> Any:
    """An option that its class got after records were made with it: at its default no record holds it, so their hashes stay."""
    return field(default=default, metadata={LATER: True})


def home_of(source: Any) -> str:
    """Of a class or a function."""
    return f"{source.__module__}.{source.__qualname__}"


CONFIGURABLES: dict[str, Named[type]] = {}
"""Group -> name -> class."""


def configurable(*, group: str, name: str, keeps: Callable[[str, type], None] | None = None) -> Callable[[C], C]:
    """Store the dataclass as the schema `name` of a config group; `keeps` raises if it breaks the group's contract."""
    if (group in PROMISING) != (keeps is not None):
        raise TypeError(f"register {group} {name} with @{group}(name={name!r}) of sdaccel.strategies.base, which checks it")

    def store(cls: C) -> C:
        if keeps is not None:
            keeps(name, cls)
        CONFIGURABLES.setdefault(group, Named(group)).add(name, cls, home=home_of(cls))
        cls.registered_as = name  # type: ignore[attr-defined]
        node = OmegaConf.structured(cls)
        for part in [node, *(child for child in node.values() if isinstance(child, DictConfig))]:
            OmegaConf.set_readonly(part, None)  # a frozen dataclass makes a read-only node
        with open_dict(node):
            node["_target_"] = f"{cls.__module__}.{cls.__qualname__}"
        ConfigStore.instance().store(group=f"schema/{group}", name=name, node=node)
        return cls

    return store


def name_of(thing: Any) -> str:
    """What its class, or the one it was derived from, is called in configuration."""
    name: str = thing.registered_as
    return name


def name_at(path: str) -> str:
    """What the class at this path is called in configuration: records and sample keys hold the name, so that it may move."""
    for group in CONFIGURABLES.values():
        for name, home in group.homes.items():
            if home == path:
                return name
    raise BadInput(f"{path} has no registered name, by which a record could know it; write @configurable above the class.")


def unsaid(path: str) -> dict[str, Any]:
    """Defaults of the options of the class at this path that came later."""
    found = [group[name] for group in CONFIGURABLES.values() for name, home in group.homes.items() if home == path]
    return {option.name: option.default for cls in found for option in fields(cls) if option.metadata.get(LATER)}


def load_all() -> None:
    """Import every module that may register something. Heavy libraries load inside the objects, not here."""
    for package in PACKAGES:
        load(package)


@cache
def load(package: str) -> None:
    """Every module of a package of ours, and what others registered under its name."""
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
        importlib.import_module(module.name)
    for point in entry_points(group=package):
        point.load()
