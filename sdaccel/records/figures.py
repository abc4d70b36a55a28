"""Means, intervals and pixels in pairs, once more from the values of single samples that the record holds.

An edited figure is found whoever hashed the record anew. An edited value moves the mean, and shows where its sample is remade.
"""

from collections.abc import Iterator

import numpy as np

from sdaccel.metrics.aggregate import of_samples
from sdaccel.records import bca
from sdaccel.records.findings import DIGITS, Findings, close
from sdaccel.records.view import Arm, Metric, Record, Series

ENDS = 0.1
"""Of an interval's width: six digits break ties among resampled means, which moves ends by up to a twentieth of it."""
BCA = 2
"""The last format whose intervals of means are bootstrapped."""


def recomputed(record: Record) -> Findings:
    differs: list[str] = []
    bootstrapped = record.content.get("format", 1) <= BCA
    count, others = 0, dict[str, None]()
    for arm in record.arms.values():
        differs += _pairs(arm)
        for name, said in arm.metrics.items():
            if name in arm.values:
                count += 1
                differs += [
                    f"{name} of {arm.name} {line}" for line in _mean(name, said, arm.values[name], bootstrapped=bootstrapped)
                ]
            else:
                others[name] = None
    why = f"{', '.join(others)}: the record keeps no value of single samples of these; --all makes them anew"
    return Findings(f"{count} means and intervals from values of samples", differs, [why] if others else [])


def _mean(name: str, said: Metric, values: Series, *, bootstrapped: bool) -> Iterator[str]:
    column = np.array([np.nan if value is None else value for value in values], dtype=float)
    found = bca.of_values(column) if bootstrapped else of_samples({name: column}).aggregates[name]
    finite = column[np.isfinite(column)]
    digits = DIGITS * float(np.abs(finite).mean()) if len(finite) else 0.0
    if said.n != found.n:
        yield f"is of {said.n} samples, and {found.n} have a value"
    if not close(said.estimate, found.estimate, within=digits):
        yield f"is {said.estimate}, its values have the mean {found.estimate}"
    for end, there, here in (("low", said.low, found.low), ("high", said.high, found.high)):
        width = 0.0 if found.low is None or found.high is None else found.high - found.low
        if not close(there, here, within=max(ENDS * width, digits)):
            yield f"has the {end} end {there}, its values give {here}"


def _pairs(arm: Arm) -> Iterator[str]:
    """Where the values of PSNR are kept; those of identical pictures are none."""
    if arm.paired is None or "psnr" not in arm.values:
        return
    finite = [value for value in arm.values["psnr"] if value is not None]
    mean = float(np.mean(finite)) if finite else None
    same = len(arm.values["psnr"]) - len(finite)
    if not close(arm.paired.psnr, mean, within=DIGITS * (mean or 0)) or arm.paired.identical != same:
        said = f"{arm.paired.psnr} dB and {arm.paired.identical} identical"
        yield f"pictures of {arm.name} in pairs: {said}, its values give {mean} dB and {same}"


def clocked(record: Record) -> Findings:
    """Clocks say something else every time; medians must still be those of the rounds that were kept."""
    arms = {name: timed for name, timed in record.timing.arms.items() if timed.rounds}
    differs = [
        f"{name}: the median is {timed.seconds.p50} s, of its rounds it is {middle} s"
        for name, timed in arms.items()
        if not close(timed.seconds.p50, middle := float(np.median(timed.rounds)), within=DIGITS * middle)
    ]
    why = "seconds are not measured anew: a clock says something else every time"
    return Findings(f"{len(arms)} medians from rounds", differs, [why] if record.timing.arms else [])
