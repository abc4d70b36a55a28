"""What a metric is: its name, what it is called, which way is better, whether it has an interval, what it is measured against.

Each is registered beside its maths. Tables, figures, checks and suites read it here, so that a new metric is its module and a
line of a suite.
"""

from dataclasses import dataclass
from typing import Literal

from sdaccel.registry import Named, load

OF_SETS = 4
"""Samples without which no distance between sets means anything: an interval looks at halves."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    label: str
    direction: Literal["higher", "lower"]
    """Which is better."""
    fewest: int = 1
    """Samples without which it has no value, whatever network looks at them."""
    interval: bool = True
    """It comes with one."""
    each: bool = False
    """Its value of every sample stands in the record, so that arms can be compared sample by sample."""
    share: bool | None = None
    """Values of samples are right or wrong, or the share that is right; None: their values tell."""
    paired: bool = False
    """Each picture against the baseline's of the same noise."""
    truth: bool = False
    """Against the arm that stands for the exact solution, in place of the baseline."""
    difference: bool = False
    """Of a whole arm against its baseline."""
    place: int | None = None
    """Its rank in the table for reading; None: it stands in the table of all figures alone."""
    screen: bool = False
    """It is shown at the end of a run, too."""
    panel: int | None = None
    """Its rank among the panels of quality over cost, and in the table of winners; None: it is in neither."""

    @property
    def lower(self) -> bool:
        return self.direction == "lower"

    @property
    def axis(self) -> str:
        """Name of an axis that it is drawn along."""
        return f"{self.label}  ({'↓' if self.lower else '↑'} better)"

    @property
    def beside(self) -> bool:
        """It needs a baseline that is another arm."""
        return self.paired or self.difference


METRICS: Named[Metric] = Named("metric")


def metric(made: Metric) -> str:
    """Register one; its name, for the maths beside it."""
    METRICS.add(made.name, made, home=repr(made))
    return made.name


def of(name: str) -> Metric:
    """A registered metric; one that only some record knows counts as higher is better."""
    load("sdaccel.metrics")
    return METRICS.get(name) or Metric(name=name, label=name, direction="higher")


def ranked(by: Literal["place", "panel"] = "place") -> list[Metric]:
    """Those of the table for reading from its left, or those that are drawn over cost from the top."""
    load("sdaccel.metrics")
    found = [(rank, each) for each in METRICS.values() if (rank := getattr(each, by)) is not None]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]
