"""What a record says beside what its command makes: pure comparisons, one line for everything that differs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sdaccel.metrics.aggregate import Aggregate
from sdaccel.records.findings import close
from sdaccel.records.view import Check, Record
from sdaccel.samples import canonical

NETWORK = 1e-4
"""Relative, between two evaluations of a metric's network in batches of other sizes."""


def samples_differ(record: Record, made: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Iterator[str]:
    """Of some samples of every arm, those whose image or kept arrays have another hash; `made` are entries by arm and index."""
    for name, entries in made.items():
        samples = record.arms[name].samples
        for i, entry in entries.items():
            said, found = samples[i].arrays, entry["arrays"]
            if samples[i].image != entry["image"]:
                yield f"{name}, sample {i}: image has hash {entry['image'][:12]}, the record says {samples[i].image[:12]}"
            if other := [key for key in sorted(said.keys() | found) if said.get(key) != found.get(key)]:
                yield f"{name}, sample {i}: arrays {', '.join(other)} have other hashes than the record says"


def values_differ(record: Record, made: Mapping[str, Mapping[str, Mapping[int, float | None]]]) -> Iterator[str]:
    """The same of values; `made` are those by arm, metric and index."""
    for name, metrics in made.items():
        for metric, said in record.arms[name].values.items():
            for i, value in metrics.get(metric, {}).items():
                if i < len(said) and not close(said[i], value, within=NETWORK * abs(value or 0) + 1e-6):
                    yield f"{name}, sample {i}: {metric} is {value}, the record says {said[i]}"


def figures_differ(record: Record, made: Mapping[str, Mapping[str, Aggregate]]) -> Iterator[str]:
    """Of whole arms, whose samples were all made anew."""
    for name, arm in record.arms.items():
        for metric, said in arm.metrics.items():
            if (found := made.get(name, {}).get(metric)) is None:
                continue
            for key in ("estimate", "low", "high"):
                here, there = getattr(found, key), getattr(said, key)
                if not close(there, here, within=NETWORK * max(abs(here or 0), abs(found.estimate or 0)) + 1e-6):
                    yield f"{name}: {key} of {metric} is {here}, the record says {there}"


def verdicts_differ(record: Record, made: Sequence[Check]) -> Iterator[str]:
    """Of checks that stand in both."""
    said = {(row.check, row.arm, row.relation, row.bound): row for row in record.checks}
    for found in made:
        if (row := said.get((found.check, found.arm, found.relation, found.bound))) is None:
            continue
        if row.passed is not found.passed:
            yield f"verdict {row.check} of {row.arm}: passed is {found.passed}, the record says {row.passed}"


def content_differs(record: Record, made: Mapping[str, Any]) -> list[str]:
    """Of a benchmark, whose work follows from its configuration."""
    said = record.content
    return [
        f"{key} is {canonical(made.get(key)).decode()}, the record says {canonical(said.get(key)).decode()}"
        for key in dict.fromkeys([*said, *made])
        if key != "format" and made.get(key) != said.get(key)
    ]
