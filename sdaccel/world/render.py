"""Draw scenes as pictures: signed distances, one pixel of smoothing, nothing sampled.

Every edge is a smooth step one pixel wide over a distance in picture widths, so a scene is the same picture at any
resolution. Objects are painted back to front with a soft shadow; a pixel depends on its own scene alone.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from sdaccel.world.attributes import KINDS, MATERIALS, SLOTS, Scenes

PALETTE = (
    (0.86, 0.12, 0.14),
    (0.98, 0.54, 0.06),
    (0.98, 0.86, 0.16),
    (0.13, 0.62, 0.24),
    (0.12, 0.78, 0.84),
    (0.13, 0.30, 0.88),
    (0.48, 0.16, 0.66),
    (0.98, 0.52, 0.74),
)
"""RGB of COLOURS."""
ACCENT = (
    (1.00, 0.86, 0.84),
    (0.50, 0.20, 0.00),
    (0.58, 0.40, 0.02),
    (0.80, 0.96, 0.78),
    (0.02, 0.32, 0.44),
    (0.80, 0.88, 1.00),
    (0.92, 0.80, 1.00),
    (0.60, 0.08, 0.36),
)
"""RGB of their stripes and dots: light on the dark colours, dark on the light ones."""
BACKDROP = (
    ((0.95, 0.91, 0.83), (0.87, 0.81, 0.70)),
    ((0.73, 0.74, 0.76), (0.61, 0.62, 0.65)),
    ((0.24, 0.28, 0.40), (0.15, 0.18, 0.29)),
    ((0.72, 0.80, 0.69), (0.60, 0.69, 0.57)),
)
"""The two RGB values that the pattern of each of TONES mixes."""

SHADOW_OFFSET = (0.016, 0.024)
SHADOW_WIDTH = 0.06
SHADOW_DEPTH = 0.38
RIM = 0.011
"""Stripes and dots stop this far inside the edge, so that the outline is in the object's own colour on any background."""
TAU = 2 * math.pi
ABSENT = 1e3
"""Distance to an object that is not there."""


def cover(distance: Tensor, width: float) -> Tensor:
    """1 inside (distance < 0), 0 outside, a smooth step of the given width between."""
    t = (0.5 - distance / width).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def band(t: Tensor, period: Tensor | float, *, share: float = 0.5) -> Tensor:
    """Signed distance to the bands that fill `share` of every period of t."""
    return ((t / period - torch.floor(t / period)) - 0.5).abs_() * period - 0.5 * share * period


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.sqrt(x * x + y * y) - 1


def _square(x: Tensor, y: Tensor) -> Tensor:
    half, corner = 0.9, 0.12
    qx, qy = x.abs() - (half - corner), y.abs() - (half - corner)
    outside = torch.sqrt(qx.clamp(min=0).square_() + qy.clamp(min=0).square_())
    return outside + torch.maximum(qx, qy).clamp_(max=0) - corner


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    """Equilateral, point up: the intersection of three half-planes."""
    y = y - 0.18  # its centroid is lower than the middle of its height
    return torch.maximum(math.sqrt(0.75) * x.abs() - 0.5 * y, y) - 0.58


def _star(x: Tensor, y: Tensor) -> Tensor:
    """Five points: folded into one half-sector, where the edge is the line from the tip to the inner corner."""
    radius = torch.sqrt(x * x + y * y)
    sector = TAU / 5
    turn = torch.atan2(x, -y)
    fold = (turn - sector * torch.round(turn / sector)).abs_()
    px, py = radius * torch.sin(fold), radius * torch.cos(fold)
    tip, inner = 1.1, 0.52
    ex, ey = inner * math.sin(sector / 2), inner * math.cos(sector / 2) - tip
    return (px * -ey + (py - tip) * ex) / math.hypot(ex, ey)


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.sqrt(x * x + y * y) - 0.74).abs_() - 0.29


def _cross(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs(), y.abs()
    return torch.maximum(torch.maximum(x, y) - 1, torch.minimum(x, y) - 0.36)


DISTANCES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_circle, _square, _triangle, _star, _ring, _cross)
"""By SHAPES, the signed distance to the shape of radius 1."""


def render(scenes: Scenes, *, resolution: int) -> Tensor:
    """(B, 3, resolution, resolution) float32 in [0, 1], where the scenes are.

    A CPU paints only what a row has; a GPU would wait for the host at every such choice, so there every row takes every
    choice and keeps its own, in one compiled graph. The two differ by rounding.
    """
    if torch.compiler.is_compiling():
        return dense(scenes, resolution)
    return _compiled()(scenes, resolution) if scenes.keys.is_cuda else sparse(scenes, resolution)


def sparse(scenes: Scenes, resolution: int) -> Tensor:
    """Rows of one shape or background at a time."""
    x, y, pixel = _grid(scenes, resolution)
    mix = torch.zeros(len(scenes), resolution, resolution, device=x.device)
    for kind, name in enumerate(KINDS):
        rows = torch.nonzero(scenes.kind == kind).squeeze(1)
        mix[rows] = _pattern(name, scenes[rows], x, y, pixel)
    canvas = _background(scenes, mix)
    for slot in reversed(range(SLOTS)):  # object 0 is in front
        for shape, distance in enumerate(DISTANCES):
            rows = torch.nonzero(scenes.shape[:, slot] == shape).squeeze(1)
            if len(rows):
                canvas[rows] = paint(canvas[rows], scenes[rows], slot, distance, x, y, pixel)
    return canvas.clamp(0, 1)


