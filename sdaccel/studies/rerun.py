"""Run a record's command again on some of its samples, in a folder that is thrown away; they must be those of the record."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import sdaccel
from sdaccel.errors import BadInput
from sdaccel.records.findings import Findings
from sdaccel.records.names import arm_name
from sdaccel.records.verify import figures_differ, samples_differ, values_differ, verdicts_differ
from sdaccel.records.view import Record
from sdaccel.studies import calibrate, compose, history, runner
from sdaccel.studies.arms import Arm
from sdaccel.studies.fingerprint import code_fingerprint, modules_of
from sdaccel.studies.results import Result

FROM_RECORD = ("data.per_condition=", "data.prompt_file=")
"""Options whose effect stands in the record as its list of conditions."""


def chosen(record: Record, *, samples: int, which: Sequence[int] | None = None, everything: bool = False) -> list[int]:
    """Those of whole batches, which cost no more than a part of them: a planted bug may mix their rows.

    So many are drawn anew every time, and not from a hash: who edits a record must not know which will be looked at.
    """
    size, count = record.content["config"]["data"]["batch_size"], len(record.conditions)
    if outside := [i for i in which or () if not 0 <= i < count]:
        raise BadInput(f"--which {outside[0]}: record {record.id} has samples 0 to {count - 1}.")
    every = range(0, count, size)
    drawn = random.SystemRandom().sample(every, min(-(-samples // size), len(every)))
    firsts = every if everything else {i - i % size for i in which} if which else drawn
    return [i for first in sorted(firsts) for i in range(first, min(first + size, count))]


def planned(record: Record, *, output: Path, conf: Path) -> compose.Plan:
    """What its command means today, on the conditions that it had."""
    compose.register()
    command = [o for o in record.provenance.command[1:] if not o.startswith(FROM_RECORD)]
    conditions = list(record.conditions)
    device = "auto" if record.provenance.device == "cuda" else "cpu"  # what is not here is told later, in its own words
    own = ["trainer.processes=1", f"trainer.accelerator={device}", "study.timing.repeats=0", f"output={output}"]
    plan = replace(compose.plan([*command, *own, f"data.limit={len(conditions)}"], conf=conf), conditions=conditions)
    plan.cfg.data.batch_size = record.content["config"]["data"]["batch_size"]  # with fewer samples the rows it dropped, too
    return calibrate.remembered(plan, record)


def arms_of(record: Record, plan: compose.Plan) -> dict[str, Arm]:
    """Those of the plan that the record has, by its names for them."""
    theirs = {arm_name(arm.template, arm.point): arm.name for arm in record.arms.values()}  # as arms are called today
    return {theirs[arm.name]: arm for arm in plan.arms if arm.name in theirs}


def remade(record: Record, plan: compose.Plan, wanted: Sequence[int], console: Console) -> Findings:
    """These samples of all arms made and measured anew; of all samples also what belongs to them together."""
    if why := _elsewhere(record, plan):
        return none(record, why)
    arms = arms_of(record, plan)
    gone = sorted(record.arms.keys() - arms.keys())
    unseen = [f"{', '.join(gone)}: no arms of this study today"] if gone else []
    if not arms:
        return none(record, *unseen)
    plan, count = replace(plan, arms=list(arms.values())), len(record.conditions)
    if len(wanted) == count:
        results = _made(plan, arms, wanted, console)
        differs = [*_differences(record, results, wanted), *_whole(record, plan, results, judged=not gone)]
        return Findings(f"all {count} samples of {len(arms)} arms made and measured anew", differs, unseen)
    honest = {name: arm for name, arm in arms.items() if not arm.mutant}
    differs, first = _differences(record, _made(plan, honest, wanted, console), wanted), range(len(wanted))
    controls = {name: arm for name, arm in arms.items() if arm.mutant}
    if controls:
        besides = [arm.baseline(plan.cfg.study.baseline, plan.arms) for arm in controls.values()]
        others = {name: arm for name, arm in honest.items() if any(arm is other for other in besides)}
        results = _made(plan, others | controls, first, console)
        differs += _differences(record, {name: results[name] for name in controls}, first)
    which = f"{len(wanted)} of {count} samples ({_ranges(wanted)})"
    also = f", of {len(controls)} controls the first {len(first)}, since bugs leak from one to the next" if controls else ""
    return Findings(f"{which} of {len(honest)} arms{also}, made and measured anew", differs, unseen)


def _made(plan: compose.Plan, arms: Mapping[str, Arm], wanted: Sequence[int], console: Console) -> dict[str, Result]:
    own = replace(plan, arms=list(arms.values()))
    return dict(zip(arms, runner.measured(own, runner.make(own, wanted, console=console), console), strict=True))


def _ranges(indices: Sequence[int]) -> str:
    """`0-7, 16`"""
    firsts = [i for i in indices if i - 1 not in indices]
    lasts = [i for i in indices if i + 1 not in indices]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(firsts, lasts, strict=True))


def code(record: Record, plan: compose.Plan | None) -> Findings:
    """The commits that have its code, and whether it is the code here."""
    arms, said = arms_of(record, plan) if plan else {}, record.provenance.code
    found = history.found(record, {name: modules_of(arm) for name, arm in arms.items()}, Path(sdaccel.__file__).parent.parent)
    if isinstance(said, str) or not arms:
        return found
    same = sum(code_fingerprint(arm) == said.get(name) for name, arm in arms.items())
    return replace(found, notes=[f"the code here is that of {same} of {len(said)} arms"])


def none(record: Record, why: str) -> Findings:
    return Findings(f"0 of {len(record.conditions)} samples made anew", unseen=[why])


def _elsewhere(record: Record, plan: compose.Plan) -> str | None:
    """Why bits need not agree here."""
    here = runner.numerics_of(plan)
    there = {key: getattr(record.provenance, key) for key in here}
    if here == there:
        return None
    theirs, wheel = record.provenance, record.provenance.torch.partition("+")[0]
    need = f"; it takes such a machine, with torch=={wheel} in place of the one pinned" if theirs.torch != here["torch"] else ""
    return (
        f"made on {theirs.device_name} with torch {theirs.torch}{f', {theirs.threads} threads' if theirs.threads else ''}, and "
        f"this is {here['device_name']} with {here['torch']}, {plan.cfg.trainer.threads} threads: bits need not agree{need}"
    )


def _differences(record: Record, made: Mapping[str, Result], wanted: Sequence[int]) -> list[str]:
    entries = {name: dict(zip(wanted, result.entries(), strict=True)) for name, result in made.items()}
    values = {
        name: {metric: dict(zip(wanted, column, strict=False)) for metric, column in result.metrics.values.items()}
        for name, result in made.items()
    }
    return [*samples_differ(record, entries), *values_differ(record, values)]


def _whole(record: Record, plan: compose.Plan, results: Mapping[str, Result], *, judged: bool) -> Iterator[str]:
    """Figures of whole arms, and verdicts of today's checks that the record has, too."""
    yield from figures_differ(record, {name: result.metrics.aggregates for name, result in results.items()})
    if judged:
        named, prices = {result.arm.name: name for name, result in results.items()}, runner.prices(plan.arms)
        whole = [result.priced(prices[result.arm.name]) for result in results.values()]
        found = [verdict for check in plan.checks for verdict in check.judge(whole)]
        yield from verdicts_differ(record, [replace(v, arm=named[v.arm]) for v in found])
