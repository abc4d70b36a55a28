"""The answer of a study in a few sentences: every number in them stands in its record, with N and the device at the end."""

from collections import Counter
from collections.abc import Iterator

from sdaccel.measure.speedup import Speedup
from sdaccel.metrics.intervals import FEWEST
from sdaccel.metrics.metric import Metric, ranked
from sdaccel.records.view import Arm, Record
from sdaccel.reporting.cells import digits, faster, ranged, shown
from sdaccel.reporting.methods import rivals
from sdaccel.reporting.page.names import called, source
from sdaccel.reporting.tables import tables
from sdaccel.reporting.winners import difference

NOTHING = "Nothing was measured or timed here, and there is nothing to compare the pictures with."
FEW = 2
"""Metrics by which the best arm is named, and arms of unknown cost that are told one by one."""


def answer(record: Record) -> str:
    said = [*_verdicts(record), *_winners(record), *(_bench(record) if record.bench else _arms(record))]
    return " ".join([*(said or [NOTHING]), f"({source(record)})"])


def honest(record: Record) -> list[Arm]:
    """Arms that are judged beside the baseline: no controls, and beside models neither real pictures nor the exact solution."""
    other = [arm for arm in record.arms.values() if not arm.control and arm.template not in record.study.truth]
    return [arm for arm in other if arm.macs] or other


def _verdicts(record: Record) -> Iterator[str]:
    """How many hold, and how many planted bugs are caught."""
    if judged := [check for check in record.checks if not check.control]:
        held = Counter(check.passed for check in judged)
        rest = [f", {held[value]} {word}" for value, word in ((False, "fail"), (None, "open")) if held[value]]
        yield f"{held[True]} of {len(judged)} verdicts hold{''.join(rest)}."
    if planted := [(name, arm.control) for name, arm in record.arms.items() if arm.control]:
        failed = {(check.arm, check.check) for check in record.checks if check.passed is False}
        yield f"{sum((name, of.fails) in failed for name, of in planted)} of {len(planted)} planted bugs are caught."


def _winners(record: Record) -> Iterator[str]:
    """By metric, at how many budgets an accelerated arm wins, and at how many the rival that merely computes less."""
    found = tables(record, "winners").get("winners")
    if found is None:
        return
    at = {name: i for i, name in enumerate(found.columns)}
    won: dict[str, Counter[str]] = {}
    for row in found.rows:
        roles = {row[at["best rival"]]: "lost", row[at["best accelerated"]]: "won"}
        won.setdefault(str(row[at["metric"]]), Counter())[roles.get(row[at["winner"]], "open")] += 1
    beats = _listed([f"{count['won']} of {count.total()} budgets by {metric}" for metric, count in won.items()])
    loses = _listed([str(count["lost"]) for count in won.values()])
    yield (
        f"At equal cost the best accelerated arm beats the best that merely computes less at {beats}, and loses at {loses}; "
        "elsewhere these samples do not tell."
    )


def _bench(record: Record) -> Iterator[str]:
    """Of every case the fastest arm beside the first."""
    for case, found in record.timing.cases.items():
        first = next(iter(found.arms))
        best = min(found.arms, key=lambda name: found.arms[name].seconds.p50)
        floor = found.arms[best].of_floor
        least = f", {100 * floor:.0f} % of it the least its work could take" if floor else ""
        times = "" if best == first else f", {_times(found.arms[best].speedup)} {first}"
        yield f"{case}: {best} is fastest with {digits(1e3 * found.arms[best].seconds.p50)} ms{least}{times}."


def _arms(record: Record) -> Iterator[str]:
    """What the arm that saves most buys and costs, then which arms keep most quality."""
    arms, names = honest(record), called(record)
    base = next((arm for arm in record.arms.values() if arm.template == record.study.baseline), None)
    others = [arm for arm in arms if base is None or arm.template != base.template]
    if base is None or not others:
        yield from _alone(record, arms, names)
    else:
        yield from _saving(record, base, others, names)
    if not tables(record, "winners"):
        yield from _best(record, others, names)


def _saving(record: Record, base: Arm, others: list[Arm], names: dict[str, str]) -> Iterator[str]:
    """Methods before rivals that merely compute less, which anybody can have; of pictures made elsewhere no cost is known."""
    trivial = rivals(record)
    ours = [arm for arm in others if arm.name not in trivial] or others
    best = max(ours, key=lambda arm: (_speed(record, arm), arm.mac_ceiling or 0))
    bought = _listed([*_bought(record, best, names)])
    if not bought:
        for arm in ours[:FEW]:
            yield from _quality(record, base, arm, names, who=names[arm.name])
            yield from _pixels(arm, names, whose=f"The pictures of {names[arm.name]}")
        return
    if len(ours) > 1 and max(_speed(record, best), best.mac_ceiling or 0) <= 1:
        yield f"None of {len(ours)} arms computes less than {names[base.name]}."
        return
    yield (
        f"Of {len(ours)} arms {names[best.name]} saves most: it {bought}." if len(ours) > 1 else f"{names[best.name]} {bought}."
    )
    yield from _quality(record, base, best, names, who="it")
    yield from _pixels(best, names, whose="Its pictures")


