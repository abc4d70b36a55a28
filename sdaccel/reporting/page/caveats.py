"""What a reader must know before believing a number: random or small weights, few samples, what could not be measured."""

from collections.abc import Iterator

from sdaccel.metrics.intervals import FEWEST
from sdaccel.metrics.metric import of
from sdaccel.records.outline import outline_of
from sdaccel.records.view import Record
from sdaccel.reporting import figures
from sdaccel.reporting.page.answer import honest
from sdaccel.samples import canonical
from sdaccel.shipped import hashes

NAMED = 3
"""Arms of a caveat; the tables hold all."""


def caveats(record: Record) -> list[str]:
    claim = [] if record.checks or not record.arms else ["No check was asked for, so the verdict is no claim."]
    return [*of_weights(record), *of_few(record), *of_many(record), *claim, *_missing(record), *_origin(record)]


def of_weights(record: Record) -> Iterator[str]:
    if record.weights:
        yield f"{record.weights.capitalize()}: good for laws and speed, the pictures mean nothing."
    arms = canonical(record.content.get("config", {}).get("arms", {})).decode()
    if any(value in arms for value in hashes()):
        yield (
            "Small models that ship with sdaccel: they tell whether a method is wired right and whether it is exact, not how "
            "methods rank on the published ones."
        )
    if unproven := [name for name, arm in record.arms.items() if arm.experimental]:
        shown, more = ", ".join(unproven[:NAMED]), len(unproven) - NAMED
        others = f" and {more} more" if more > 0 else ""
        yield f"Experimental, no calibration that has passed its gate has the settings of {shown}{others}."


def of_few(record: Record) -> Iterator[str]:
    if record.arms and len(record.conditions) < FEWEST:
        yield f"N = {len(record.conditions)}: below {FEWEST} a mean has no interval, so no difference is proven."


def of_many(record: Record) -> Iterator[str]:
    if record.measured and len(honest(record)) > 2:
        yield "Which of several arms is best was read off these same samples, so the best one's figure flatters it."


def _missing(record: Record) -> Iterator[str]:
    """Metrics without a value or an interval, by the reason; times, and figures that were asked for."""
    why: dict[str, dict[str, None]] = {}
    for arm in record.arms.values():
        for name, found in arm.metrics.items():
            if found.note:
                why.setdefault(found.note.rstrip("."), {})[of(name).label] = None
    yield from (f"{', '.join(names)}: {note}." for note, names in why.items())
    for what, need in record.content.get("lacking", {}).items():
        yield f"Not measured: {what}, which needs {need}."
    if record.arms and not record.measured:
        yield "No metric was asked for (metrics=none), so pictures are compared by PSNR alone."
    short = {timed.speedup.note for timed in record.timing.arms.values() if timed.speedup and timed.speedup.note}
    yield from (f"Speed-ups have no interval: {note}." for note in sorted(short))
    yield from (f"Left out: {sentence}" for sentence in figures.lacking(record.study.figures, outline_of(record)))


def _origin(record: Record) -> Iterator[str]:
    if record.provenance.git and record.provenance.git.dirty:
        yield "The code had uncommitted changes: nobody can fetch it by its commit alone."
