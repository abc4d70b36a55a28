"""The house: who may import whom, no circles, and who may know a strategy or an engine by name. Read from the sources."""

import ast
from functools import cache
from pathlib import Path

import pytest

from sdaccel.closure import imports_of, source
from sdaccel.registry import CONFIGURABLES
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from tests.conftest import ROOT

PACKAGE = ROOT / "sdaccel"
GROUND = [
    "errors",
    "noise",
    "conditions",
    "prompt_table",
    "samples",
    "claims",
    "processes",
    "shipped",
    "threads",
    "torchvision_guard",
    "registry",
    "closure",
    "locks",
    "configuring",
    "user_files",
    "weight_files",
]
"""Modules that everything may stand on."""
BELOW: dict[str, list[str]] = {
    "kernels": [],
    "measure": [],
    "world": [],
    "generators": ["kernels", "measure", "world"],
    "strategies": ["generators", "kernels", "measure", "world"],
    "metrics": ["world"],
    "records": ["measure", "metrics", "world"],
    "predict": ["strategies", "generators", "world"],
    "studies": ["predict", "strategies", "generators", "records", "metrics", "measure", "world"],
    "benches": ["predict", "strategies", "generators", "records", "metrics", "measure", "kernels"],
    "zoo": ["predict", "strategies", "generators", "records", "metrics", "measure", "kernels", "world"],
    "reporting": ["strategies", "generators", "records", "metrics", "measure", "world"],
    "cli": ["studies", "benches", "zoo", "reporting", "records", "metrics", "predict", "strategies", "generators", "measure"],
    "compat": ["cli", "studies", "predict", "strategies", "generators", "records", "metrics", "measure", "world"],
}
"""Room -> the rooms that it may import from, beside itself and the ground."""
HISTORY = "sdaccel.records.migrate"
"""Holds what records of the first format called classes."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the package."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def room(module: str) -> str:
    """First part below the package; a module of the ground is its own room."""
    return [*module.split("."), ""][1]


def imported(module: str) -> set[str]:
    """Modules of the package that it imports when it is imported, without those for types alone."""
    return {name for name in imports_of(module) if name.partition(".")[0] == "sdaccel" and source(name) is not None}


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in modules()} - {""} == {*BELOW, *GROUND}


@pytest.mark.parametrize("own", BELOW)
def test_imports_point_down(own: str) -> None:
    allowed = {own, "", *GROUND, *BELOW[own]}
    wrong = {(m, name) for m in modules() if room(m) == own for name in imported(m) if room(name) not in allowed}
    assert not wrong, sorted(wrong)


def test_the_ground_stands_on_nothing() -> None:
    wrong = {(m, n) for m in modules() if room(m) in GROUND for n in imported(m) if room(n) not in {"", *GROUND}}
    assert not wrong, sorted(wrong)


def test_there_are_no_circles() -> None:
    """Among modules as they are imported; what a function imports when it runs makes none."""
    open_, done = set[str](), set[str]()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in open_, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        open_.add(module)
        for name in sorted(imports_of(module, lazy=False)):
            if name in modules() and not module.startswith(name + "."):  # a package is imported before its modules
                visit(name, (*path, module))
        open_.discard(module)
        done.add(module)

    for module in modules():
        visit(module, ())


def spoken(module: str) -> set[str]:
    """Every name, attribute and short text that stands in a module's code; docstrings do not."""
    tree = ast.parse(modules()[module].read_bytes())
    said: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            said.add(node.id)
        elif isinstance(node, ast.Attribute):
            said.add(node.attr)
        elif isinstance(node, ast.alias):
            said |= {node.name, node.asname or ""}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.count(" "):
            said.add(node.value)
    return said


def speakers(rooms: list[str]) -> list[str]:
    return [module for module in modules() if room(module) in rooms and module != HISTORY]


def test_nothing_below_the_strategies_or_beside_them_knows_one_by_class() -> None:
    classes = {cls.__name__ for cls in CONFIGURABLES["strategy"].values()} | {cls.__name__ for cls in OBSERVERS.values()}
    classes |= {"Speculative", "Forecast", *MUTANTS}
    for module in speakers(["studies", "generators", "records", "metrics"]):
        assert not spoken(module) & classes, (module, spoken(module) & classes)


def test_no_study_strategy_record_or_metric_knows_an_engine() -> None:
    engines = {"eager", "autocast", "fast", "compiled"}
    for module in speakers(["studies", "strategies", "records", "metrics"]):
        assert not spoken(module) & engines, (module, spoken(module) & engines)
