"""Promote a finished record into reports/, where it is committed: on purpose, never by a run itself."""

import shutil
from pathlib import Path

from sdaccel.errors import BadInput
from sdaccel.studies import records

THUMBNAILS = 4
"""Samples of every arm whose images go along."""


def find(identifier: str, roots: list[Path]) -> Path:
    """A record by its path, its id, or the beginning of its id."""
    if Path(identifier).is_file():
        return Path(identifier)
    found = [
        p
        for root in roots
        for p in sorted(root.glob(f"{identifier}*/record.json")) + sorted(root.glob(f"*/{identifier}*.json"))
    ]
    if len(found) != 1:
        matches = f"matches {len(found)}: {', '.join(map(str, found))}" if found else "matches nothing"
        raise BadInput(f"record {identifier} {matches} under {', '.join(map(str, roots))}; give one path or id.")
    return found[0]


def promote(path: Path, *, samples: Path, reports: Path) -> Path:
    """Copy the record and the thumbnails of its first samples; every image is named by the hash that stands in the record."""
    record = records.load(path)
    target = reports / "results" / record["content"]["config"]["study"]["name"] / f"{record['id']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    thumbnails = reports / "thumbnails"
    thumbnails.mkdir(parents=True, exist_ok=True)
    for name, arm in record["content"]["arms"].items():
        folder = samples / record["samples"][name]
        for sample in arm["samples"][:THUMBNAILS]:
            image = folder / f"{sample['index']:06d}.png"
            if not image.is_file():
                raise BadInput(f"sample {image} of arm {name} is gone; run the study again, then promote.")
            shutil.copyfile(image, thumbnails / f"{sample['image'][:16]}.png")
    records.save(record, target)
    return target
