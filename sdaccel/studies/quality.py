"""Checks on what a whole arm reached: a metric or a price, beside a bound or another arm.

    {at_least: [real], metric: judge.mean, bound: 0.97}             also at_most; every arm named
    {ratio: [real, target], metric: judge.class, at_least: 0.9}     metric(target) / metric(real); also at_most
    {disjoint: [target, draft], metric: fid}                        draft's interval lies wholly above target's
    {equivalent: [target, fast], metric: fid, within: 0.05}         fast's fid_difference, interval and all, within 5 % of fid
    {monotone: [s50, s20, s5], metric: judge.mean, within: 0}       no arm is better than the one before, by more than `within`
    {no_worse: [dense, stack], metric: judge.mean}                  stack is not beyond the worse end of dense's interval
    {macs: [target, draft], at_least: 4}                            macs(target) / macs(draft); also at_most

A control may stand for an arm with a bound or the second of a pair; the check that it fails is named `no_worse judge.mean`.
Where there are too few samples for a metric or its interval the check stays open: it neither holds nor fails.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdaccel.errors import BadInput
from sdaccel.metrics.aggregate import Aggregate, digits
from sdaccel.metrics.metric import of
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks import Result, Verdict, partner

BOUNDS = {"at_least": ">=", "at_most": "<="}
OPTIONS: dict[str, tuple[str, ...]] = {
    "ratio": ("metric", *BOUNDS),
    "disjoint": ("metric",),
    "equivalent": ("metric", "within"),
    "no_worse": ("metric",),
    "monotone": ("metric", "within"),
    "macs": tuple(BOUNDS),
    "at_least": ("metric", "bound"),
    "at_most": ("metric", "bound"),
}
"""Check -> its options. The first of these names in a specification is the check."""
PAIRS = ("ratio", "disjoint", "no_worse", "equivalent", "macs")


@dataclass(frozen=True)
class Rule:
    """One such check, read."""

    name: str
    arms: list[str]
    metric: str
    relation: str
    bound: float

    @property
    def title(self) -> str:
        return f"{self.name} {self.metric}".strip()


def is_rule(spec: Any) -> bool:
    return isinstance(spec, dict) and any(name in spec for name in OPTIONS)


def parse(spec: Mapping[str, Any]) -> Rule:
    name = next(name for name in OPTIONS if name in spec)
    where, options = f"study.checks.{name}", {key: value for key, value in spec.items() if key != name}
    if unknown := set(options) - set(OPTIONS[name]):
        raise BadInput(f"{where} has no option {min(unknown)}; it has {', '.join(OPTIONS[name])}.")
    arms, fewest = spec[name], 2 if name in (*PAIRS, "monotone") else 1
    if not isinstance(arms, list) or not arms or (name in PAIRS and len(arms) < fewest):
        raise BadInput(f"{where} needs a list of {fewest} or more arms, not {arms}.")
    if "metric" in OPTIONS[name] and not isinstance(options.get("metric"), str):
        raise BadInput(f"{where} needs a metric, such as metric: judge.mean.")
    relation, bound = _bound(name, options, where)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        raise BadInput(f"{where}: the bound {bound} must be a number.")
    return Rule(name, arms, options.get("metric", ""), relation, bound)


def _bound(name: str, options: Mapping[str, Any], where: str) -> tuple[str, Any]:
    if name in BOUNDS:
        return BOUNDS[name], options.get("bound")
    if name in ("disjoint", "no_worse"):
        return ">=", 0
    if name in ("monotone", "equivalent"):
        return "<=", options.get("within", 0 if name == "monotone" else None)
    given = [key for key in BOUNDS if key in options]
    if len(given) != 1:
        raise BadInput(f"{where} needs one bound: {' or '.join(f'{key}: NUMBER' for key in BOUNDS)}.")
    return BOUNDS[given[0]], options[given[0]]


def validate(specs: Sequence[Any], arms: Sequence[Arm], *, metrics: Sequence[str], baseline: str) -> None:
    """Unknown arms and metrics, pairs that are none, and metrics an arm cannot have: all before the run."""
    known = list(dict.fromkeys(arm.template for arm in arms if not arm.mutant))
    for rule in map(parse, filter(is_rule, specs)):
        where = f"study.checks.{rule.name}"
        if missing := [template for template in rule.arms if template not in known]:
            raise BadInput(f"{where} names arm {missing[0]}; there are {', '.join(known)}.")
        if rule.metric and rule.metric not in metrics:
            choices = (
                f"there are {', '.join(metrics)}" if metrics else "none is measured; choose metrics=world or metrics=files"
            )
            raise BadInput(f"{where}: metric {rule.metric} is unknown; {choices}.")
        if rule.name in ("disjoint", "no_worse") and not of(rule.metric).interval:
            raise BadInput(f"{where}: metric {rule.metric} has no interval; choose another.")
        if rule.name == "equivalent" and f"{rule.metric}_difference" not in metrics:
            raise BadInput(f"{where}: metric {rule.metric} has no difference with an interval; choose fid or kid.")
        named = [arm for arm in arms if not arm.mutant and arm.template in rule.arms]
        named += [arm for arm in arms if arm.fails == rule.title and arm.stands_for in _subjects(rule)]
        for arm in named:
            _check_measured(arm, rule.metric, arms, baseline, where)
            if rule.name in PAIRS and arm.template != rule.arms[0]:
                reference = partner(arm, rule.arms[0], arms)
                if rule.name == "equivalent" and arm.baseline(baseline, arms) != reference:
                    raise BadInput(f"{where}: {arm.name} is compared with {reference.name}, which is not its baseline.")
        if rule.name == "monotone" and len(named) < 2:
            raise BadInput(f"{where} needs two or more arms in order.")


def _check_measured(arm: Arm, metric: str, arms: Sequence[Arm], baseline: str, where: str) -> None:
    other = arm.baseline(baseline, arms)
    alone = other is None or other.name == arm.name
    if of(metric).beside and alone:
        raise BadInput(
            f"{where}: {metric} compares with a baseline and arm {arm.name} has none; set study.baseline or against."
        )
    if of(metric).paired and other is not None and not arm.shares_noise(other):
        raise BadInput(f"{where}: {metric} compares pictures in pairs, and those of {arm.name} and {other.name} are none.")


def aims(specs: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """(check, arms that a control may stand for) of every rule."""
    return [(rule.title, _subjects(rule)) for rule in map(parse, filter(is_rule, specs))]


def _subjects(rule: Rule) -> list[str]:
    """Arms that are judged, not those they are compared with; a row of arms has no room for a bug."""
    return [] if rule.name == "monotone" else rule.arms[1:] if rule.name in PAIRS else rule.arms


def judge(specs: Sequence[Any], results: Sequence[Result]) -> list[Verdict]:
    """Every rule on every arm or pair of arms that it names, and on the controls that must fail it."""
    return [verdict for rule in map(parse, filter(is_rule, specs)) for verdict in JUDGES[rule.name](rule, results)]


def _bounded(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    for result in _named(rule, rule.arms, results):
        yield _verdict(rule, result, None, lambda own: own, _estimate)


def _ratio(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    for reference, result in _pairs(rule, results):
        yield _verdict(rule, result, reference, lambda own, other: own / other if other else math.inf, _estimate)


def _macs(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    for reference, result in _pairs(rule, results):
        value = reference.macs / result.macs if result.macs else math.inf
        yield _decided(rule, result, reference, value, f"{reference.macs:.4g} / {result.macs:.4g} MACs")


def _disjoint(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    for reference, result in _pairs(rule, results):
        yield _verdict(rule, result, reference, lambda own, other: own[0] - other[1], _interval)


def _no_worse(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    """How far the estimate lies on the better side of the worse end of the reference's interval."""
    sign = -1 if of(rule.metric).lower else 1
    for reference, result in _pairs(rule, results):
        own, other = (each.metrics.aggregates[rule.metric] for each in (result, reference))
        worse = other.low if sign > 0 else other.high
        if own.estimate is None or worse is None:
            short = result if own.estimate is None else reference
            why = short.metrics.aggregates[rule.metric].note or "it has no interval"
            yield _decided(rule, result, reference, None, f"{rule.metric} of {short.arm.name}: {why}")
            continue
        where = f"{result.arm.name} {_shown(own)} and {reference.arm.name} {_shown(other)}"
        yield _decided(rule, result, reference, sign * (own.estimate - worse), where)


