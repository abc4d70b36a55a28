"""What stands on a page, before it is HTML. Nothing in it is markup."""

from collections.abc import Sequence
from dataclasses import dataclass

from sdaccel.reporting.cells import Table


@dataclass(frozen=True)
class Picture:
    """An image file beside the page."""

    source: str
    """Relative to the page."""
    width: int
    """On the page, in CSS pixels."""
    height: int
    alt: str
    crisp: bool = False
    """It is enlarged, pixel by pixel."""


@dataclass(frozen=True)
class Pair:
    """A picture under a slider with the one it is compared with, and a map of where they differ."""

    picture: Picture
    name: str
    caption: str
    other: Picture | None = None
    other_name: str = ""
    error: Picture | None = None
    said: str = ""
    """How far they lie apart."""


@dataclass(frozen=True)
class Row:
    """Samples of arms whose pictures are the same."""

    title: str
    pairs: Sequence[Pair]
    note: str = ""
    """Which other arms they are."""


@dataclass(frozen=True)
class Section:
    """A table under a title, closed at first where it is one to look things up in."""

    title: str
    table: Table
    folded: bool = False
    links: Sequence[str] = ()
    """What the first cell of each row leads to."""


@dataclass(frozen=True)
class Page:
    name: str
    question: str
    answer: str
    verdict: str
    command: str
    made: str
    """On what: device, versions, commit."""
    reasons: Sequence[str] = ()
    """Why it fails, and what is open."""
    caveats: Sequence[str] = ()
    sections: Sequence[Section] = ()
    rows: Sequence[Row] = ()
    legend: str = ""
    """How their error maps are to be read, and what is not shown."""
    figures: Sequence[Picture] = ()
    files: Sequence[str] = ()
    """What else lies beside the page."""
