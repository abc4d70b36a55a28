"""What strategies want measured before a study: on the samples that would follow its own, so that none of those is looked at.

An arm that was given what it wanted is as if its configuration had held it from the start: so are its samples and its record.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from rich.console import Console

from sdaccel.conditions import Condition
from sdaccel.records.view import Record
from sdaccel.samples import Samples, canonical, digest
from sdaccel.strategies.base import Calibrated, Wanted
from sdaccel.studies import runner
from sdaccel.studies.arms import Arm, content_of_options
from sdaccel.studies.compose import Plan
from sdaccel.studies.data import conditions_of


def wants(arm: Arm) -> Wanted | None:
    return arm.strategy.wants() if isinstance(arm.strategy, Calibrated) else None


def calibrated(plan: Plan, *, console: Console) -> Plan:
    """The plan once all its arms have what they want; what is on disk is not measured again."""
    first = measuring(plan)
    if first is None:
        return plan
    runner.make(first, _behind(plan, first), console=console)
    return _given(plan, first)


def foreseen(plan: Plan) -> Plan:
    """The same where everything is on disk, or else the plan as it is."""
    first = measuring(plan)
    if first is None:
        return plan
    there = [{*_behind(plan, first)} <= folder.done(first.conditions) for folder in runner.sample_folders(first).values()]
    return _given(plan, first) if all(there) else plan


def remembered(plan: Plan, record: Record) -> Plan:
    """Arms with what those of a record were given."""
    known = {arm.name: record.arms[arm.name].strategy.options for arm in plan.arms if wants(arm) and arm.name in record.arms}
    return _replaced(plan, {arm.name: type(arm.strategy)(**known[arm.name]) for arm in plan.arms if arm.name in known})


def measuring(plan: Plan) -> Plan | None:
    """The study that is made first, one arm for all that want the same; None: nobody wants anything."""
    asked = [(arm, want) for arm in plan.arms if (want := wants(arm))]
    if not asked:
        return None
    arms = {each.name: each for arm, want in asked for each in [_measurer(arm, want)]}
    conditions = _longer(plan, max(want.samples for _, want in asked))
    return replace(plan, arms=list(arms.values()), conditions=conditions)


def _measurer(arm: Arm, want: Wanted) -> Arm:
    config: dict[str, Any] = arm.config | {"images_before": 0, "mutant": None, "observers": []}
    config["strategy"] = _options(want.by)
    point = {"of": digest(canonical(config))[:6]}
    return Arm("calibration", point, arm.generator, arm.backend, want.by, config)


def _longer(plan: Plan, count: int) -> list[Condition]:
    """The study's conditions and so many more; those that are given one by one are gone through again, with other noise."""
    data, own = plan.cfg.data.copy(), len(plan.conditions)
    data.limit = own + count
    found = conditions_of(data, plan.arms, of_world=getattr(plan.metrics, "of_world", False))
    return [*itertools.islice(itertools.cycle(found), data.limit)]


def _behind(plan: Plan, first: Plan) -> Sequence[int]:
    return range(len(plan.conditions), len(first.conditions))


def _given(plan: Plan, first: Plan) -> Plan:
    folders, start = runner.sample_folders(first), len(plan.conditions)

    def strategy(arm: Arm, want: Wanted) -> Any:
        folder = folders[_measurer(arm, want).name]
        return arm.strategy.given(arm.generator, _means(folder, range(start, start + want.samples), want.by.declares.arrays))

    return _replaced(plan, {arm.name: strategy(arm, want) for arm in plan.arms if (want := wants(arm))})


def _means(folder: Samples, rows: Sequence[int], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Over samples, in their order."""
    return {name: np.mean([folder.array(i, name) for i in rows], 0) for name in names}


def _replaced(plan: Plan, strategies: dict[str, Any]) -> Plan:
    """Arms with these strategies, by name."""

    def told(arm: Arm) -> Arm:
        own = strategies[arm.name]
        return replace(arm, strategy=own, config=arm.config | {"strategy": _options(own)})

    return replace(plan, arms=[told(arm) if arm.name in strategies else arm for arm in plan.arms])


def _options(strategy: Any) -> dict[str, Any]:
    cls = type(strategy)
    return content_of_options({"_target_": f"{cls.__module__}.{cls.__qualname__}", **asdict(strategy)})
