"""What a study recommends: of its candidates that passed every check, the one with the least work, as a file to choose by name.

    python experiments/run.py +calibration=NAME

Candidates are judged on samples that no calibration of theirs has seen, as one family (Holm), so that whichever is chosen
among those that passed has passed by itself. Where none has, the file holds the candidate with most work, as experimental.
"""

from pathlib import Path
from typing import Any

import yaml

from sdaccel.errors import BadInput
from sdaccel.records.view import Arm, Part, Record
from sdaccel.samples import atomic_write


def candidates(record: Record) -> list[Arm]:
    wanted = record.study.recommend.arms
    return [arm for arm in record.arms.values() if arm.template in wanted and not arm.control]


def passed(record: Record, arm: Arm) -> bool:
    """By all checks that looked at it, and there was one."""
    said = [check.passed for check in record.checks if check.arm == arm.name]
    return bool(said) and all(verdict is True for verdict in said)


def recommended(record: Record) -> Arm | None:
    """None: no candidate has passed."""
    good = [arm for arm in candidates(record) if passed(record, arm)]
    return min(good, key=lambda arm: arm.macs, default=None)


def said(record: Record) -> str:
    """The recommendation in a sentence."""
    if found := recommended(record):
        return f"recommended: {found.name}, MACs / {found.mac_ceiling:.2f}: the least work of all that passed every check"
    cautious = _cautious(record)
    return f"nothing is recommended: no candidate passed every check; {cautious.name} has most work of them"


def _cautious(record: Record) -> Arm:
    return max(candidates(record), key=lambda arm: arm.macs)


def text(record: Record) -> str:
    """The file."""
    found = recommended(record)
    arm = found or _cautious(record)
    head = ["# @package _global_", f"# Of {record.id}: +calibration={record.study.recommend.name}", f"# {said(record)}."]
    defaults = ["defaults:", *(f"  - override /{group}: {part.name}" for group, part in _parts(arm).items())]
    body: dict[str, Any] = {group: dict(part.options) for group, part in _parts(arm).items() if part.options}
    body |= {} if found else {"experimental": True}
    return "\n".join([*head, *defaults, "", yaml.safe_dump(body, sort_keys=False, width=10**6, default_flow_style=None)])


def _parts(arm: Arm) -> dict[str, Part]:
    return {"backend": arm.backend, "strategy": arm.strategy}


def place(record: Record, folder: Path) -> Path:
    """Of the file in a run's folder, or in conf/."""
    return folder / "calibration" / f"{record.study.recommend.name}.yaml"


def write(record: Record, run: Path) -> Path:
    path = place(record, run)
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, text(record).encode())
    return path


def promote(record: Record, run: Path, conf: Path) -> Path | None:
    """Copy the file of a run into conf/; None: its study recommends nothing."""
    if not record.study.recommend.arms:
        return None
    path = place(record, run)
    if not path.is_file() or path.read_text() != text(record):
        raise BadInput(f"{path} is not the calibration that its record recommends; run the study again, then promote.")
    place(record, conf).parent.mkdir(parents=True, exist_ok=True)
    atomic_write(place(record, conf), path.read_bytes())
    return place(record, conf)
