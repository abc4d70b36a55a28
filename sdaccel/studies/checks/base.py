"""What all checks share: from a line of configuration to an object, and from results to verdicts."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from sdaccel.errors import BadInput, choices
from sdaccel.records import view
from sdaccel.registry import Named, home_of, load
from sdaccel.studies.arms import Arm
from sdaccel.studies.results import Result

Verdict = view.Check
"""What a check says of an arm is what the record holds."""


@dataclass(frozen=True)
class Scope:
    """What there will be to look at."""

    arms: Sequence[Arm]
    metrics: Sequence[str]
    baseline: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """Fields are its options."""

    arms: list[str]
    """Templates it names."""

    name: ClassVar[str]
    compares: ClassVar[bool] = False
    """With its first arm."""

    @property
    def relation(self) -> str:
        """How a measured value has to lie to the limit."""
        return "<="

    @property
    def limit(self) -> float:
        return 0.0

    @property
    def where(self) -> str:
        return f"study.checks.{self.name}"

    @property
    def title(self) -> str:
        """What a control calls it, and a record."""
        return self.name

    @property
    def subjects(self) -> list[str]:
        """Templates that are judged, for which a control may stand."""
        return self.arms[1:] if self.compares else self.arms

    def validate(self, scope: Scope) -> None:
        """Raise BadInput for what could not be judged after the run."""
        known = list(dict.fromkeys(arm.template for arm in scope.arms if not arm.mutant))
        if missing := [template for template in self.arms if template not in known]:
            raise BadInput(f"{self.where} names arm {missing[0]}; there are {', '.join(known)}.")
        for arm in self.judged(scope.arms):
            if self.compares:
                partner(arm, self.arms[0], scope.arms)

    def aims_at(self, control: Arm) -> bool:
        """A control that goes through this check."""
        return control.stands_for in self.subjects

    def judged(self, arms: Sequence[Arm]) -> list[Arm]:
        """In the order of the templates, and of the values where one stands for several arms; then their controls."""
        honest = [arm for template in self.subjects for arm in arms if arm.template == template and not arm.mutant]
        return honest + [arm for arm in arms if arm.mutant and self.aims_at(arm)]

    def pairs(self, results: Sequence[Result]) -> Iterator[tuple[Result, Result | None]]:
        """Everything judged, with what it is compared with."""
        arms, of = [result.arm for result in results], {result.arm.name: result for result in results}
        for arm in self.judged(arms):
            yield of[arm.name], of[partner(arm, self.arms[0], arms).name] if self.compares else None

    def both(self, results: Sequence[Result]) -> Iterator[tuple[Result, Result]]:
        """The same of a check that compares."""
        for result, reference in self.pairs(results):
            assert reference is not None, "it compares"
            yield result, reference

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        raise NotImplementedError

    def verdict(
        self, result: Result, other: Result | None, value: float | None, where: str, series: list[float] | None = None
    ) -> Verdict:
        """Whether the value lies as it should; a value that is not finite never does, and none leaves the check open."""
        finite = value is not None and math.isfinite(value)
        holds = finite and (value >= self.limit if self.relation == ">=" else value <= self.limit)  # type: ignore[operator]
        return Verdict(
            check=self.title,
            arm=result.arm.name,
            against="" if other is None else other.arm.name,
            measured=value if finite else None,
            bound=self.limit,
            passed=None if value is None else holds,
            where=where,
            series=None if series is None else [v if math.isfinite(v) else None for v in series],
            control=result.arm.mutant is not None,
            relation=self.relation,
        )


CHECKS: Named[type[Check]] = Named("check")
T = TypeVar("T", bound=type[Check])


def check(name: str) -> Callable[[T], T]:
    """Register a check."""

    def store(cls: T) -> T:
        CHECKS.add(name, cls, home=home_of(cls))
        cls.name = name
        return cls

    return store


def parse(spec: Any) -> Check:
    """`{check: [arms], option: value}`; where an option is called like a check, the list of arms tells which one is meant."""
    load("sdaccel.studies.checks")
    if not isinstance(spec, dict) or not spec:
        raise BadInput(f"study.checks: {spec} must read {{check: [arms]}}.")
    names = sorted((key for key in spec if key in CHECKS), key=lambda key: not isinstance(spec[key], list))
    if not names:
        raise BadInput(f"study.checks: {next(iter(spec))} is unknown; {choices(next(iter(spec)), CHECKS)}")
    cls, where = CHECKS[names[0]], f"study.checks.{names[0]}"
    options = {key: value for key, value in spec.items() if key != names[0]}
    known = [field.name for field in dataclasses.fields(cls) if field.name != "arms"]
    if unknown := [key for key in options if key not in known]:
        raise BadInput(f"{where} has no option {unknown[0]}; it has {', '.join(known) or 'none'}.")
    arms, fewest = spec[names[0]], 2 if cls.compares else 1
    if not isinstance(arms, list) or len(arms) < fewest:
        raise BadInput(f"{where} needs a list of {fewest} or more arms, not {arms}.")
    return cls(arms=arms, **options)


def validate(checks: Sequence[Check], scope: Scope) -> None:
    """Every check, and that each control has one that could catch it."""
    for each in checks:
        each.validate(scope)
    for control in (arm for arm in scope.arms if arm.mutant):
        if not any(each.title == control.fails and each.aims_at(control) for each in checks):
            raise BadInput(
                f"study.controls.{control.template}: no check {control.fails} looks at arm {control.stands_for}, "
                "so nothing could catch it."
            )


def partner(arm: Arm, template: str, arms: Sequence[Arm]) -> Arm:
    """The one arm of a template that an arm is compared with."""
    found = [other for other in arms if other.template == template and not other.mutant and arm.agrees(other)]
    if arm.mutant and found:
        same = [other for other in found if other.config["generator"] == arm.config["generator"]]
        found = same or found
    if len(found) != 1:
        raise BadInput(f"arm {arm.name} matches {len(found)} arms of {template}; exactly one is needed to compare with.")
    return found[0]


def aimed(verdicts: Sequence[Verdict], control: Arm) -> list[Verdict]:
    """What the check that must fail a control says of it."""
    return [v for v in verdicts if v.arm == control.name and v.check == control.fails]


def failures(verdicts: Sequence[Verdict], arms: Sequence[Arm]) -> list[str]:
    """Why the study fails: a check that an honest arm failed, or a control that its check let through."""
    reasons = [f"{v.check} failed for {v.arm}: {v.where}" for v in verdicts if not v.control and v.passed is False]
    for control in (arm for arm in arms if arm.mutant):
        found = [v.passed for v in aimed(verdicts, control)]
        if False not in found and None not in found:
            reasons.append(f"control {control.name} was not caught by {control.fails}")
    return reasons


def word(verdicts: Sequence[Verdict], arms: Sequence[Arm]) -> str:
    """Of a study: only where nothing is open does it pass."""
    if not verdicts:
        return "no claim"
    if failures(verdicts, arms):
        return "fail"
    decided = [v.passed for v in verdicts if not v.control]
    decided += [any(v.passed is False for v in aimed(verdicts, arm)) or None for arm in arms if arm.mutant]
    return "open" if None in decided else "pass"
