"""What a record says beside what its command makes: pure comparisons, one line for everything that differs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdaccel.records.names import arm_name
from sdaccel.records.view import Record
from sdaccel.samples import canonical


def samples_differ(record: Record, made: Mapping[str, Sequence[Mapping[str, Any]]], *, count: int) -> list[str]:
    """Of the first samples of every arm, those whose image or kept arrays have another hash; `made` are entries by arm."""
    arms = {arm_name(arm.template, arm.point): arm for arm in record.arms.values()}  # as they are called today
    if arms.keys() != made.keys():
        return [f"arms differ: {', '.join(sorted(arms.keys() ^ made.keys()))}"]
    return [
        f"{name}, sample {i}: {key} is {entry[key]}, the record says {getattr(said, key)}"
        for name, arm in arms.items()
        for i, (said, entry) in enumerate(zip(arm.samples[:count], made[name], strict=False))
        for key in ("image", "arrays")
        if getattr(said, key) != entry[key]
    ]


def content_differs(record: Record, made: Mapping[str, Any]) -> list[str]:
    """Of a benchmark, whose work follows from its configuration."""
    said = record.content
    return [
        f"{key} is {canonical(made.get(key)).decode()}, the record says {canonical(said.get(key)).decode()}"
        for key in dict.fromkeys([*said, *made])
        if key != "format" and made.get(key) != said.get(key)
    ]
