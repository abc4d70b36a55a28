"""Promote a finished record into reports/, where it is committed: on purpose, never by a run itself."""

import shutil
from pathlib import Path

import torch
from PIL import Image

from sdaccel.errors import BadInput
from sdaccel.reporting.sample_sheet import FEW, chosen
from sdaccel.studies import records

SIDE = 256
"""Pixels; of the small models every picture is kept as it is."""


def find(identifier: str, roots: list[Path]) -> Path:
    """A record by its path, its id, or the beginning of its id; of several, the one made on this kind of machine."""
    if Path(identifier).is_file():
        return Path(identifier)
    if "/" in identifier:
        raise BadInput(f"record {identifier} is no file; give the path of a record.json or an id.")
    paths = [p for root in roots for p in [*root.glob(f"{identifier}*/record.json"), *root.glob(f"*/{identifier}*.json")]]
    found = {record["id"]: (path, record) for path in sorted(paths) for record in [records.load(path)]}
    if len(found) > 1:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        found = {name: pair for name, pair in found.items() if pair[1]["provenance"]["device"] == device} or found
    if len(found) != 1:
        matches = f"matches {len(found)}: {', '.join(found)}" if found else "matches nothing"
        raise BadInput(f"record {identifier} {matches} under {', '.join(map(str, roots))}; give one path or id.")
    return next(iter(found.values()))[0]


def thumbnail(image: Path, target: Path) -> None:
    """A copy, smaller where the picture is larger than a page shows it."""
    with Image.open(image) as picture:
        if max(picture.size) <= SIDE:
            shutil.copyfile(image, target)
            return
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        picture.save(target)


def promote(path: Path, *, samples: Path, reports: Path) -> Path:
    """Copy the record and the thumbnails of its first samples; every image is named by the hash that stands in the record."""
    record = records.load(path)
    target = reports / "results" / record["content"]["config"]["study"]["name"] / f"{record['id']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    thumbnails = reports / "thumbnails"
    thumbnails.mkdir(parents=True, exist_ok=True)
    for name, arm in record["content"]["arms"].items():
        folder = samples / record["samples"][name]
        many = "metrics" in record["content"]["config"] and len(record["content"]["arms"]) <= FEW
        rows = chosen(len(arm["samples"]), many=many)
        for sample in (arm["samples"][i] for i in rows):
            image = folder / f"{sample['index']:06d}.png"
            if not image.is_file():
                raise BadInput(f"sample {image} of arm {name} is gone; run the study again, then promote.")
            thumbnail(image, thumbnails / f"{sample['image'][:16]}.png")
    records.save(record, target)
    return target
