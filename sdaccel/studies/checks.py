"""Checks: a name, the arms it looks at, what was measured, the bound, the verdict.

A check is one function of one arm, or of an arm and the one it is compared with. A negative control goes through the checks of
the arm it stands for, and must fail the one it names. Checks on metrics of whole arms are in `quality`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from sdaccel.errors import BadInput
from sdaccel.metrics.aggregate import Scores
from sdaccel.samples import Samples
from sdaccel.strategies.base import Done
from sdaccel.studies.arms import Arm, Price
from sdaccel.studies.held import Held
from sdaccel.threads import mapped


@dataclass(frozen=True)
class Result:
    """An arm that has run."""

    arm: Arm
    samples: Samples
    count: int
    macs: float = 0.0
    """Multiply-accumulates of the steps that ran, for one sample."""
    macs_in_full: float = 0.0
    """Of all its generator's steps."""
    metrics: Scores = field(default_factory=Scores)
    held: Held = field(default_factory=Held, compare=False)
    """Pictures in memory, of all results of a run."""

    def priced(self, price: Price) -> "Result":
        """With what it did, on average where samples differ, and what all steps would have been."""
        entries = self.entries() if price.beside else [self.first()]  # without models beside, all samples are alike
        each = [self._price(price, entry) for entry in entries]
        return replace(self, macs=sum(each) / len(each), macs_in_full=sum(price.generator.macs))

    def _price(self, price: Price, entry: dict[str, Any]) -> float:
        steps = self.arm.backend.macs(self.arm.generator, price.generator, entry["kinds"])
        macs: float = self.arm.strategy.macs(Done(steps, price.generator, price.beside, entry.get("stats", {})))
        return macs

    def arrays(self, name: str) -> list[np.ndarray]:
        return [self.samples.array(i, name) for i in range(self.count)]

    def images(self) -> Iterator[np.ndarray]:
        files = range(self.count)
        return self.held.read(
            str(self.samples.folder), lambda: mapped(lambda i: np.asarray(Image.open(self.samples.image(i))), files)
        )

    def first(self) -> dict[str, Any]:
        """The entry of the first sample, where all are alike."""
        return self.samples.entry(0)

    def entries(self) -> list[dict[str, Any]]:
        return [self.samples.entry(i) for i in range(self.count)]


@dataclass(frozen=True)
class Measured:
    value: float
    bound: float
    where: str = ""
    series: list[float] | None = None
    """One value per step, for the figure."""


@dataclass(frozen=True)
class Verdict:
    check: str
    arm: str
    against: str
    measured: float | None
    """None: not a finite number, which never passes."""
    bound: float
    passed: bool | None
    """None: open, there were too few samples to tell."""
    where: str
    series: list[float | None] | None
    control: bool
    """The arm is a negative control; `passed` is what the check said of it."""
    relation: str = "<="
    """How `measured` has to lie to the bound."""

    def content(self) -> dict[str, Any]:
        return asdict(self)


def all_full(result: Result) -> Measured:
    """Steps of any image that did not run in full."""
    skipped = [sum(kind != "full" for kind in entry["kinds"]) for entry in result.entries()]
    return Measured(max(skipped), 0, f"{len(result.first()['kinds'])} steps")


def equal(result: Result, reference: Result) -> Measured:
    """Largest absolute difference of the arrays both kept, and of the pixels; equal means torch.equal."""
    names = sorted(set(result.first()["arrays"]) & set(reference.first()["arrays"]))
    rows = [
        np.stack([_difference(a, b) for a, b in zip(result.arrays(name), reference.arrays(name), strict=True)]).max(0)
        for name in names
    ]
    series = max(rows, key=lambda row: (row.max() > 0, len(row)), default=np.zeros(1))  # one that differs, else the longest
    pixels = sum(a["image"] != b["image"] for a, b in zip(result.entries(), reference.entries(), strict=True))
    value = max((float(row.max()) for row in rows), default=0.0) or float(pixels)
    off = f"first difference at index {int(np.argmax(series > 0))}" if series.max() > 0 else "all equal"
    return Measured(value, 0, f"{', '.join(names) or 'pixels'}: {off}; {pixels} images differ", series.tolist())


def anchors_written(result: Result) -> Measured:
    """Largest difference between the strategy's anchors and features taken by independent hooks, over every full step."""
    errors = np.stack(result.arrays("anchor_error"))
    full = np.array([[kind == "full" for kind in entry["kinds"]] for entry in result.entries()])
    missing = int(np.isnan(errors[full]).sum())
    worst = np.where(full, errors, 0).max(0)
    where = f"{int(full.sum())} full steps compared" if not missing else f"{missing} full steps were not compared"
    if worst.max() > 0:
        where = f"first difference at step {int(np.argmax(worst > 0))}"
    return Measured(math.inf if missing else float(worst.max()), 0, where, worst.tolist())


