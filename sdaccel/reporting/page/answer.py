"""The answer of a study in a few sentences: every number in them stands in its record, with N and the device at the end."""

from collections import Counter
from collections.abc import Iterator

from sdaccel.metrics.intervals import FEWEST
from sdaccel.metrics.metric import Metric, ranked
from sdaccel.records.view import Arm, Record
from sdaccel.reporting import series
from sdaccel.reporting.cells import Range, digits, faster, ranged, shown
from sdaccel.reporting.readme import device
from sdaccel.reporting.tables import tables
from sdaccel.reporting.winners import difference

NOTHING = "Nothing was measured or timed here, and there is nothing to compare the pictures with."


def answer(record: Record) -> str:
    said = [*_verdicts(record), *_winners(record), *_single(record)]
    return " ".join([*(said or [NOTHING]), f"({source(record)})"])


def question(record: Record) -> str:
    """As the study asks it, or what a run without one is about."""
    if record.study.question:
        return record.study.question
    others = [arm for arm in record.arms.values() if arm.template != record.study.baseline]
    names = list(dict.fromkeys(_method(arm) for arm in others if arm.generator.name))
    made = ", ".join(dict.fromkeys(arm.generator.name for arm in record.arms.values()))
    if record.bench:
        return f"What does {record.bench.name} cost, part by part, beside the least it could?"
    return f"What does {', '.join(names)} buy on {made}, and what does it cost?" if names else f"What does {made} make?"


def called(record: Record) -> dict[str, str]:
    """Arm -> its name for sentences; the arms of a run without a study are told by what they do."""
    names = series.labels(record.arms)
    if record.study.name == "sample" and names.get("run") == "run":
        names |= {"run": f"run ({_method(record.arms['run'])})"}
    return names


def source(record: Record) -> str:
    """Device, N or rounds, and whether weights are random."""
    rounds = [timed.seconds.n for timed in record.timing.arms.values()]
    rounds += [timed.seconds.n for case in record.timing.cases.values() for timed in case.arms.values()]
    number = [f"N = {len(record.conditions)}"] if record.arms else []
    timed = [f"{max(rounds)} rounds"] if rounds else []
    return ", ".join([device(record), *number, *timed, *([record.weights] if record.weights else [])])


def _method(arm: Arm) -> str:
    return arm.strategy.name if arm.backend.name in ("dense", "") else f"{arm.strategy.name} on {arm.backend.name}"


def _verdicts(record: Record) -> Iterator[str]:
    """How many hold, and how many planted bugs are caught."""
    honest = [check for check in record.checks if not check.control]
    if honest:
        held = Counter(check.passed for check in honest)
        rest = [f"{held[value]} {word}" for value, word in ((False, "fail"), (None, "open")) if held[value]]
        yield f"{held[True]} of {len(honest)} verdicts hold{''.join(f', {text}' for text in rest)}."
    if planted := [(name, arm.control) for name, arm in record.arms.items() if arm.control]:
        caught = sum(
            any(v.passed is False for v in record.checks if (v.arm, v.check) == (name, control.fails))
            for name, control in planted
        )
        yield f"{caught} of {len(planted)} planted bugs are caught."


def _winners(record: Record) -> Iterator[str]:
    """By metric, at how many budgets an accelerated arm wins, and at how many the rival that merely computes less."""
    found = tables(record, "winners").get("winners")
    if found is None:
        return
    at = {name: i for i, name in enumerate(found.columns)}
    by_metric: dict[str, Counter[str]] = {}
    for row in found.rows:
        who = "ours" if row[at["winner"]] == row[at["best accelerated"]] else "rival"
        who = "neither" if row[at["winner"]] == "neither" else who
        by_metric.setdefault(str(row[at["metric"]]), Counter())[who] += 1
    for metric, won in by_metric.items():
        yield (
            f"By {metric}, the best accelerated arm beats the best that merely computes less at {won['ours']} of {won.total()} "
            f"budgets, loses at {won['rival']}, and cannot be told from it at {won['neither']}."
        )


