"""The numbers that SDVAR's documents promise of every accelerated run: how each is measured, and bounded at d16 beside d30.

At most 5 calls of the target, 1.3 to 1.7 times as fast, FID at most 0.07 higher (PROJECT_STATUS_SUMMARY.md) or less than 0.1
(the analysis of parallel_v1, as what follows), memory less than 20 % higher.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sdaccel.records.view import Record
from sdaccel.reporting import sdvar_bounds as bounds
from sdaccel.reporting.cells import Range, ranged
from sdaccel.reporting.entry_sweep import handed_over
from sdaccel.reporting.promised import INFINITE, judged, speedup
from sdaccel.strategies.speculative.masks import CORRECT

HOLDS_CACHES = "fast"
"""The engine whose keys and values were there before a call, which its peak does not count."""


@dataclass(frozen=True)
class Promise:
    """A number that every accelerated arm is held to."""

    name: str
    says: str
    at_least: float
    at_most: float
    measure: Callable[[Record, str], Range | None]
    bound: Callable[[bounds.Work], str]
    reason: Callable[[Record, str], str]

    def verdict(self, found: Range | None) -> str:
        return judged(found, at_least=self.at_least, at_most=self.at_most)


def calls(record: Record, name: str) -> Range:
    return Range(bounds.work_of(record.arms[name].samples).target_calls)


def fid_rise(record: Record, name: str) -> Range | None:
    """None without an interval: at few samples the estimate alone says nothing about 0.07."""
    found = ranged(record.arms[name].metrics.get("fid_difference"))
    return found if found and found.low is not None else None


def memory(record: Record, name: str) -> Range | None:
    """On a GPU, weights included, relative to the target's; None on a CPU, or where the peak of an old record lacks caches."""
    timed = record.timing.arms
    whole, target = (timed[arm].memory_bytes if arm in timed else None for arm in (name, record.study.baseline))
    if whole and target:
        return Range(whole / target)
    if record.arms[name].generator.options.get("engine", "eager") == HOLDS_CACHES:
        return None
    of_models = bounds.weights_of(record.arms[name])
    own, alone = (timed[arm].peak_bytes if arm in timed else None for arm in (name, record.study.baseline))
    if of_models is None or own is None or alone is None:
        return None
    return Range((sum(of_models) + own) / (of_models[0] + alone))


def _calls_bound(work: bounds.Work) -> str:
    return f"{work.target_calls:.3g} of {len(work.target_runs)}"


def _speed_bound(work: bounds.Work) -> str:
    target, draft = bounds.official()
    latency, compute = (of(work, target=target, draft=draft) for of in (bounds.latency_bound, bounds.compute_bound))
    return f"{latency:.2f} by latency, {compute:.2f} by arithmetic"


def _memory_bound(work: bounds.Work) -> str:
    target, draft = bounds.official()
    one, many = (bounds.memory(b, target=target, draft=draft) for b in (1, 64))
    return f"{one:.2f} at B = 1, {many:.2f} at B = 64"


def _verified(record: Record, name: str) -> bool:
    return "accepted" in record.arms[name].samples[0].stats


def _why_calls(record: Record, name: str) -> str:
    samples = record.arms[name].samples
    if not _verified(record, name):
        return "Follows from entry_num, because nothing is verified."
    drafted, accepted = (sum(sample.stats[key] for sample in samples) for key in ("drafted", "accepted"))
    return f"Of {drafted / len(samples):.3g} drafted scales {accepted / len(samples):.3g} stood."


def _why_speed(record: Record, name: str) -> str:
    work = bounds.work_of(record.arms[name].samples)
    if min(work.target_runs) >= 1:
        return "The target reads every scale all the same and the draft comes on top: launches are saved, arithmetic is added."
    return "The prefix is not fed, so the target is spared its tokens."


def _why_fid(record: Record, name: str) -> str:
    if record.arms[name].facts.exact:
        return "An exact rule lets stand only what the target might have drawn, as often as it would."
    if name not in handed_over(record):
        return "What the rule lets stand is not the target's own draw."
    if handed_over(record)[name][1] == CORRECT:
        return "What the draft made stays, and the first scales decide what the picture shows."
    return "The mask hides from the target what it was trained to see."


def _why_memory(record: Record, name: str) -> str:
    how = (
        "By formula alone: this record has no peak of all that is held"
        if memory(record, name) is None
        else "The GPU's peak, weights included"
    )
    return f"{how}; a second set of weights, and a second cache while the draft runs."


PROMISES = (
    Promise("target calls", "at most 5 instead of 10", -INFINITE, 5, calls, _calls_bound, _why_calls),
    Promise("speed-up", "1.3 to 1.7", 1.3, INFINITE, speedup, _speed_bound, _why_speed),
    Promise("FID", "at most 0.07 higher", -INFINITE, 0.07, fid_rise, lambda work: "none by formula", _why_fid),
    Promise("FID loss", "less than 0.1 higher", -INFINITE, 0.1, fid_rise, lambda work: "none by formula", _why_fid),
    Promise("memory", "less than 1.2 of the target's", -INFINITE, 1.2, memory, _memory_bound, _why_memory),
)