def _equivalent(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    """Open where the interval reaches over the bound without leaving it behind."""
    for reference, result in _pairs(rule, results):
        found, own = result.metrics.aggregates[f"{rule.metric}_difference"], reference.metrics.aggregates[rule.metric]
        ends = _interval(found)
        if ends is None or not own.estimate:
            yield _decided(rule, result, reference, None, found.note or own.note or "there is no interval")
            continue
        size = abs(own.estimate)
        furthest, nearest = max(map(abs, ends)) / size, 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends)) / size
        where = f"difference {_shown(found)} of {own.estimate:.4g}"
        verdict = _decided(rule, result, reference, furthest, where)
        yield verdict if verdict.passed or nearest > rule.bound else replace(verdict, passed=None)


def _monotone(rule: Rule, results: Sequence[Result]) -> Iterator[Verdict]:
    """One verdict: the step that rises most."""
    sign = -1 if of(rule.metric).lower else 1
    steps = [
        _verdict(rule, after, before, lambda own, other: sign * (own - other), _estimate)
        for before, after in itertools.pairwise(_named(rule, rule.arms, results))
    ]
    yield max(steps, key=lambda v: math.inf if v.measured is None else v.measured)


JUDGES: dict[str, Callable[[Rule, Sequence[Result]], Iterator[Verdict]]] = {
    "ratio": _ratio,
    "disjoint": _disjoint,
    "equivalent": _equivalent,
    "no_worse": _no_worse,
    "monotone": _monotone,
    "macs": _macs,
    "at_least": _bounded,
    "at_most": _bounded,
}