def _single(record: Record) -> Iterator[str]:
    """Of the arm that saves most: what it buys, what it costs in quality, how far its pictures lie from the baseline's."""
    base = next((arm for arm in record.arms.values() if arm.template == record.study.baseline), None)
    others = [arm for arm in record.arms.values() if not arm.control and base is not None and arm.template != base.template]
    others = [arm for arm in others if arm.macs or arm.name in record.timing.arms or arm.metrics]
    if base is None or not others:
        yield from _alone(record)
        yield from _best(record, list(record.arms.values()), called(record))
        return
    names = called(record)
    best = max(others, key=lambda arm: (_speed(record, arm), arm.mac_ceiling or 0))
    bought = [*_bought(record, best, names)]
    if bought:
        of = f"Of {len(others)} arms {names[best.name]} saves most: it" if len(others) > 1 else names[best.name]
        yield f"{of} {' and '.join(bought)}."
    yield from _quality(record, base, best, names)
    yield from _pixels(best, names)
    yield from _best(record, others, names)


def _best(record: Record, arms: list[Arm], names: dict[str, str]) -> Iterator[str]:
    """Of several arms the one with the best metrics, each beside the next."""
    for metric in ranked("panel"):
        known = [arm for arm in arms if arm.estimate(metric.name) is not None]
        if len(known) < 2:
            continue
        first, second = sorted(known, key=lambda arm: arm.known(metric.name), reverse=not metric.lower)[:2]
        figures = (f"{names[arm.name]} with {shown(ranged(arm.metrics[metric.name]), missing='')}" for arm in (first, second))
        apart = _apart(record, metric, second, first)
        yield f"By {metric.label} the best of {len(known)} arms is {', then '.join(figures)}: {apart}."


def _alone(record: Record) -> Iterator[str]:
    """An arm without another to compare it with."""
    for name, arm in record.arms.items():
        known = [metric for metric in ranked("panel") if arm.estimate(metric.name) is not None]
        if known and len(record.arms) == 1:
            figures = (f"{metric.label} {shown(ranged(arm.metrics[metric.name]), missing='')}" for metric in known)
            yield f"{called(record)[name]} reaches {', '.join(figures)}."
        if (timed := record.timing.arms.get(name)) and len(record.arms) == 1:
            yield f"A batch of {record.timing.batch_size} takes {digits(timed.seconds.p50)} s."


def _speed(record: Record, arm: Arm) -> float:
    timed = record.timing.arms.get(arm.name)
    return timed.speedup.estimate if timed and timed.speedup else 0.0


def _bought(record: Record, arm: Arm, names: dict[str, str]) -> Iterator[str]:
    timed = record.timing.arms.get(arm.name)
    if timed and timed.speedup and timed.baseline and timed.baseline != arm.name:
        yield f"is {shown(faster(timed.speedup), missing='')} times as fast as {names[timed.baseline]}"
    if arm.cost is not None:
        yield f"computes {100 * arm.cost:.3g} % of the multiply-accumulates"


def _quality(record: Record, base: Arm, arm: Arm, names: dict[str, str]) -> Iterator[str]:
    """By the first metric for reading that both have, and whether these samples tell them apart."""
    metric = next((m for m in ranked("panel") if base.estimate(m.name) is not None and arm.estimate(m.name) is not None), None)
    if metric is None:
        return
    own, other = (shown(ranged(each.metrics[metric.name]), missing="") for each in (arm, base))
    yield f"Its {metric.label} is {own} beside {other} of {names[base.name]}: {_apart(record, metric, base, arm)}."


def _apart(record: Record, metric: Metric, base: Arm, arm: Arm) -> str:
    if len(record.conditions) < FEWEST:
        return f"{len(record.conditions)} samples are too few to tell a difference"
    gap: Range = difference(record, metric.name, arm.name, base.name)
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return "these samples do not tell them apart"
    ends = sorted((abs(gap.low), abs(gap.high)))
    return f"{'better' if gap.low > 0 else 'worse'} by {digits(abs(gap.estimate))} [{', '.join(map(digits, ends))}]"


def _pixels(arm: Arm, names: dict[str, str]) -> Iterator[str]:
    if (paired := arm.paired) is None or paired.against == arm.name:
        return
    if paired.identical == paired.n:
        yield f"All {paired.n} pictures are identical to those of {names[paired.against]}."
    elif paired.psnr is not None:
        same = f", {paired.identical} of {paired.n} identical" if paired.identical else ""
        yield f"Its pictures lie at a PSNR of {paired.psnr:.1f} dB from those of {names[paired.against]}{same}."
