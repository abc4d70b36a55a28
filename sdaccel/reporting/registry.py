"""Figures and tables by name. Each is registered where it is defined and says what it needs of a study, run or not:

    @figure(needs=lambda outline: None if outline.measured else "arms with metrics; set metrics=world.")
    def brightness(record: Record) -> "Figure": ...

Modules of sdaccel.reporting are found by themselves; other packages name theirs under the entry point `sdaccel.reporting`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sdaccel.records.outline import Outline
from sdaccel.records.view import Record, Sample
from sdaccel.registry import Named, home_of, load
from sdaccel.reporting.cells import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Needs = Callable[[Outline], str | None]
"""None: it can be made. Otherwise what it lacks and how a study gets it, as the end of `figure NAME needs ...`."""
Find = Callable[[str, Sample], Path]
"""(arm, its sample) -> where the picture would be."""


@dataclass(frozen=True)
class Drawing:
    draw: "Callable[..., Figure]"
    needs: Needs
    unasked: Callable[[Outline], bool]
    """Whether it is drawn, where it can be, of a study that does not ask for it."""
    pictured: bool
    """It is drawn from the record and, by a `Find`, from the pictures."""


@dataclass(frozen=True)
class Tabulation:
    make: Callable[[Record], Table]
    needs: Needs
    place: int
    """Its rank among the tables."""


_FIGURES: Named[Drawing] = Named("figure")
_TABLES: Named[Tabulation] = Named("table")

D = TypeVar("D", bound="Callable[..., Figure]")
M = TypeVar("M", bound=Callable[[Record], Table])


def figure(*, needs: Needs, unasked: Callable[[Outline], bool] = lambda _: False, pictured: bool = False) -> Callable[[D], D]:
    """Register a figure under its function's name."""

    def store(draw: D) -> D:
        _FIGURES.add(draw.__name__, Drawing(draw, needs, unasked, pictured), home=home_of(draw))
        return draw

    return store


def table(*, name: str, place: int, needs: Needs = lambda _: None) -> Callable[[M], M]:
    """Register a table under the name of its files; one without rows is left out, too."""

    def store(make: M) -> M:
        _TABLES.add(name, Tabulation(make, needs, place), home=home_of(make))
        return make

    return store


def figures() -> dict[str, Drawing]:
    """By name, in the order of names."""
    load("sdaccel.reporting")
    return dict(sorted(_FIGURES.items()))


def tables() -> dict[str, Tabulation]:
    """By name, in the order of their places."""
    load("sdaccel.reporting")
    return dict(sorted(_TABLES.items(), key=lambda entry: entry[1].place))


def with_figure(name: str) -> Needs:
    """Of a table that belongs to a figure: the study asks for that, and it can be drawn."""

    def needs(outline: Outline) -> str | None:
        return _FIGURES[name].needs(outline) if name in outline.study.figures else f"study.figures=[{name}]."

    return needs
