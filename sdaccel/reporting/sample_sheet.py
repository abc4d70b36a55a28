"""One sheet of pictures: a row per arm, a column per condition, every pixel as it is or enlarged by a whole factor."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sdaccel.errors import BadInput
from sdaccel.records.promote import chosen
from sdaccel.records.view import Record
from sdaccel.reporting import series, style
from sdaccel.reporting.quality import named
from sdaccel.reporting.registry import Find, figure
from sdaccel.reporting.scripts import cells
from sdaccel.samples import Samples
from sdaccel.world.attributes import CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CRISP = 128
"""Pixels: a smaller picture is enlarged to about this."""
GAP = 6
SIDE = 0.95
"""Inches for the names of arms."""
LETTERS, LINES = 17, 4
"""Of those names, in a row."""
SIZE, HEAD = 6.0, 5.2
"""Points: names and conditions; conditions over a column."""
SHORT = 16
"""Letters of a condition that fit over its column; longer ones are numbered and stand below."""


def in_run(record: Record, samples: Path) -> Find:
    """Pictures as the run wrote them, in its folder of samples."""
    return lambda arm, sample: Samples(samples / record.folders[arm]).image(sample.index)


def kept(record: Record, find: Find) -> list[int]:
    """The samples to show, if the pictures of every arm are there."""
    count = len(record.conditions)
    for rows in (chosen(count, many=True), chosen(count, many=False)):
        if all(find(name, arm.samples[i]).is_file() for name, arm in record.arms.items() for i in rows):
            return rows
    return []


def said(record: Record, row: int) -> str:
    """A sample's condition: the prompt, or the label, by its name where the study is about the world's classes."""
    condition = record.conditions[row]
    of_world = any(arm.generator.name == "world" for arm in record.arms.values())
    return CLASSES[condition] if of_world and isinstance(condition, int) and condition >= 0 else str(condition)


@figure(
    needs=lambda outline: None if outline.arms else "arms, which a benchmark has none of.",
    unasked=lambda outline: bool(outline.measured),
    pictured=True,
)
def sample_sheet(record: Record, find: Find) -> "Figure":
    """Arms with distinct pictures, in the order of the study; of controls only those whose pictures were measured."""
    arms = {name: arm for name, arm in record.arms.items() if not arm.control or arm.metrics}
    rows = kept(record, find)
    if not rows:
        raise BadInput("it needs the pictures of every arm; run the study again, then promote.")
    groups = series.coinciding({name: [arm.samples[i].image for i in rows] for name, arm in arms.items()})
    names = series.labels(arms) | named(record)
    lines = [
        (_alike([names[name] for name in own]), [_read(find(own[0], arms[own[0]].samples[i])) for i in rows])
        for own, _ in groups
    ]
    return sheet(lines, [said(record, i) for i in rows], title=style.titled(record, "The same conditions, arm by arm"))


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], conditions: Sequence[str], *, title: str) -> "Figure":
    """(name, pictures) of every row, uint8 (H, W, 3) each; one condition per column."""
    pictures = [(name, [_enlarged(picture) for picture in row]) for name, row in rows]
    high, wide = pictures[0][1][0].shape[:2]
    short = max(map(len, conditions)) <= SHORT
    dpi = style.RC["savefig.dpi"]
    width = SIDE + len(conditions) * (wide + GAP) / dpi
    titles = textwrap.wrap(title, int(13 * width))
    top = (0.18 if short else 0.14) + 0.08 + 0.14 * len(titles)
    below = [] if short else _listed(conditions, width)
    bottom = 0.06 + 0.115 * len(below)
    figure = style.blank(width, top + len(rows) * (high + GAP) / dpi + bottom)
    figure.set_layout_engine("none")
    height = figure.get_figheight()
    for i, (name, line) in enumerate(pictures):
        y = top + i * (high + GAP) / dpi
        middle = 1 - (y + high / dpi / 2) / height
        text = "\n".join(textwrap.wrap(name, LETTERS))
        figure.text((SIDE - 0.06) / width, middle, text, fontsize=SIZE, ha="right", va="center", ma="right")
        for j, picture in enumerate(line):
            x = SIDE + j * (wide + GAP) / dpi
            size = wide / dpi / width, high / dpi / height
            axes = figure.add_axes((x / width, 1 - (y + high / dpi) / height, *size))
            axes.imshow(picture, interpolation="none")
            axes.set_axis_off()
    for j, condition in enumerate(conditions):
        x = SIDE + (j * (wide + GAP) + wide / 2) / dpi
        head = condition if short else str(j + 1)
        figure.text(x / width, 1 - (top - 0.04) / height, head, fontsize=HEAD, ha="center", va="bottom", parse_math=False)
    for j, text in enumerate(below):
        figure.text(
            SIDE / width, (bottom - 0.06 - 0.115 * j) / height, text, fontsize=SIZE, va="top", parse_math=False
        )  # dollars
    figure.suptitle("\n".join(titles), x=0.04 / width, y=1 - 0.05 / height, ha="left", va="top")
    return figure


def _alike(names: Sequence[str]) -> str:
    """The arms of one row, if its height has room for the names of all."""
    every = ", ".join(names)
    if len(names) == 1 or len(textwrap.wrap(every, LETTERS)) <= LINES:
        return every
    return f"{names[0]} and {len(names) - 1} more alike"


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _enlarged(picture: np.ndarray) -> np.ndarray:
    factor = max(1, -(-CRISP // picture.shape[1]))
    return picture.repeat(factor, 0).repeat(factor, 1)


def _listed(conditions: Sequence[str], width: float) -> list[str]:
    """Numbered, broken where the figure ends."""
    letters = int((width - SIDE) * 72 / (0.52 * SIZE))
    said = [f"{i + 1}  {text}" for i, text in enumerate(conditions)]
    return [line for text in said for line in textwrap.wrap(text, int(letters * len(text) / cells(text)))]
