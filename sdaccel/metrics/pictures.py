"""The pictures of one arm as the metrics see them: a name, and a stream that can be read again."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sdaccel import world
from sdaccel.errors import BadInput, reason
from sdaccel.user_files import check_file
from sdaccel.world.render import render

BATCH = 64
T = TypeVar("T")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
REPLACE = "replace or remove it"


@dataclass(frozen=True)
class Pictures:
    """uint8 (H, W, 3) images, sample by sample."""

    name: str
    key: str
    """Names the set in the cache of features."""
    read: Callable[[], Iterable[np.ndarray]]
    against: str | None = None
    """The arm it is compared with, when that is another one."""
    paired: bool = False
    """Sample i of both was made of the same noise."""
    truth: str | None = None
    """The arm that stands for the exact solution, when that is another one of the same noise."""
    samples: Sequence[int] | None = None
    """Which of the study's samples they are; None: all of them."""
    count: int = 0
    part: Callable[[int, int], Iterable[np.ndarray]] = lambda start, stop: ()
    """(first, end) -> so many of them, read by themselves."""

    def of(self, each: Sequence[T]) -> Sequence[T]:
        """Of one thing per sample of the study those of these pictures."""
        return each if self.samples is None else [each[i] for i in self.samples]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`size` at a time, the last ones fewer."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def streamed(images: Iterable[np.ndarray], device: torch.device, *, size: int = BATCH) -> Iterator[Tensor]:
    """uint8 (B, 3, H, W) batches of equally large images on the device."""
    for some in batched(images, size):
        yield torch.from_numpy(np.stack(some)).permute(0, 3, 1, 2).to(device)


def of_world(kind: str, split: str, count: int, *, size: int) -> Iterator[np.ndarray]:
    """The first pictures of a split, `classes` or `captioned`, drawn on the CPU so that they have the same bits everywhere."""
    draw = {"classes": world.classes, "captioned": world.captioned}[kind]
    for some in batched(range(count), BATCH):
        yield from render(draw(split, some), resolution=size).mul(255).round().byte().permute(0, 2, 3, 1).numpy()


UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on bytes that are no picture."""


def files_in(folder: Path) -> list[Path]:
    """The images of a folder by name."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise BadInput(
            f"metrics.reference={folder} is no readable folder ({error.strerror}); give one that holds the reference images."
        ) from None
    if len(found) < 2:
        raise BadInput(f"metrics.reference={folder} holds {len(found)} images ({', '.join(SUFFIXES)}); two or more are needed.")
    return found


def check_files(folder: Path) -> None:
    """Raise BadInput for the first image of a folder that is none; pixels are not decoded."""
    for path in files_in(folder):
        check_file(path, option="metrics.reference", fix=REPLACE)
        with opened(path) as image:
            image.verify()


def of_files(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Images of any size and mode as RGB."""
    for path in paths:
        with opened(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        yield pixels


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file; what Pillow cannot read of it is a BadInput."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except UNREADABLE as error:
        raise BadInput(f"reference image {path} cannot be read ({reason(error)}); {REPLACE}.") from None
