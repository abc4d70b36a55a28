"""How a generator, backend, strategy or suite of metrics gets its name: a dataclass under `@configurable(group=..., name=...)`.

The frozen dataclass is at once the object, the only place of its defaults, and the schema its YAML is checked against: the YAML
opens with `defaults: [/schema/<group>/<name>@_here_, _self_]`. Modules of sdaccel.generators, sdaccel.strategies (which
holds the backends too) and sdaccel.metrics.suites are found by themselves; other packages name theirs under entry points of
those names.
"""

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf, open_dict

from sdaccel.errors import BadInput

PACKAGES = ("sdaccel.generators", "sdaccel.strategies", "sdaccel.metrics.suites")
NAMES: dict[str, tuple[str, str]] = {}
"""Path of a class -> (group, name): records and sample keys hold the name, so that a class may move."""

T = TypeVar("T", bound=type)


def configurable(*, group: str, name: str) -> Callable[[T], T]:
    """Store the dataclass as the schema `name` of a config group."""

    def store(cls: T) -> T:
        node = OmegaConf.structured(cls)
        for part in [node, *(child for child in node.values() if isinstance(child, DictConfig))]:
            OmegaConf.set_readonly(part, None)  # a frozen dataclass makes a read-only node
        path = f"{cls.__module__}.{cls.__qualname__}"
        NAMES[path] = (group, name)
        with open_dict(node):
            node["_target_"] = path
        ConfigStore.instance().store(group=f"schema/{group}", name=name, node=node)
        return cls

    return store


def name_of(path: str) -> str:
    """The registered name of a class."""
    if path not in NAMES:
        raise BadInput(f"{path} has no registered name, by which a record could know it; write @configurable above the class.")
    return NAMES[path][1]


def load_all() -> None:
    """Import every module that may hold a configurable. Heavy libraries load inside the objects, not here."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            importlib.import_module(module.name)
        for point in entry_points(group=package):
            point.load()