def forecast_published(result: Result) -> Measured:
    """Relative L2 between the forecast the strategy would make at every step and the published recursion in float64."""
    errors = np.stack(result.arrays("reference_error"))
    if np.isnan(errors).all():
        return Measured(math.inf, 1e-5, "no forecast was evaluated")
    worst = np.nanmax(np.where(np.isnan(errors), -1, errors), 0)
    gain = np.nanmedian(np.stack(result.arrays("forecast_error")) / np.stack(result.arrays("reuse_error")))
    where = f"{int((~np.isnan(errors)).sum())} forecasts; median error {gain:.3g} x that of reuse"
    return Measured(float(worst.max()), 1e-5, where, [max(float(e), 0.0) for e in worst])


UNARY: dict[str, Callable[[Result], Measured]] = {f.__name__: f for f in (all_full, anchors_written, forecast_published)}
BINARY: dict[str, Callable[[Result, Result], Measured]] = {f.__name__: f for f in (equal,)}


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Per first index; a NaN or another shape is an infinite difference."""
    if a.shape != b.shape:
        return np.full(max(len(a), len(b)), np.inf)
    with np.errstate(invalid="ignore"):
        off = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(len(a), -1).max(1)
    return np.nan_to_num(off, nan=np.inf, posinf=np.inf)


def _parse(spec: Any, others: Sequence[str] = ()) -> tuple[str, list[str]]:
    if not isinstance(spec, dict) or len(spec) != 1:
        raise BadInput(f"study.checks: {spec} must read {{check: [arms]}}.")
    ((name, templates),) = spec.items()
    if name not in UNARY and name not in BINARY:
        raise BadInput(f"study.checks: {name} is unknown; choose one of {', '.join([*UNARY, *BINARY, *others])}.")
    if not isinstance(templates, list) or len(templates) < (2 if name in BINARY else 1):
        raise BadInput(f"study.checks.{name} needs a list of {'two' if name in BINARY else 'one'} or more arms.")
    return name, templates


Aims = Sequence[tuple[str, list[str]]]
"""(check, arms that a control may stand for) of checks that are judged elsewhere."""


def validate(specs: Sequence[Any], arms: Sequence[Arm], *, others: Sequence[str] = (), aims: Aims = ()) -> None:
    """Unknown checks, unknown arms, comparisons without a pair, controls nothing would catch: all before the run."""
    known = [arm.template for arm in arms if not arm.mutant]
    parsed = [_parse(spec, others) for spec in specs]
    for name, templates in parsed:
        for template in templates:
            if template not in known:
                raise BadInput(f"study.checks.{name} names arm {template}; there are {', '.join(dict.fromkeys(known))}.")
        audited = [arm for arm in arms if arm.template in templates and "audit" not in arm.observers]
        if name in ("anchors_written", "forecast_published") and audited:
            raise BadInput(f"study.checks.{name}: arm {audited[0].name} has no audit; set audit: true.")
        if name in BINARY:
            for arm in arms:
                if arm.template in templates[1:]:
                    partner(arm, templates[0], arms)
    for control in (arm for arm in arms if arm.mutant):
        if not any(name == control.fails and control.stands_for in templates for name, templates in [*parsed, *aims]):
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


def judge(specs: Sequence[Any], results: Sequence[Result]) -> list[Verdict]:
    """Every check on every arm it names and on the controls that stand for them."""
    arms = [result.arm for result in results]
    by_name = {result.arm.name: result for result in results}
    verdicts = []
    for name, templates in map(_parse, specs):
        subjects = templates[1:] if name in BINARY else templates
        for result in results:
            role = result.arm.stands_for or result.arm.template
            if role not in subjects:
                continue
            if name in BINARY:
                reference = by_name[partner(result.arm, templates[0], arms).name]
                verdicts.append(_verdict(name, result, reference.arm.name, BINARY[name](result, reference)))
            else:
                verdicts.append(_verdict(name, result, "", UNARY[name](result)))
    return verdicts


def _verdict(name: str, result: Result, against: str, m: Measured) -> Verdict:
    finite = math.isfinite(m.value)
    return Verdict(
        check=name,
        arm=result.arm.name,
        against=against,
        measured=m.value if finite else None,
        bound=m.bound,
        passed=finite and m.value <= m.bound,
        where=m.where,
        series=None if m.series is None else [v if math.isfinite(v) else None for v in m.series],
        control=result.arm.mutant is not None,
    )


def failures(verdicts: Sequence[Verdict], arms: Sequence[Arm]) -> list[str]:
    """Why the study fails: a check that an honest arm failed, or a control that its check let through."""
    reasons = [f"{v.check} failed for {v.arm}: {v.where}" for v in verdicts if not v.control and v.passed is False]
    for control in (arm for arm in arms if arm.mutant):
        caught = any(v.arm == control.name and v.check == control.fails and not v.passed for v in verdicts)
        if not caught:
            reasons.append(f"control {control.name} was not caught by {control.fails}")
    return reasons
