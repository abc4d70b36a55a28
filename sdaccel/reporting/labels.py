"""Names beside points: those of a crowd in one column, in the order of their points, with a thin line to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTER, LINE = 0.58, 1.2
"""Width of a letter and height of a line in units of the font size: enough to keep DejaVu Sans apart."""
GAP = 7.0
"""From a point to its name."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1"""


@dataclass(frozen=True)
class Label:
    """Lengths in points of 1/72 inch."""

    x: float
    y: float
    text: str
    colour: str

    def box(self, left: float, middle: float, size: float) -> Box:
        """The name's when it starts at `left` around the height `middle`."""
        return left, middle - LINE * size / 2, left + LETTER * size * len(self.text), middle + LINE * size / 2


def spread(wanted: Sequence[float], *, apart: float, low: float, high: float) -> list[float]:
    """Ascending positions near the ascending wanted ones, `apart` or more, between low and high if they fit."""
    groups: list[list[float]] = []  # those that would come too close stand around what they want on average
    for value in wanted:
        groups.append([value])
        while len(groups) > 1 and _around(groups[-2], apart)[-1] + apart > _around(groups[-1], apart)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    out = [place for group in groups for place in _around(group, apart)]
    down = [min(place, high - (len(out) - 1 - i) * apart) for i, place in enumerate(out)]
    return [max(place, low + i * apart) for i, place in enumerate(down)]


def _around(wanted: Sequence[float], apart: float) -> list[float]:
    """As many positions around the mean of what is wanted."""
    first = sum(wanted) / len(wanted) - (len(wanted) - 1) * apart / 2
    return [first + i * apart for i in range(len(wanted))]


def crowds(labels: Sequence[Label], *, near: float) -> list[list[Label]]:
    """Labels whose points stand above one another, from left to right, each crowd from bottom to top."""
    out: list[list[Label]] = []
    for label in sorted(labels, key=lambda label: label.x):
        if out and label.x - out[-1][0].x < near:
            out[-1].append(label)
        else:
            out.append([label])
    return [sorted(crowd, key=lambda label: label.y) for crowd in out]


def arrange(labels: Sequence[Label], *, size: float, frame: Box) -> list[tuple[Label, float, float]]:
    """(label, left, middle) of every name: right of its crowd; left of it, or higher or lower, where that hides less."""
    taken = [(label.x - 3, label.y - 3, label.x + 3, label.y + 3) for label in labels]
    placed: list[tuple[Label, float, float]] = []
    for crowd in crowds(labels, near=LETTER * size * 2):
        ways = [beside(crowd, taken, right=right, size=size, frame=frame) for right in (True, False)]
        boxes = min(ways, key=lambda boxes: sum(_hidden(b, taken) + size * _outside(b, frame) for b in boxes))
        taken += boxes
        placed += [(label, box[0], (box[1] + box[3]) / 2) for label, box in zip(crowd, boxes, strict=True)]
    return placed


def beside(crowd: Sequence[Label], taken: Sequence[Box], *, right: bool, size: float, frame: Box) -> list[Box]:
    """Where the names of a crowd stand on one side of it: at the height of their points, or some lines off it to hide less."""
    apart = LINE * size

    def boxes(wanted: Sequence[float]) -> list[Box]:
        out = []
        middles = spread(wanted, apart=apart, low=frame[1] + apart / 2, high=frame[3] - apart / 2)
        for label, middle in zip(crowd, middles, strict=True):
            near = [label.x, *(other.x for other in crowd if abs(other.y - middle) < apart)]
            left = max(near) + GAP if right else min(near) - GAP - LETTER * size * len(label.text)
            out.append(label.box(left, middle, size))
        return out

    shifts = [apart * lines for lines in (0, 1, -1, 2, -2, 3, -3)]
    wanted = [label.y for label in crowd]
    for i in range(len(crowd)):
        tries = [[*wanted[:i], wanted[i] + shift, *wanted[i + 1 :]] for shift in shifts]
        wanted = min((w for w in tries if w == sorted(w)), key=lambda w: round(_hidden(boxes(w)[i], taken)))
    return boxes(wanted)


def _outside(box: Box, frame: Box) -> float:
    """Points of a name beyond the panel's sides."""
    return max(frame[0] - box[0], 0) + max(box[2] - frame[2], 0)


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    return sum(_shared(box, other) for other in taken)


def _shared(a: Box, b: Box) -> float:
    """Area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def name_points(axes: "Axes", points: Sequence[tuple[float, float, str, str]], *, size: float) -> None:
    """(x, y, text, colour) in data coordinates. Limits, scale and place of the axes must be final."""
    scale = 72 / axes.figure.dpi
    display = axes.transData.transform([(x, y) for x, y, _, _ in points]) * scale
    labels = [Label(float(x), float(y), text, colour) for (x, y), (_, _, text, colour) in zip(display, points, strict=True)]
    at = {id(label): (x, y) for label, (x, y, _, _) in zip(labels, points, strict=True)}
    window = axes.get_window_extent()
    frame = (window.x0 * scale, window.y0 * scale, window.x1 * scale, window.y1 * scale)
    for label, left, middle in arrange(labels, size=size, frame=frame):
        right = left > label.x
        near = left if right else left + LETTER * size * len(label.text)
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": label.colour, "shrinkA": 1, "shrinkB": 2}
        axes.annotate(
            label.text,
            at[id(label)],
            xytext=(near - label.x, middle - label.y),
            textcoords="offset points",
            fontsize=size,
            color=label.colour,
            ha="left" if right else "right",
            va="center_baseline",
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},  # over a line behind it
            arrowprops=line if abs(middle - label.y) > size / 3 else None,
        )
