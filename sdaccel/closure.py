"""The code that a module may run: the modules it imports, and theirs, read from the sources and not from a running process.

Imports inside functions count, those for types alone do not. Only modules of the packages that were asked for are followed;
everything else is a library, which is known by its version.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path


@dataclass(frozen=True)
class Closure:
    files: dict[str, Path]
    """Module -> its source."""
    libraries: frozenset[str]
    """Top-level names that are imported from outside."""

    def fingerprint(self) -> str:
        """Hash of all sources and of the versions of all libraries, whatever folder they lie in."""
        files = {name: _content(path, path.stat().st_mtime_ns) for name, path in self.files.items()}
        return fingerprint_of(files, {name: version_of(name) for name in self.libraries})


def fingerprint_of(files: Mapping[str, str], libraries: Mapping[str, str]) -> str:
    """Of the hashes of modules and the versions of libraries."""
    parts = [*sorted(files.items()), *sorted(libraries.items())]
    return hashlib.sha256("\0".join(f"{name}\0{what}" for name, what in parts).encode()).hexdigest()[:16]


def closure(modules: Iterable[str]) -> Closure:
    """Of these modules; a package stands for all modules in it."""
    waiting = [found for name in modules for found in _whole(name)]
    packages = {name.partition(".")[0] for name in waiting}
    files: dict[str, Path] = {}
    libraries: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        top = name.partition(".")[0]
        if top not in packages:
            libraries.add(top)
        elif (path := source(name)) is not None:
            files[name] = path
            parent = name.rpartition(".")[0]
            waiting += [*imports_of(name), *([parent] if parent else [])]
    return Closure(files, frozenset(libraries - sys.stdlib_module_names))


def _whole(name: str) -> list[str]:
    path = source(name)
    if path is None or path.name != "__init__.py":
        return [name]
    inside = [file.relative_to(path.parent).with_suffix("") for file in path.parent.rglob("*.py")]
    return [name, *(".".join([name, *file.parts]).removesuffix(".__init__") for file in inside)]


@cache
def source(name: str) -> Path | None:
    """The file of a module; None where there is none, as for a name that some module only holds."""
    parent = name.rpartition(".")[0]
    folder = source(parent) if parent else None
    if parent and (folder is None or folder.name != "__init__.py"):
        return None
    found = PathFinder.find_spec(name, [str(folder.parent)] if folder else None)
    return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else _imported(name)


def _imported(name: str) -> Path | None:
    """Of a module that was found by other means than a search along the path, as an editable install is."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if file and file.endswith(".py") else None


def imports_of(name: str, *, lazy: bool = True) -> tuple[str, ...]:
    """Names of modules, and names that may be modules, that this one imports; `lazy`: also those inside functions."""
    path = source(name)
    return () if path is None else _imports(name, path, lazy, path.stat().st_mtime_ns)


@cache
def _imports(name: str, path: Path, lazy: bool, modified: int) -> tuple[str, ...]:
    return named_in(path.read_bytes(), name if path.name == "__init__.py" else name.rpartition(".")[0], lazy=lazy)


def named_in(source: bytes, package: str, *, lazy: bool = True) -> tuple[str, ...]:
    """The same of a module of this package by its text."""
    return tuple(_named(_run(ast.parse(source), lazy), package))


def _named(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _run(tree: ast.AST, lazy: bool) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`, and unless `lazy` those of functions."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.Lambda) and not lazy:
            continue
        for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        waiting += node.orelse if for_types else ast.iter_child_nodes(node)  # type: ignore[attr-defined]


@cache
def _content(path: Path, modified: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def version_of(library: str) -> str:
    """Of the distribution that a top-level name comes from; empty where none is installed."""
    return " ".join(sorted(version(name) for name in set(distributions().get(library, []))))


@cache
def distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())
