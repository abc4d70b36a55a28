"""What a plan promises, as reports ask for it before a study runs."""

from collections.abc import Sequence
from typing import Any

from sdaccel.metrics.metric import of
from sdaccel.records.outline import ArmOutline, Outline
from sdaccel.records.view import Part, Study
from sdaccel.strategies.controls import OBSERVERS
from sdaccel.studies.arms import Arm, plain
from sdaccel.studies.compose import Plan


def outline(plan: Plan) -> Outline:
    study, arms = plan.cfg.study, plan.arms
    timed = [arm for arm in arms if arm.timed] if study.timing.repeats else []
    metrics = [name for name in plan.measured if of(name).fewest <= len(plan.conditions)]
    return Outline(
        study=Study(study.name, study.question, study.baseline, plain(study.figures), plain(study.keep), plain(study.truth)),
        arms={arm.name: _arm(arm, plan, metrics, timed) for arm in arms},
        conditions=len(plan.conditions),
        checks=_checks(plan),
    )


def _arm(arm: Arm, plan: Plan, metrics: Sequence[str], timed: Sequence[Arm]) -> ArmOutline:
    strategy, template = arm.strategy, plan.cfg.study.baseline
    for name in arm.observers:
        strategy = OBSERVERS[name](strategy, arm.strategy)
    baseline = arm.baseline(template, plan.arms)
    over = arm.baseline(template, timed) if arm in timed else None
    truth = arm.truth(plan.cfg.study.truth, plan.arms)
    return ArmOutline(
        name=arm.name,
        template=arm.template,
        generator=_part(arm.config["generator"]),
        strategy=_part(arm.config["strategy"]),
        point=arm.point,
        control=arm.mutant is not None,
        scales=tuple(getattr(arm.generator, "scales", ())),
        arrays=frozenset([*arm.kept(plan.cfg.study.keep), *strategy.declares.arrays]),
        stats=frozenset(strategy.declares.stats),
        metrics=frozenset(name for name in metrics if _has(arm, name, truth if of(name).truth else baseline)),
        priced=not arm.real and not (baseline or arm).real,
        over=over.name if over else None,
    )


def _part(config: dict[str, Any]) -> Part:
    return Part(config["name"], {key: value for key, value in config.items() if key != "name"})


def _has(arm: Arm, metric: str, baseline: Arm | None) -> bool:
    """A metric beside the baseline needs one that is another arm; one in pairs, of the same noise."""
    alone = baseline is None or baseline.name == arm.name
    return not (of(metric).beside and alone) and not (of(metric).paired and baseline and not arm.shares_noise(baseline))


def _checks(plan: Plan) -> dict[str, frozenset[str]]:
    """Arms by the titles of checks, controls with what they stand for."""
    out: dict[str, frozenset[str]] = {}
    for check in plan.checks:
        named = {arm.name for arm in plan.arms if arm.template in check.arms or check.aims_at(arm)}
        out[check.title] = out.get(check.title, frozenset()) | named
    return out
