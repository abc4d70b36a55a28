"""`objective=ARM.METRIC`: the one number of a study that a sweep optimises."""

import json
import os
from collections.abc import Collection
from pathlib import Path

from sdaccel.errors import BadInput, choices
from sdaccel.records.outline import ArmOutline, Outline
from sdaccel.records.view import Record
from sdaccel.samples import atomic_write

TOLD = "SDACCEL_OBJECTIVE"
"""Environment variable with a file for the number and the record's path, of a run that a sweep started."""


def validate(objective: str, outline: Outline, *, timed: bool) -> None:
    """Raise BadInput for what the study will not have."""
    arm, metric = _parts(objective, outline.arms)
    known = _known(outline.arms[arm], timed=timed)
    if metric not in known:
        raise BadInput(f"objective={objective}: arm {arm} will have no {metric or 'metric'}; {choices(metric, known)}")


def value(objective: str, record: Record) -> float | None:
    """None: the metric turned out to have no value."""
    arm, metric = _parts(objective, record.arms)
    found, timed = record.arms[arm], record.timing.arms.get(arm)
    speedup = timed.speedup if timed else None
    own = {
        "macs": found.macs,
        "mac_ceiling": found.mac_ceiling,
        "seconds": timed.seconds.p50 if timed else None,
        "speedup": speedup.estimate if speedup else None,
    }
    return own[metric] if metric in own else found.estimate(metric)


def tell(objective: str, record: Record, path: Path) -> None:
    """Whoever started the run and asked for it finds out what came of it."""
    if TOLD in os.environ:
        found = {"objective": value(objective, record) if objective else None, "record": str(path.resolve())}
        atomic_write(Path(os.environ[TOLD]), json.dumps(found).encode())


def _parts(objective: str, arms: Collection[str]) -> tuple[str, str]:
    """Names of arms and of metrics may hold dots: the longest arm that fits."""
    fitting = [name for name in arms if objective == name or objective.startswith(f"{name}.")]
    if not fitting:
        asked = objective.partition(".")[0]
        raise BadInput(f"objective={objective} has to be ARM.METRIC, and {asked} is no arm; {choices(asked, arms)}")
    arm = max(fitting, key=len)
    return arm, objective[len(arm) + 1 :]


def _known(arm: ArmOutline, *, timed: bool) -> list[str]:
    of_clock = ["seconds", *(["speedup"] if arm.over else [])] if timed else []
    return [*sorted(arm.metrics), "macs", *(["mac_ceiling"] if arm.priced else []), *of_clock]