def dense(scenes: Scenes, resolution: int) -> Tensor:
    """All rows at once, without a look at the attributes."""
    x, y, pixel = _grid(scenes, resolution)
    mix = torch.zeros(len(scenes), resolution, resolution, device=x.device)
    for kind, name in enumerate(KINDS):
        mix = torch.where(scenes.kind[:, None, None] == kind, _pattern(name, scenes, x, y, pixel), mix)
    canvas = _background(scenes, mix)
    for slot in reversed(range(SLOTS)):
        own = scenes.shape[:, slot, None, None]

        def distance(px: Tensor, py: Tensor, own: Tensor = own) -> Tensor:
            out = torch.full_like(px, ABSENT)
            for shape, of_shape in enumerate(DISTANCES):
                out = torch.where(own == shape, of_shape(px, py), out)
            return out

        canvas = paint(canvas, scenes, slot, distance, x, y, pixel)
    return canvas.clamp(0, 1)


@cache
def _compiled() -> Callable[[Scenes, int], Tensor]:
    return torch.compile(dense, dynamic=False)


def _grid(scenes: Scenes, resolution: int) -> tuple[Tensor, Tensor, float]:
    """Centres of pixels along x and y, and the width of one."""
    axis = (torch.arange(resolution, device=scenes.keys.device) + 0.5) / resolution
    return axis.view(1, 1, -1), axis.view(1, -1, 1), 1 / resolution


def _background(scenes: Scenes, mix: Tensor) -> Tensor:
    """(B, 3, H, W): two shades of one muted tone, mixed by the pattern."""
    first, second = torch.tensor(BACKDROP, device=mix.device)[scenes.tone].view(-1, 2, 3, 1, 1).unbind(1)
    return first + mix.clamp(0, 1).unsqueeze(1) * (second - first)


def _pattern(name: str, scenes: Scenes, x: Tensor, y: Tensor, pixel: float) -> Tensor:
    """(B, H, W) how much of the second shade."""
    px, py, tilt = scenes.phase.view(-1, 3, 1, 1).unbind(1)
    turn = TAU * tilt
    gradient = 0.5 + 0.6 * ((x - 0.5) * torch.cos(turn) + (y - 0.5) * torch.sin(turn))
    x, y = x + px, y + py
    match name:
        case "checkered":
            a, b = cover(band(x, 0.3), pixel), cover(band(y, 0.3), pixel)
            return a + b - 2 * a * b
        case "striped":
            lean = 0.5 * (tilt - 0.5)
            return cover(band(x * torch.cos(lean) + y * torch.sin(lean), 0.2), pixel)
        case "wavy":
            return 0.5 + 0.5 * torch.sin(TAU * (y + 0.045 * torch.sin(TAU * x / 0.45)) / 0.2)
        case _:
            return gradient


def paint(
    canvas: Tensor,
    scenes: Scenes,
    slot: int,
    distance: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    pixel: float,
) -> Tensor:
    """The canvas with one object of one shape, and its shadow, on top."""
    radius, angle = scenes.radius[:, slot, None, None], scenes.angle[:, slot, None, None]
    cx, cy = scenes.centre[:, slot, :, None, None].unbind(1)

    def local(dx: float, dy: float) -> tuple[Tensor, Tensor]:
        """Coordinates in which the object is upright and has radius 1."""
        px, py = (x - cx - dx) / radius, (y - cy - dy) / radius
        return px * torch.cos(angle) + py * torch.sin(angle), py * torch.cos(angle) - px * torch.sin(angle)

    shadow = cover(distance(*local(*SHADOW_OFFSET)) * radius, SHADOW_WIDTH).unsqueeze(1)
    canvas = canvas * (1 - SHADOW_DEPTH * shadow)
    px, py = local(0, 0)
    depth = distance(px, py) * radius
    inside = cover(depth, pixel).unsqueeze(1)
    return canvas + inside * (surface(scenes, slot, px, py, cover(depth + RIM, pixel), pixel) - canvas)


def surface(scenes: Scenes, slot: int, px: Tensor, py: Tensor, inner: Tensor, pixel: float) -> Tensor:
    """(B, 3, H, W) the object's colour under its material, from its own coordinates; `inner` is 1 off its rim."""
    radius = scenes.radius[:, slot, None, None]
    period = 0.05 + 0.3 * radius  # in picture widths: small objects still show three stripes, five pixels apart at 64
    qx, qy = (px + py) * (radius * math.sqrt(0.5)), (px - py) * (radius * math.sqrt(0.5))
    stripes = cover(band(qx, period, share=0.42), pixel)
    dot_x, dot_y = qx - period * torch.round(qx / period), qy - period * torch.round(qy / period)
    dots = cover(torch.sqrt(dot_x * dot_x + dot_y * dot_y) - 0.3 * period, pixel)
    material = scenes.material[:, slot, None, None]
    accent = (material == MATERIALS.index("striped")) * stripes + (material == MATERIALS.index("dotted")) * dots
    base = torch.tensor(PALETTE, device=px.device)[scenes.colour[:, slot]][..., None, None]
    second = torch.tensor(ACCENT, device=px.device)[scenes.colour[:, slot]][..., None, None]
    plain = base + (accent * inner).unsqueeze(1) * (second - base)
    away = torch.sqrt((px + 0.42).square() + (py + 0.48).square())  # from the highlight, top left
    light = (material == MATERIALS.index("shaded")) * (0.8 - 0.85 * away).clamp_(-0.75, 0.75)
    light = light.unsqueeze(1)
    return plain + light.clamp(min=0) * (1 - plain) + light.clamp(max=0) * plain
