"""What every command line has of Hydra: a configuration composed from conf/, and a mistake in it told in one line."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from sdaccel.errors import BadInput, choices

ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]
"""The one store is its own copy: at every composition Hydra would copy all schemas, of which it copies again what it loads.
Pickled, as for a job of a launcher on another machine, it is whole."""


def composed(name: str, overrides: Sequence[str], *, conf: Path) -> DictConfig:
    """The primary configuration of this name."""
    with told_in_one_line(), within(conf):
        return compose(name, overrides=list(overrides))


def within(conf: Path) -> Any:
    """Hydra's global state, made for one composition unless a run already holds it."""
    if GlobalHydra.instance().is_initialized():
        return nullcontext()
    return initialize_config_dir(str(conf.resolve()), version_base="1.3")


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Every mistake is a BadInput."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(one_line(error)) from error
    except (YAMLError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise BadInput(f"a configuration file cannot be read as YAML ({' '.join(str(error).split())}); correct it.") from error


def one_line(error: BaseException) -> str:
    """Hydra's message in one line: what is wrong, and what there is to choose from."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(root, ConfigAttributeError | ConfigKeyError) and is_dataclass(root.object_type):
        options = [f.name for f in fields(root.object_type) if not f.name.startswith("_")]
        name = (
            getattr(root.object_type, "registered_as", None) or str(getattr(root.object_type, "__name__", "this node")).lower()
        )
        return f"{first} {name} has no key {root.key!r}; {choices(root.key, options, there='it has')}"
    if rest and rest[0].startswith("Available options"):
        known = list(itertools.takewhile(lambda line: not line.endswith(":"), rest[1:]))
        asked = re.search(r"'(?:.*/)?([^'/]+)'", first)
        return f"{first.rstrip('.')}; {choices(asked[1] if asked else '', known)}"
    if appended := re.search(r"Could not override '(\w+)'.*No match in the defaults list", " ".join([first, *rest])):
        return f"{appended[1]} is no group of every run; write +{appended[1]}=NAME to add one."
    if first.endswith(":") and rest:
        first = f"{first} {rest[0]}"
    detail = str(root).splitlines()[0]
    return (first if detail in first else f"{first} ({detail})").rstrip(".") + "."


def plain(node: Any) -> Any:
    """A config node as Python values."""
    return OmegaConf.to_container(node, resolve=True)
