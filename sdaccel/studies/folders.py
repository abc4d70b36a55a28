"""Folders of pictures made elsewhere, scored as the arms of a study are: paired by file name, the first one is the baseline.

What comes out is a record like any other, so that everything which reads records reads this one.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from sdaccel.conditions import Condition, read_prompts
from sdaccel.errors import BadInput
from sdaccel.metrics import frechet
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.paired import paired_psnr
from sdaccel.metrics.pictures import SUFFIXES, Pictures, of_files, opened
from sdaccel.metrics.suite import Partial, measure
from sdaccel.metrics.texts import SCORE
from sdaccel.predict.progress import Phase
from sdaccel.records import store
from sdaccel.records.provenance import git_state, numerics, provenance
from sdaccel.registry import name_of
from sdaccel.samples import canonical, digest
from sdaccel.studies.held import Held

COMMAND = "experiments/compare.py"
Read = Callable[[], Iterable[np.ndarray]]
ELSEWHERE = {
    frechet.FID: ("FID, KID, CMMD, precision and recall", "metrics=files with networks and reference pictures"),
    SCORE: ("the CLIP score", "--prompts FILE and metrics=files with metrics.clip=PATH"),
}
"""A metric that a suite may not have -> what is missing with it, and how to get it."""
UNKNOWN = -1
"""The condition of a picture of which nobody said what it shows."""


@dataclass(frozen=True)
class Folder:
    name: str
    files: Sequence[Path]
    """In the order of their names, the same in all folders."""


def folders(named: Sequence[str]) -> list[Folder]:
    """`NAME=PATH` twice or more, with the same file names and one size of pictures."""
    found = [_folder(each) for each in named]
    if len({folder.name for folder in found}) < max(2, len(found)):
        raise BadInput(f"--dirs {' '.join(named)} names {len(found)} folders; give two or more, each under a name of its own.")
    first, *others = found
    for other in others:
        for a, b in ((first, other), (other, first)):
            if missing := sorted({p.stem for p in a.files} - {p.stem for p in b.files}):
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise BadInput(f"folder {b.name} has no picture {missing[0]}{more} of folder {a.name}; pairs go by file name.")
    _check_sizes([path for folder in found for path in folder.files])
    return found


def _folder(named: str) -> Folder:
    name, _, place = named.partition("=")
    if not place or not re.fullmatch(r"[\w.-]+", name):
        raise BadInput(
            f"--dirs {named} is not NAME=FOLDER, the name of letters, digits, '_', '-' and '.'; write base=pictures/."
        )
    try:
        files = sorted((p for p in Path(place).iterdir() if p.suffix.lower() in SUFFIXES), key=lambda path: path.stem)
    except OSError as error:
        raise BadInput(f"--dirs {named} is no readable folder ({error.strerror}); give one that holds pictures.") from None
    if not files:
        raise BadInput(f"--dirs {named} holds no picture ({', '.join(SUFFIXES)}); give a folder of pictures.")
    stems = [path.stem for path in files]
    if twice := [stem for stem in stems if stems.count(stem) > 1] if len(set(stems)) < len(stems) else []:
        raise BadInput(f"--dirs {named} holds two pictures named {twice[0]}, and pairs go by file name; remove one.")
    return Folder(name, files)


def _check_sizes(paths: Sequence[Path]) -> None:
    """Pixels are compared with pixels."""
    first: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        with opened(path) as image:
            size = image.size
        first = first or (path, size)
        if size != first[1]:
            wide, high = (f"{of[0]} x {of[1]}" for of in (size, first[1]))
            raise BadInput(f"picture {path} has {wide} pixels and {first[0]} has {high}; give all pictures one size.")


def conditions_of(folder: Folder, *, prompts: Path | None, labels: Path | None) -> list[Condition]:
    """Line i of the file belongs to picture i in the order of names; without a file nothing is known of them."""
    if prompts and labels:
        raise BadInput("--prompts and --labels both say what the pictures show; give one of them.")
    if (path := prompts or labels) is None:
        return [UNKNOWN] * len(folder.files)
    found = read_prompts(path)
    if len(found) != len(folder.files):
        raise BadInput(
            f"{path} has {len(found)} lines for {len(folder.files)} pictures; give one for each, in the order of names."
        )
    if prompts:
        return [*found]
    if wrong := [line for line in found if not re.fullmatch(r"\d{1,9}", line)]:
        raise BadInput(f"{path} holds {wrong[0]}, which is no label; write one whole number per line.")
    return [int(line) for line in found]


def check(suite: Any, conditions: Sequence[Condition]) -> dict[str, str]:
    """What cannot be measured -> what it needs; files that are given must be sound."""
    if isinstance(suite, Partial):
        suite.check_given()
        return suite.lacking(conditions)
    if getattr(suite, "of_world", False) and conditions[0] == UNKNOWN:
        raise BadInput("metrics=world judges what a picture should show; give --labels FILE or --prompts FILE.")
    suite.check(conditions)
    names = suite.names(conditions)
    return {what: need for metric, (what, need) in ELSEWHERE.items() if metric not in names}


@dataclass(frozen=True)
class Asked:
    """What is to be compared, by what, and where the record goes."""

    folders: Sequence[Folder]
    conditions: Sequence[Condition]
    suite: Any
    output: Path
    device: torch.device
    threads: int
    command: Sequence[str]


def scored(asked: Asked, *, console: Console) -> Path:
    """The record of these folders, on disk; its path."""
    lacking, git = check(asked.suite, asked.conditions), git_state()
    torch.set_num_threads(asked.threads)
    held = Held()
    reads = {folder.name: partial(held.read, folder.name, partial(of_files, folder.files)) for folder in asked.folders}
    hashes = {name: [digest(np.ascontiguousarray(image).tobytes()) for image in read()] for name, read in reads.items()}
    keys = {name: digest(canonical(each))[:20] for name, each in hashes.items()}
    scores = _measured(asked, reads, keys, console)
    each = {
        name: {"samples": [{"index": i, "image": image} for i, image in enumerate(own)], "values": scores[name].values}
        for name, own in hashes.items()
    }
    config, base = _config(asked), asked.folders[0].name
    body = {
        "config": config,
        "arms": {name: _arm(name, base, reads, scores[name]) for name in reads},
        "samples": digest(canonical(each)),
        "checks": [],
        "failures": [],
        "verdict": "no claim",
        "lacking": lacking,
    }
    run, bits = f"{'-'.join(reads)}-{digest(canonical([config, hashes]))[:12]}", numerics(asked.device, threads=asked.threads)
    source = provenance(COMMAND, asked.command, bits=bits, code={}, git=git)
    path = asked.output / run / "record.json"
    store.save(store.sealed(run, body, digits=6, timing=None, provenance=source, folders=keys), path, each=each)
    return path


def _measured(asked: Asked, reads: Mapping[str, Read], keys: dict[str, str], console: Console) -> dict[str, Scores]:
    base = asked.folders[0]
    with opened(base.files[0]) as image:
        size = image.height
    pictures = [
        Pictures(name, f"{keys[name]}-{asked.device.type}", read, None if name == base.name else base.name, name != base.name)
        for name, read in reads.items()
    ]
    scorers = asked.suite.scorers(asked.conditions, size=size, device=asked.device, cache=asked.output / "features")
    with Phase(console, "measuring", total=len(pictures) * len(scorers), unit="parts") as phase:
        return measure(scorers, pictures, done=phase.advance)


def _config(asked: Asked) -> dict[str, Any]:
    """As of a study whose arms are the folders."""
    base, *others = (folder.name for folder in asked.folders)
    parts = {"generator": {"name": "pictures"}, "backend": {"name": "dense"}}
    question = f"How far are the pictures of {', '.join(others)} from those of {base}?"
    return {
        "study": {"name": "folders", "question": question, "baseline": base},
        "data": {"conditions": list(asked.conditions)},
        "metrics": {"name": name_of(asked.suite), **asked.suite.identity()},
        "arms": {folder.name: parts | {"strategy": {"name": folder.name}} for folder in asked.folders},
    }


def _arm(name: str, base: str, reads: Mapping[str, Read], scores: Scores) -> dict[str, Any]:
    return {
        "template": name,
        "macs": 0.0,
        "mac_ceiling": None,
        "paired": {"against": base} | paired_psnr(reads[base](), reads[name]()),
        "metrics": {metric: found.content() for metric, found in scores.aggregates.items()},
    }