def _bought(record: Record, arm: Arm, names: dict[str, str]) -> Iterator[str]:
    timed = record.timing.arms.get(arm.name)
    if timed and timed.speedup and timed.baseline and timed.baseline != arm.name:
        yield f"is {_times(timed.speedup)} {names[timed.baseline]}"
    if arm.cost is not None:
        yield f"computes {100 * arm.cost:.3g} % of the multiply-accumulates"


def _alone(record: Record, arms: list[Arm], names: dict[str, str]) -> Iterator[str]:
    """Arms without another to compare them with."""
    for arm in arms:
        if timed := record.timing.arms.get(arm.name):
            yield f"{names[arm.name]}: a batch of {record.timing.batch_size} takes {digits(timed.seconds.p50)} s."
    if len(arms) == 1:
        known = [metric for metric in ranked("panel") if arms[0].estimate(metric.name) is not None]
        if figures := [f"{metric.label} {_figure(arms[0], metric)}" for metric in known]:
            yield f"{names[arms[0].name]} reaches {_listed(figures)}."


def _quality(record: Record, base: Arm, arm: Arm, names: dict[str, str], *, who: str) -> Iterator[str]:
    """By the first metric that both have, and whether these samples tell them apart."""
    both = [m for m in ranked("panel") if base.estimate(m.name) is not None and arm.estimate(m.name) is not None]
    for metric in both[:1]:
        apart = _apart(record, metric, base, arm)
        yield f"By {metric.label} {who} reaches {_figure(arm, metric)}, {names[base.name]} {_figure(base, metric)}: {apart}."


def _best(record: Record, arms: list[Arm], names: dict[str, str]) -> Iterator[str]:
    """Of several arms the one with the best figure, beside the next."""
    said = 0
    for metric in ranked("panel"):
        known = [arm for arm in arms if arm.estimate(metric.name) is not None]
        if len(known) < 2 or said == FEW:
            continue
        first, second = sorted(known, key=lambda arm: arm.known(metric.name), reverse=not metric.lower)[:2]
        two = ", then ".join(f"{names[arm.name]} with {_figure(arm, metric)}" for arm in (first, second))
        yield f"By {metric.label} the best of {len(known)} arms is {two}: {_apart(record, metric, second, first)}."
        said += 1


def _apart(record: Record, metric: Metric, base: Arm, arm: Arm) -> str:
    if len(record.conditions) < FEWEST:
        return f"{len(record.conditions)} samples are too few to tell a difference"
    gap = difference(record, metric.name, arm.name, base.name)
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return "these samples do not tell them apart"
    ends = sorted((abs(gap.low), abs(gap.high)))
    return f"{'better' if gap.low > 0 else 'worse'} by {digits(abs(gap.estimate))} [{', '.join(map(digits, ends))}]"


def _pixels(arm: Arm, names: dict[str, str], *, whose: str) -> Iterator[str]:
    if (paired := arm.paired) is None or paired.against == arm.name:
        return
    if paired.identical == paired.n:
        yield f"{whose} are identical to those of {names[paired.against]}, all {paired.n}."
    elif paired.psnr is not None:
        same = f", {paired.identical} of {paired.n} identical" if paired.identical else ""
        known = [metric for metric in ranked("panel") if metric.paired and arm.estimate(metric.name) is not None]
        also = "".join(f", at a {metric.label} of {_figure(arm, metric)}" for metric in known)
        yield f"{whose} lie at a PSNR of {paired.psnr:.1f} dB from those of {names[paired.against]}{also}{same}."


def _speed(record: Record, arm: Arm) -> float:
    timed = record.timing.arms.get(arm.name)
    return timed.speedup.estimate if timed and timed.speedup else 0.0


def _times(found: Speedup) -> str:
    """With its interval, or why it has none."""
    note = f" (no interval: {found.note})" if found.note else ""
    number = digits(found.estimate) if note else shown(faster(found), missing="")
    return f"{number} times as fast{note} as"


def _figure(arm: Arm, metric: Metric) -> str:
    return shown(ranged(arm.metrics[metric.name]), missing="")


def _listed(parts: list[str]) -> str:
    """a, b and c"""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
