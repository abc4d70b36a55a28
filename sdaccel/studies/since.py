"""What a study's YAML asks for today that the record was not asked for, and the other way round."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sdaccel.records.findings import Findings
from sdaccel.records.view import Record

STUDY = "+exp="


def changed(record: Record, conf: Path) -> Findings:
    """A note for every check; of a record whose command sets checks of its own, too."""
    names = [o.removeprefix(STUDY) for o in record.provenance.command if o.startswith(STUDY)]
    path = conf / "exp" / f"{names[0] if names else ''}.yaml"
    if not path.is_file():
        return Findings("checks of today", notes=["its command names no study" if not names else f"{path} is gone"])
    today = (yaml.safe_load(path.read_bytes()).get("study") or {}).get("checks") or []
    said = record.content["config"]["study"].get("checks") or []
    own = any(o.startswith("study.checks") for o in record.provenance.command)
    notes = [f"only today: {_line(spec)}" for spec in today if spec not in said]
    notes += [f"only in the record: {_line(spec)}" for spec in said if spec not in today]
    why = ", as its command asked" if own and notes else ""
    same = f"{len(notes)} differ from those of {path.name}{why}" if notes else f"those of {path.name}"
    return Findings(f"{len(said)} checks: {same}", notes=notes)


def _line(spec: Mapping[str, Any]) -> str:
    return "{" + ", ".join(_parts(spec)) + "}"


def _parts(spec: Mapping[str, Any]) -> Iterator[str]:
    """As YAML has it on one line."""
    for key, value in spec.items():
        yield f"{key}: [{', '.join(map(str, value))}]" if isinstance(value, list) else f"{key}: {value}"
