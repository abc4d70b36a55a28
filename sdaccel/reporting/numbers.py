"""A number of a record by its path, and the few ways to make one number of two. A text's record `pareto` has, for example:

    pareto/arms/dense/metrics/fid                          a field
    pareto/checks/macs sparse/measured                     of a check, by its name and arm
    pareto/tables/winners/25 % of MACs/FID/better by       a cell: table, first cells of the row that is meant, column
    [ms, pareto/timing/arms/dense/seconds]                 in another unit; also GiB
    [ratio, PATH, PATH]                                    of two estimates
    [minus, PATH, PATH]                                    mean difference of two arms' `values`, sample by sample

A path with a comma or `: ` stands in quotes, as YAML wants it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sdaccel.errors import BadInput, choices
from sdaccel.metrics.intervals import mean_interval
from sdaccel.records.timing import Quantiles
from sdaccel.records.view import Check, Record
from sdaccel.reporting import registry
from sdaccel.reporting.cells import Table, spanned

Expression = str | Sequence[str]


@dataclass(frozen=True)
class Number:
    """An estimate with the ends of its interval, where it has one; shows both."""

    estimate: float | str
    low: float | None = None
    high: float | None = None

    @property
    def alone(self) -> "Number":
        """Without its interval."""
        return Number(self.estimate)

    def times(self, factor: float) -> "Number":
        ends = (end if end is None else factor * end for end in (self.low, self.high))
        return Number(factor * self.known, *ends)

    @property
    def known(self) -> float:
        """Of what is a number, and no text of a table."""
        if isinstance(self.estimate, str):
            raise BadInput(f"'{self.estimate}' is a text, which has no unit, ratio or percentage; show it as it is.")
        return self.estimate

    def __format__(self, spec: str) -> str:
        """As of a float; `.0%` reads `96 % [95, 97]`."""
        if spec.endswith("%"):
            shown, _, ends = format(self.times(100), spec[:-1] + "f").partition(" ")
            return f"{shown} % {ends}".strip()
        ends = "" if self.low is None or self.high is None else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return format(self.estimate, spec) + ends


class Numbers:
    """Numbers of these records, by the names that a text gives them."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = records
        self._table = cache(lambda name, table: registry.tables()[table].make(records[name]))

    def __call__(self, expression: Expression) -> Number:
        if isinstance(expression, str):
            return _number(self.at(expression), expression)
        form, *paths = expression
        if form not in FORMS or len(paths) != FORMS[form][0]:
            raise BadInput(f"{list(expression)} is no number; write PATH, [ms or GiB, PATH] or [ratio or minus, PATH, PATH].")
        return FORMS[form][1](self, *paths)

    def at(self, path: str) -> Any:
        """What stands at a path, whatever it is."""
        name, *parts = path.split("/")
        if name not in self.records:
            raise BadInput(f"path {path} begins with no record of its text; {choices(name, self.records)}")
        place: Any = self.records[name]
        try:
            if parts[:1] == ["tables"]:
                return self._cell(name, *parts[1:])
            for part in parts:
                place = _next(place, part)
        except BadInput as error:
            raise BadInput(f"record {self.records[name].id} has no {'/'.join(parts)}: {error}") from None
        return place

    def _cell(self, name: str, table: str = "", *cells: str) -> Any:
        """Of the one row that begins with all of these cells but the last, which is its column."""
        if table not in registry.tables():
            raise BadInput(f"no table {table}; {choices(table, registry.tables())}")
        made: Table = self._table(name, table)
        *begin, column = cells or ("",)
        start = "/".join([*begin, ""])
        if column not in made.columns:
            raise BadInput(f"no column {column}; {choices(column, made.columns)}")
        rows = [row for row in made.rows if "/".join([*map(str, row), ""]).startswith(start)]
        if len(rows) != 1:
            raise BadInput(f"{len(rows)} rows begin with {start}; name the first cells of one.")
        return rows[0][made.columns.index(column)]


def _next(place: Any, part: str) -> Any:
    """An entry of a mapping, a check of a list by its name and arm, a field or property of a dataclass."""
    if isinstance(place, list):
        place = {f"{each.check} {each.arm}": each for each in place if isinstance(each, Check)}
    known = place if isinstance(place, Mapping) else {name for name in dir(place) if not name.startswith("_")}
    if part not in known:
        raise BadInput(f"no {part}; {choices(part, sorted(known))}")
    return place[part] if isinstance(place, Mapping) else getattr(place, part)


def _number(value: Any, path: str) -> Number:
    """Of a figure with an interval (a metric, a cell, a speed-up), of quantiles, of a bare number or text."""
    if isinstance(value, Quantiles):
        value = spanned(value)
    if getattr(value, "estimate", None) is not None:
        return Number(value.estimate, value.low, value.high)
    if isinstance(value, int | float | str) and value == value:
        return Number(value)
    raise BadInput(f"{path} has no value that can be shown ({type(value).__name__}); name another path.")


def _ratio(of: Numbers, above: str, below: str) -> Number:
    return Number(of(above).known / of(below).known)


def _minus(of: Numbers, one: str, other: str) -> Number:
    """Of samples made of the same noise, that have a value on both sides."""
    series = of.at(one), of.at(other)
    if not all(isinstance(each, list) for each in series) or len({len(each) for each in series}) != 1:
        raise BadInput(
            f"{one} and {other} are not one number per sample, of as many samples; write .../arms/ARM/values/METRIC."
        )
    found = mean_interval(np.array([x - y for x, y in zip(*series, strict=True) if None not in (x, y)]))
    return Number(found.estimate, found.low, found.high)


FORMS: dict[str, tuple[int, Callable[..., Number]]] = {
    "ms": (1, lambda of, path: of(path).times(1e3)),
    "GiB": (1, lambda of, path: of(path).times(2.0**-30)),
    "ratio": (2, _ratio),
    "minus": (2, _minus),
}
"""How many paths each takes, and what it makes of them."""
