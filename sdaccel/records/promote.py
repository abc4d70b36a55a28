"""Promote a finished record into reports/, where it is committed: on purpose, never by a run itself."""

import glob
import os
import shutil
from pathlib import Path

import torch
from PIL import Image

from sdaccel.errors import BadInput
from sdaccel.records import read, store
from sdaccel.samples import Samples

SIDE = 256
"""Pixels; of the small models every picture is kept as it is."""
FEW = 24
"""Arms up to which eight pictures of each are kept, and not four."""


def chosen(count: int, *, many: bool) -> list[int]:
    """Samples that are shown: the first four, or eight of the first 24, which hold every third of the world's classes."""
    if not many:
        return list(range(min(count, 4)))
    return list(range(0, 24, 3)) if count >= 24 else list(range(min(count, 8)))


def find(identifier: str, roots: list[Path]) -> Path:
    """A record by its path, its id, or the beginning of its id; of several, the one made on this kind of machine."""
    if os.path.isfile(identifier):  # Path.is_file raises for a name that is too long
        return Path(identifier)
    if "/" in identifier or os.path.exists(identifier):
        raise BadInput(f"record {identifier} is no file; give the path of a record.json or an id.")
    name = glob.escape(identifier)
    paths = [p for root in roots for p in [*root.glob(f"{name}*/record.json"), *root.glob(f"*/{name}*.json")]]
    found = {record["id"]: (path, record) for path in sorted(paths) for record in [store.load(path)]}
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
    record = read.load(path)
    target = reports / "results" / record.study.name / f"{record.id}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    thumbnails = reports / "thumbnails"
    thumbnails.mkdir(parents=True, exist_ok=True)
    for name, arm in record.arms.items():
        rows = chosen(len(arm.samples), many=bool(record.measured) and len(record.arms) <= FEW)
        for sample in (arm.samples[i] for i in rows):
            image = Samples(samples / record.folders[name]).image(sample.index)
            if not image.is_file():
                raise BadInput(f"sample {image} of arm {name} is gone; run the study again, then promote.")
            thumbnail(image, thumbnails / f"{sample.image[:16]}.png")
    for file in (store.sidecar(path), path):
        if file.is_file():
            shutil.copyfile(file, target if file == path else store.sidecar(target))
    return target
