"""Verdicts of a later day beside a record: what checks as they read then say of the values that it holds.

    record: the content hash of what was judged
    checks: as the study's YAML had them
    fails: {control: the check that must fail it}
    left_out: checks that the record cannot answer, and why
    verdicts, failures, verdict: as in a record

The record stays as it is. YAML, so that no folder of records takes it for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from sdaccel.errors import BadInput, reason
from sdaccel.records.view import Check, Evidence, Record
from sdaccel.samples import atomic_write


@dataclass(frozen=True)
class Judgement:
    record: str
    checks: Sequence[Any]
    fails: Mapping[str, str]
    verdicts: Sequence[Check]
    failures: Sequence[str]
    verdict: str
    left_out: Sequence[str] = field(default_factory=list)


def beside(path: Path) -> Path:
    return path.with_suffix(".judged.yaml")


def write(judgement: Judgement, path: Path) -> Path:
    """Beside the record at this path."""
    text = yaml.safe_dump(asdict(judgement), sort_keys=False, width=128, allow_unicode=True)
    atomic_write(beside(path), text.encode())
    return beside(path)


def attached(record: Record, path: Path) -> Record:
    """With the verdicts that lie beside it, where there are any."""
    file = beside(path)
    if not file.is_file():
        return record
    try:
        raw = yaml.safe_load(file.read_bytes())
        found = Judgement(**raw | {"verdicts": [_check(each) for each in raw["verdicts"]]})
    except (yaml.YAMLError, TypeError, LookupError, ValueError) as error:
        raise BadInput(f"{file} is no judgement ({reason(error)}); judge the record again.") from None
    if found.record != record.content_hash:
        raise BadInput(f"{file} judges another record ({found.record[:12]}); judge this one again.")
    return replace(record, again=judged(record, found))


def _check(raw: Mapping[str, Any]) -> Check:
    return Check(**{**raw, "evidence": raw["evidence"] and Evidence(**raw["evidence"])})


def judged(record: Record, by: Judgement) -> Record:
    """The record as if these were its verdicts."""
    arms = dict(record.arms)
    for name, fails in by.fails.items():
        control = arms[name].control
        assert control is not None, f"{name} is a control"
        arms[name] = replace(arms[name], control=replace(control, fails=fails))
    return replace(record, arms=arms, checks=by.verdicts, failures=by.failures, verdict=by.verdict, again=None)
