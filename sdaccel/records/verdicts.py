"""Verdicts once more from what stands in the record, by the rules of records of formats 1 and 2.

A rule gives what a check measured of an arm. Whether that lies as the configuration demands, which verdicts there must be, and
what follows for the whole study is the same for all. `no_worse` is no check any more; records that hold it are judged as then.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sdaccel.metrics import metric as metrics
from sdaccel.records.findings import DIGITS, Findings, close
from sdaccel.records.view import Arm, Check, Metric, Record

LAST = 2
"""Records of later formats are judged by the checks themselves; see sdaccel.studies.rejudged."""
COMPARES = ("equal", "ratio", "disjoint", "equivalent", "no_worse", "macs")
"""Checks whose first arm is what the others are compared with."""
Spec = Mapping[str, Any]
DEMANDS: dict[str, Callable[[Spec], tuple[str, float]]] = {
    "at_least": lambda spec: (">=", spec["bound"]),
    "at_most": lambda spec: ("<=", spec["bound"]),
    "ratio": lambda spec: (">=", spec["at_least"]) if "at_least" in spec else ("<=", spec["at_most"]),
    "macs": lambda spec: (">=", spec["at_least"]) if "at_least" in spec else ("<=", spec["at_most"]),
    "disjoint": lambda spec: (">=", 0),
    "no_worse": lambda spec: (">=", 0),
    "equivalent": lambda spec: ("<=", spec["within"]),
    "monotone": lambda spec: ("<=", spec.get("within", 0)),
    "equal": lambda spec: ("<=", 0),
    "all_full": lambda spec: ("<=", 0),
    "anchors_written": lambda spec: ("<=", 0),
    "forecast_published": lambda spec: ("<=", 1e-5),
}
"""Check -> (relation, bound) of a line of the configuration."""


def rejudged(record: Record) -> Findings:
    specs, differs, unseen = _specs(record), list[str](), Counter[str]()
    for row in record.checks:
        name, _, metric = row.check.partition(" ")
        if name not in DEMANDS:
            unseen[name] += 1
            continue
        asked = [spec for title, spec in specs if title == row.check]
        if (row.relation, row.bound) not in [DEMANDS[name](spec) for spec in asked]:
            differs.append(f"{_called(row)}: the configuration asks for no value {row.relation} {row.bound:g}")
        elif missing := [arm for arm in (row.arm, row.against) if arm and arm not in record.arms]:
            differs.append(f"{_called(row)}: there is no arm {missing[0]}")
        else:
            found = OF_FIGURES[name](record, row, metric, asked) if name in OF_FIGURES else OF_SAMPLES[name](record, row)
            differs += [f"{_called(row)}: {line}" for line in found]
    differs += [*_absent(record, specs), *_whole(record)]
    why = [f"{n} verdicts of {name}: a check of another version, or of a package of its own" for name, n in unseen.items()]
    return Findings(f"{len(record.checks) - unseen.total()} of {len(record.checks)} verdicts from figures", differs, why)


def _called(row: Check) -> str:
    return f"verdict {row.check} of {row.arm}"


def _specs(record: Record) -> list[tuple[str, Spec]]:
    """(title, line of the configuration with its arms under `arms`) of every check."""
    found: list[tuple[str, Spec]] = []
    for spec in record.content["config"]["study"].get("checks", []):
        name = next(key for key in sorted(spec, key=lambda key: not isinstance(spec[key], list)))
        title = f"{name} {spec['metric']}" if "metric" in spec else name
        found.append((title, {**spec, "arms": spec[name]}))
    return found


def _absent(record: Record, specs: list[tuple[str, Spec]]) -> Iterator[str]:
    """Arms that the configuration lets a check look at and that have no verdict: who leaves one out hides a failure."""
    there = {(row.check, row.arm) for row in record.checks}
    for title, spec in specs:
        name = title.partition(" ")[0]
        subjects = spec["arms"][1:] if name in COMPARES else spec["arms"]
        if name == "monotone":
            if not any(check == title for check, _ in there):
                yield f"there is no verdict {title}"
            continue
        honest = [arm.name for arm in record.arms.values() if arm.template in subjects and not arm.control]
        yield from (f"there is no verdict {title} of {arm}" for arm in honest if (title, arm) not in there)
    for arm in record.arms.values():
        if arm.control and (arm.control.fails, arm.name) not in there:
            yield f"there is no verdict {arm.control.fails} of {arm.name}"


def _whole(record: Record) -> Iterator[str]:
    rows = record.checks
    failed = any(row.passed is False and not row.control for row in rows)
    for arm in record.arms.values():
        fails = arm.control.fails if arm.control else None
        failed |= fails is not None and all(row.passed for row in rows if (row.arm, row.check) == (arm.name, fails))
    found = "fail" if failed else "open" if any(row.passed is None for row in rows) else "pass"
    if record.verdict != (found if rows else "no claim"):
        yield f"the whole is {record.verdict}, its verdicts make it {found if rows else 'no claim'}"
    if bool(record.failures) != failed:
        yield f"{len(record.failures)} reasons to fail are given, and its verdicts make it {found}"


def _decided(row: Check, value: float | None, *, within: float = 0.0, undecided: bool = False) -> Iterator[str]:
    """Is the value the one of the row, and its verdict that of the value; `undecided` where it may be open."""
    finite = value if value is not None and math.isfinite(value) else None
    if not close(row.measured, finite, within=within):
        yield f"it measured {row.measured}, and the record's figures give {finite}"
    holds = row.measured is not None and (row.measured >= row.bound if row.relation == ">=" else row.measured <= row.bound)
    expected = None if value is None or (undecided and not holds) else holds
    if row.passed is not expected:
        yield f"passed is {row.passed}, and {row.measured} has to be {row.relation} {row.bound:g}"


def _metric(record: Record, arm: str, metric: str) -> Metric:
    return record.arms[arm].metrics.get(metric, Metric(None))


def _sign(metric: str) -> int:
    return -1 if metrics.of(metric).lower else 1


def _single(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    value = _metric(record, row.arm, metric).estimate
    yield from _decided(row, value, within=DIGITS * abs(value or 0))


def _ratio(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    own, other = (_metric(record, arm, metric).estimate for arm in (row.arm, row.against))
    value = None if own is None or other is None else own / other if other else math.inf
    yield from _decided(row, value, within=DIGITS * abs(row.measured or 0))


def _macs(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    own, other = (record.arms[arm].macs for arm in (row.arm, row.against))
    yield from _decided(row, other / own if own else math.inf, within=DIGITS * abs(row.measured or 0))


def _difference(row: Check, a: float | None, b: float | None, sign: int = 1) -> Iterator[str]:
    if a is None or b is None:
        yield from _decided(row, None)
    else:
        yield from _decided(row, sign * (a - b), within=DIGITS * max(abs(a), abs(b)))


def _disjoint(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    yield from _difference(row, _metric(record, row.arm, metric).low, _metric(record, row.against, metric).high)


def _no_worse(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    other, sign = _metric(record, row.against, metric), _sign(metric)
    yield from _difference(row, _metric(record, row.arm, metric).estimate, other.low if sign > 0 else other.high, sign)


def _monotone(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    """The step that rises most, of one of the rows of arms that are asked for."""
    steps: list[tuple[float, float]] = []
    for templates in [spec["arms"] for spec in asked]:
        honest = [arm for name in templates for arm in record.arms.values() if arm.template == name and not arm.control]
        if row.arm in [arm.name for arm in honest]:
            steps += _steps(honest, metric)
    if not steps:
        yield from _decided(row, None)
        return
    a, b = max(steps, key=lambda step: _sign(metric) * (step[1] - step[0]))
    yield from _difference(row, b, a, _sign(metric))


def _steps(row: list[Arm], metric: str) -> list[tuple[float, float]]:
    """Empty where one has no value."""
    pairs = [(before.estimate(metric), after.estimate(metric)) for before, after in itertools.pairwise(row)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return known if len(known) == len(pairs) else []


def _equivalent(record: Record, row: Check, metric: str, asked: list[Spec]) -> Iterator[str]:
    """Open where the interval reaches over the bound without leaving it behind."""
    ends, of = _metric(record, row.arm, f"{metric}_difference").ends, _metric(record, row.against, metric).estimate
    if ends is None or not of:
        yield from _decided(row, None)
        return
    nearest = 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends)) / abs(of)
    furthest = max(map(abs, ends)) / abs(of)
    yield from _decided(row, furthest, within=2 * DIGITS * furthest, undecided=nearest <= row.bound)


OF_FIGURES: dict[str, Callable[[Record, Check, str, list[Spec]], Iterator[str]]] = {
    "at_least": _single,
    "at_most": _single,
    "ratio": _ratio,
    "macs": _macs,
    "disjoint": _disjoint,
    "no_worse": _no_worse,
    "equivalent": _equivalent,
    "monotone": _monotone,
}


def _equal(record: Record, row: Check) -> Iterator[str]:
    """By the hashes of the pictures and of the arrays that both keep."""
    pairs = zip(record.arms[row.arm].samples, record.arms[row.against].samples, strict=True)
    other = sum(a.image != b.image or any(a.arrays[n] != b.arrays[n] for n in a.arrays.keys() & b.arrays) for a, b in pairs)
    if bool(row.passed) != (other == 0):
        yield f"passed is {row.passed}, and {other} samples have other hashes"


def _all_full(record: Record, row: Check) -> Iterator[str]:
    kinds = record.arms[row.arm].kinds
    if row.passed and set(kinds) - {"full"}:
        yield f"it passed, and its steps are {', '.join(f'{n} {kind}' for kind, n in kinds.items())}"
    yield from _decided(row, row.measured)


def _audited(record: Record, row: Check) -> Iterator[str]:
    """What it measured is the largest value of its series."""
    worst = max((value for value in row.series or () if value is not None), default=None)
    whole = worst is None or row.measured is None or worst == row.measured
    yield from _decided(row, math.inf if row.measured is None else row.measured if whole else worst)


OF_SAMPLES: dict[str, Callable[[Record, Check], Iterator[str]]] = {
    "equal": _equal,
    "all_full": _all_full,
    "anchors_written": _audited,
    "forecast_published": _audited,
}
"""Their arrays are not in the record; its hashes, counts and series say less, and are what can be held against them."""
