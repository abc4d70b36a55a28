"""The reference pictures that a user names: a folder of images, or `arr_0` of an .npz as ADM's evaluation keeps them."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

import numpy as np

from sdaccel.errors import BadInput, reason
from sdaccel.metrics.pictures import check_files, files_in, of_files
from sdaccel.samples import digest
from sdaccel.shipped import sha256
from sdaccel.user_files import check_file
from sdaccel.weight_files import NONSENSE

OPTION, FIX = "metrics.reference", "give a folder of images, or an .npz whose arr_0 is uint8 (N, H, W, 3)"
PIXELS = "arr_0.npy"
STATISTICS = "statistics alone, of pictures resized in another way: no KID, precision or interval follows from them"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def check_reference(path: Path) -> None:
    """Raise BadInput for what holds no pictures; pixels are not read."""
    if not packed(path):
        return check_files(path)
    with _pixels(path):
        return None


def packed(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def identity_of(path: Path) -> str:
    """Of the bytes, wherever they lie."""
    return digest("".join(sha256(file) for file in ([path] if packed(path) else files_in(path))).encode())


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    """uint8 (H, W, 3), one at a time: ADM's files hold gigabytes."""
    if not packed(path):
        yield from of_files(files_in(path))
        return
    with _pixels(path) as (file, (count, *shape)):
        for _ in range(count):
            yield np.frombuffer(file.read(math.prod(shape)), np.uint8).reshape(shape)


@contextmanager
def _pixels(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
    """`arr_0`, open where its pixels begin, and its shape."""
    check_file(path, option=OPTION, fix=FIX)
    try:
        with ZipFile(path) as zipped:
            names = zipped.namelist()
            if PIXELS not in names:
                raise BadInput(f"{OPTION}={path} holds {STATISTICS if 'mu.npy' in names else 'no arr_0'}; {FIX}.")
            with zipped.open(PIXELS) as file:
                shape, columns_first, kind = HEADERS[np.lib.format.read_magic(file)](file)
                if kind != np.uint8 or columns_first or len(shape) != 4 or shape[-1] != 3 or min(shape) < 1 or shape[0] < 2:
                    raise BadInput(f"{OPTION}={path}: arr_0 is {kind} {shape}, no set of two or more RGB pictures; {FIX}.")
                if file.tell() + math.prod(shape) != zipped.getinfo(PIXELS).file_size:
                    raise BadInput(f"{OPTION}={path}: arr_0 is {shape} and has not as many bytes; fetch it again.")
                yield file, shape
    except BadInput:
        raise
    except (*NONSENSE, BadZipFile, zlib.error) as error:
        raise BadInput(f"{OPTION}={path} cannot be read ({reason(error)}); {FIX}.") from None
