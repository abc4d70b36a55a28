"""Verdicts on a record from the values that it holds: nothing runs, and no picture is looked at.

Checks on metrics are judged anew, from per-sample values or, of distances between sets, from the record's aggregates. Checks of
single samples need arrays that no record holds; of those the record's own verdicts stay.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from sdaccel.errors import BadInput
from sdaccel.metrics import metric as metrics
from sdaccel.metrics.aggregate import Aggregate, Scores
from sdaccel.records.judged import Judgement
from sdaccel.records.view import Arm as RecordArm
from sdaccel.records.view import Check as Verdict
from sdaccel.records.view import Record
from sdaccel.samples import Samples
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Check, failures, parse, word
from sdaccel.studies.checks.family import corrected
from sdaccel.studies.checks.of_metrics import OfMetric, OfWhole
from sdaccel.studies.checks.of_pairs import OfPairs
from sdaccel.studies.results import Result


def verdicts_of(record: Record, checks: Sequence[Check], *, fails: Mapping[str, str] | None = None) -> list[Verdict]:
    """Every verdict of these checks; `fails` says of controls which check must fail them, where that is not what it was."""
    results = {name: result_of(record, name, fails or {}) for name in record.arms}
    return corrected([verdict for check in checks for verdict in _verdicts(record, check, results)])


def again(record: Record, *, conf: Path) -> Judgement:
    """By the checks and controls that its study's YAML has now."""
    study = _study(record, conf)
    given, left_out = [], []
    for line in study["checks"]:
        if (lacks := _lacking(record, check := parse(line))) is None:
            given.append((line, check))
        else:
            left_out.append(f"{check.title}: {lacks}")
    controls = {name: spec["fails"] for name, spec in study.get("controls", {}).items()}
    planted = {arm.template for arm in record.arms.values() if arm.control}
    left_out += [f"control {name}: the record has no such arm" for name in controls if name not in planted]
    fails = {name: controls[arm.template] for name, arm in record.arms.items() if arm.control and arm.template in controls}
    verdicts = verdicts_of(record, [check for _, check in given], fails=fails)
    said, reasons = concluded(record, verdicts, fails)
    return Judgement(
        record=record.content_hash,
        checks=[line for line, _ in given],
        fails=fails,
        verdicts=verdicts,
        failures=reasons,
        verdict="open" if left_out and said != "fail" else said,
        left_out=left_out,
    )


def concluded(record: Record, verdicts: Sequence[Verdict], fails: Mapping[str, str]) -> tuple[str, list[str]]:
    """The word on the whole study, and why it fails; the record's names for arms are those of the verdicts."""
    arms = [replace(result_of(record, name, fails).arm, template=name, point={}) for name in record.arms]
    return word(verdicts, arms), failures(verdicts, arms)


def _study(record: Record, conf: Path) -> dict[str, Any]:
    path = conf / "exp" / f"{record.study.name}.yaml"
    if not path.is_file():
        raise BadInput(f"{record.id} cannot be judged again: {path} is not there, which would hold its checks.")
    study: dict[str, Any] = yaml.safe_load(path.read_text())["study"]
    if not study.get("checks"):
        raise BadInput(f"{record.id} cannot be judged again: {path} has no checks.")
    return study


def _lacking(record: Record, check: Check) -> str | None:
    """Why the record cannot answer a check; None where it can."""
    templates = {arm.template for arm in record.arms.values()}
    if missing := [name for name in check.arms if name not in templates]:
        return f"the record has no arm {missing[0]}"
    of = [arm for arm in record.arms.values() if arm.template in check.arms]
    if isinstance(check, OfMetric) and (without := [arm.name for arm in of if check.metric not in arm.metrics]):
        return f"the record has no {check.metric} of {without[0]}"
    if (
        isinstance(check, OfPairs)
        and not metrics.of(check.metric).each
        and (off := [a.name for a in of if _off(record, a, check)])
    ):
        return f"{off[0]} was compared with another arm than {check.arms[0]}"
    if not isinstance(check, OfWhole) and not any(v.check == check.title for v in record.checks):
        return "the record was not asked, and holds no arrays"
    return None


def _off(record: Record, arm: RecordArm, check: Check) -> bool:
    """A difference of sets is to the baseline alone."""
    baseline = record.arms[arm.paired.against].template if arm.paired else record.study.baseline
    return check.arms[0] not in (arm.template, baseline)


def _verdicts(record: Record, check: Check, results: Mapping[str, Result]) -> Iterator[Verdict]:
    """By the names that the record has for its arms."""
    named = {result.arm.name: name for name, result in results.items()}
    if isinstance(check, OfWhole):
        for v in check.judge(list(results.values())):
            yield replace(v, arm=named[v.arm], against=named.get(v.against, ""))
        return
    looked = {named[arm.name] for arm in check.judged([result.arm for result in results.values()])}
    for v in record.checks:
        against = v.against and record.arms[v.against].template
        if v.check == check.title and v.arm in looked and (not check.compares or against == check.arms[0]):
            yield v


def result_of(record: Record, name: str, fails: Mapping[str, str]) -> Result:
    """What checks on metrics look at."""
    arm = record.arms[name]
    control = arm.control
    made = Arm(
        template=arm.template,
        point=dict(arm.point),
        generator=None,
        backend=None,
        strategy=None,
        config={"generator": arm.generator},
        mutant=control.mutant if control else None,
        stands_for=control.stands_for if control else None,
        fails=fails.get(name, control.fails) if control else None,
    )
    whole = {key: Aggregate(m.estimate, m.n, m.low, m.high, m.note) for key, m in arm.metrics.items()}
    values = {key: list(column) for key, column in arm.values.items()}
    return Result(made, Samples(Path()), range(len(arm.samples)), macs=arm.macs, metrics=Scores(whole, values))
