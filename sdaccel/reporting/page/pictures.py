"""Which pictures a page shows, their copies beside it, and maps of where two of them differ."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sdaccel.records.view import Arm, Record
from sdaccel.reporting import series
from sdaccel.reporting.page.content import Pair, Picture, Row
from sdaccel.reporting.page.names import called
from sdaccel.reporting.registry import Find
from sdaccel.reporting.sample_sheet import kept, said
from sdaccel.samples import atomic_write
from sdaccel.world.attributes import CLASSES

FOLDER = "pictures"
SIDE = 512
"""Pixels of a copy at most."""
SHOWN = 256
"""CSS pixels: a smaller picture is enlarged by a whole factor up to this, a larger one is shown at this."""
SAMPLES, ARMS = 4, 12
"""Of an arm, and of a page."""
ALIKE = 6
"""Arms of the same pixels that are named."""
DARKEST, FEW = 16, 0.99
"""The least difference that is white on the error maps, so that rounding does not look like damage; else what so large a share
of the pixels of any picture stays below."""


@dataclass(frozen=True)
class Shown:
    rows: list[Row]
    legend: str


class Album:
    """The pictures of one page, written as they are asked for; what an earlier page left and this one does not show goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.written: set[str] = set()

    def add(self, name: str, pixels: np.ndarray, alt: str) -> Picture:
        """uint8 (H, W, 3)"""
        picture = Image.fromarray(pixels)
        high, wide = pixels.shape[:2]
        if max(high, wide) > SIDE:
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        if name not in self.written:
            packed = io.BytesIO()
            picture.save(packed, "PNG")
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(self.folder / name, packed.getvalue())
            self.written.add(name)
        factor = max(1, SHOWN // max(high, wide)) if max(high, wide) <= SHOWN else SHOWN / max(high, wide)
        return Picture(f"{FOLDER}/{name}", round(wide * factor), round(high * factor), alt, crisp=factor > 1)

    def tidy(self) -> None:
        for path in self.folder.glob("*.png"):
            if path.name not in self.written:
                path.unlink()


def pictures(record: Record, find: Find, folder: Path) -> Shown:
    """Arms beside what they are compared with; nothing where pictures are gone."""
    samples = kept(record, find)[:SAMPLES]
    album = Album(folder)
    if not samples:
        return Shown([], "")
    arms = {name: arm for name, arm in record.arms.items() if not arm.control or arm.metrics}
    groups = series.coinciding({name: [arm.samples[i].image for i in samples] for name, arm in arms.items()})
    few = groups[:ARMS]
    scale = max([DARKEST, *(math.ceil(_strong(record, names, samples, find)) for names, _ in few)])
    rows = [_row(record, names, [*_pairs(record, names, samples, find, album, scale)]) for names, _ in few]
    album.tidy()
    legend = [f"{len(groups) - ARMS} more arms have pictures of their own; they stand in the record."] * (len(groups) > ARMS)
    if any(pair.error for row in rows for pair in row.pairs):
        legend.append(
            f"Error maps: mean difference of the colours, from black, 0, to white, {scale} of 255 or more, on the whole page."
        )
    return Shown(rows, " ".join(legend))


def _row(record: Record, names: list[str], pairs: Sequence[Pair]) -> Row:
    """Under the name of the first; that they are the baseline's pictures is said, too."""
    said_of = called(record)
    every = [series.weighted(said_of[name], record.arms[name]) for name in names]
    baseline = any(record.arms[name].template == record.study.baseline for name in names)
    also, more = every[1 : 1 + ALIKE], len(every) - 1 - ALIKE
    note = f"The same pixels: {', '.join(also)}{f' and {more} more' if more > 0 else ''}." if also else ""
    return Row(f"{every[0]}{', the baseline' if baseline and every[0] != 'baseline' else ''}", pairs, note)


def _said(record: Record, row: int) -> str:
    """A prompt, or a label with what it stands for where the judge knows it."""
    text, condition = said(record, row), record.conditions[row]
    if text != str(condition) or isinstance(condition, str):
        return text
    if condition < 0:
        return f"sample {row}"
    known = any("judge.class" in arm.metrics for arm in record.arms.values())
    return f"{CLASSES[condition]} (label {condition})" if known else f"label {condition}"


def _other(record: Record, names: list[str]) -> Arm | None:
    """What the group is compared with, where that has other pictures."""
    paired = record.arms[names[0]].paired
    return None if paired is None or paired.against in names else record.arms[paired.against]


def _strong(record: Record, names: list[str], samples: list[int], find: Find) -> float:
    """A difference of these arms from what they are compared with that few pixels exceed."""
    arm, other = record.arms[names[0]], _other(record, names)
    if other is None:
        return 0.0
    pairs = ((_read(find(each.name, each.samples[i])) for each in (arm, other)) for i in samples)
    return max(float(np.quantile(_error(*pair), FEW)) for pair in pairs)


def _pairs(record: Record, names: list[str], samples: list[int], find: Find, album: Album, scale: int) -> Iterator[Pair]:
    arm, other, said_of = record.arms[names[0]], _other(record, names), called(record)
    for i in samples:
        caption = _said(record, i)
        image = arm.samples[i].image
        pixels = _read(find(arm.name, arm.samples[i]))
        own = album.add(f"{image[:16]}.png", pixels, f"{said_of[arm.name]}: {caption}")
        if other is None:
            yield Pair(own, said_of[arm.name], caption)
            continue
        theirs = other.samples[i].image
        base = _read(find(other.name, other.samples[i]))
        before = album.add(f"{theirs[:16]}.png", base, f"{said_of[other.name]}: {caption}")
        if image == theirs:
            yield Pair(own, said_of[arm.name], caption, before, said_of[other.name], said="identical")
            continue
        error = _error(pixels, base)
        words = f"where {said_of[arm.name]} differs from {said_of[other.name]}: {caption}"
        drawn = album.add(f"{image[:16]}-{theirs[:16]}-{scale}.png", _coloured(error / scale), words)
        apart = f"mean difference {error.mean():.2g}, largest {error.max():.3g} of 255"
        yield Pair(own, said_of[arm.name], caption, before, said_of[other.name], drawn, apart)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) mean over colours of absolute differences."""
    out: np.ndarray = np.abs(a.astype(np.float64) - b.astype(np.float64)).mean(-1)
    return out


def _coloured(values: np.ndarray) -> np.ndarray:
    """Of 0 .. 1, from black over red and yellow to white: brighter is more, in grey print too."""
    channels = [np.clip(3 * values - start, 0, 1) for start in (0, 1, 2)]
    return (np.stack(channels, -1) * 255).round().astype(np.uint8)