def _named(rule: Rule, templates: Sequence[str], results: Sequence[Result]) -> list[Result]:
    """In the order of the templates, and of the values where one stands for several arms; then their controls."""
    honest = [result for template in templates for result in results if _is(result.arm, template)]
    aimed = [result for result in results if result.arm.fails == rule.title and result.arm.stands_for in _subjects(rule)]
    return honest + aimed


def _is(arm: Arm, template: str) -> bool:
    return arm.template == template and not arm.mutant


def _pairs(rule: Rule, results: Sequence[Result]) -> Iterator[tuple[Result, Result]]:
    """(reference, subject) for every arm after the first."""
    arms, by_name = [result.arm for result in results], {result.arm.name: result for result in results}
    for result in _named(rule, rule.arms[1:], results):
        yield by_name[partner(result.arm, rule.arms[0], arms).name], result


def _estimate(found: Aggregate) -> float | None:
    return found.estimate


def _interval(found: Aggregate) -> tuple[float, float] | None:
    return None if found.low is None or found.high is None else (found.low, found.high)


def _verdict(
    rule: Rule, result: Result, other: Result | None, compare: Callable[..., float], take: Callable[[Aggregate], Any]
) -> Verdict:
    """What `take` takes of the metric of one or both arms, compared; open where there is nothing to take."""
    arms = [result] if other is None else [result, other]
    found = [each.metrics.aggregates[rule.metric] for each in arms]
    values = [take(aggregate) for aggregate in found]
    for each, aggregate, value in zip(arms, found, values, strict=True):
        if value is None:
            why = aggregate.note or "it has no value"
            return _decided(rule, result, other, None, f"{rule.metric} of {each.arm.name}: {why}")
    where = " and ".join(f"{each.arm.name} {_shown(aggregate)}" for each, aggregate in zip(arms, found, strict=True))
    return _decided(rule, result, other, compare(*values), where)


def _shown(found: Aggregate) -> str:
    interval = "" if found.low is None or found.high is None else f" [{found.low:.4g}, {found.high:.4g}]"
    return f"{found.estimate:.4g}{interval}"


def _decided(rule: Rule, result: Result, other: Result | None, value: float | None, where: str) -> Verdict:
    shown, holds = digits(value), None
    if value is not None:
        holds = shown is not None and (shown >= rule.bound if rule.relation == ">=" else shown <= rule.bound)
    return Verdict(
        check=rule.title,
        arm=result.arm.name,
        against="" if other is None else other.arm.name,
        measured=shown,
        bound=rule.bound,
        passed=holds,
        where=where,
        series=None,
        control=result.arm.mutant is not None,
        relation=rule.relation,
    )
