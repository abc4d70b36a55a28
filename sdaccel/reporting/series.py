"""Which lines a figure needs: arms that coincide share one, and every name says only what tells it from the others."""

import itertools
from collections.abc import Iterable, Mapping
from typing import TypeVar

from sdaccel.records.names import short
from sdaccel.records.view import Arm, Series

T = TypeVar("T")

ABSENT = float("-inf")
"""Of a line that is over: records hold no infinite number."""


def varying(arms: Mapping[str, Arm]) -> list[str]:
    """Options in which the arms differ, of those that the study varies; an arm without the option does not count."""
    keys = dict.fromkeys(key for arm in arms.values() for key in arm.point)
    return [k for k in keys if len({str(arm.point[k]) for arm in arms.values() if k in arm.point}) > 1]


def labels(arms: Mapping[str, Arm]) -> dict[str, str]:
    """Arm -> its template and the options that vary among these arms; a template `cfg` that varies cfg is said once."""
    keys = varying(arms)
    out = {}
    for name, arm in arms.items():
        values = [f"{short(k)}={arm.point[k]}" for k in keys if k in arm.point]
        first = values[0].partition("=")[0] if values else ""
        out[name] = marked(" ".join(values if first == arm.template else [arm.template, *values]), arm)
    return out


def marked(name: str, arm: Arm) -> str:
    """The name, and what has to be known wherever it is read."""
    return f"{name} (experimental)" if arm.experimental else name


def weighted(name: str, arm: Arm) -> str:
    """In tables and captions, that its weights are random; of figures the title says so."""
    return f"{name} (random weights)" if arm.facts.random_weights else name


def counted(names: Iterable[str]) -> str:
    """A, B, B, B -> A, B ×3."""
    listed = list(names)
    return ", ".join(f"{n} ×{c}" if (c := listed.count(n)) > 1 else n for n in dict.fromkeys(listed))


def coinciding(lines: Mapping[str, T]) -> list[tuple[list[str], T]]:
    """(names, value) of every distinct value, in order of first appearance."""
    groups: list[tuple[list[str], T]] = []
    for name, value in lines.items():
        for names, seen in groups:
            if seen == value:
                names.append(name)
                break
        else:
            groups.append(([name], value))
    return groups


def worst(lines: Iterable[Series]) -> Series:
    """The largest value at every step of those that have the step; what is not finite is larger than anything."""
    columns = ([v for v in column if v != ABSENT] for column in itertools.zip_longest(*lines, fillvalue=ABSENT))
    return [None if None in column else max(v for v in column if v is not None) for column in columns]


def where_other(line: Series, drawn: Series) -> Series:
    """`line` where it differs from one that is drawn already, and one step to either side, so that it branches off."""
    off = [step >= len(drawn) or v != drawn[step] for step, v in enumerate(line)]
    near = [any(off[max(0, i - 1) : i + 2]) for i in range(len(off))]
    return [v if keep else None for v, keep in zip(line, near, strict=True)]
