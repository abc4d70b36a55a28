"""Finished samples on disk: each written whole or not at all, under its own index, so a killed run loses none of them.

A sample is `000123.png`, `000123.npz` where arrays were asked for, and last `000123.json`: a sample is finished when its JSON
is there.
"""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def atomic_write(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: after a kill the file is the old one, the new one or absent."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        error.filename = str(path)  # a failed write names no file by itself
        beside.unlink(missing_ok=True)
        raise


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: what is hashed and what is compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def array_digest(array: np.ndarray) -> str:
    """Hash of type, shape and bytes."""
    return digest(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())


class Samples:
    """The samples of one arm in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        index: int,
        *,
        condition: int | str,
        image: np.ndarray,
        kinds: list[str],
        arrays: dict[str, np.ndarray],
        stats: dict[str, Any] | None = None,
    ) -> None:
        """`image` is uint8 (H, W, 3); arrays are hashed by their bytes, so bfloat16 values must come widened to float32."""
        self.folder.mkdir(parents=True, exist_ok=True)
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        atomic_write(self._path(index, "png"), png.getvalue())
        if arrays:
            packed = io.BytesIO()
            np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
            atomic_write(self._path(index, "npz"), packed.getvalue())
        entry = {
            "index": index,
            "condition": condition,
            "image": digest(image.tobytes()),
            "kinds": kinds,
            "arrays": {name: array_digest(array) for name, array in sorted(arrays.items())},
        }
        if stats:
            entry["stats"] = stats
        atomic_write(self._path(index, "json"), canonical(entry))

    def entry(self, index: int) -> dict[str, Any]:
        return json.loads(self._path(index, "json").read_bytes())

    def array(self, index: int, name: str) -> np.ndarray:
        with np.load(self._path(index, "npz")) as arrays:
            return arrays[name]

    def image(self, index: int) -> Path:
        return self._path(index, "png")

    def done(self, conditions: list[int | str]) -> set[int]:
        """Indices that are finished with the condition they have in this run."""
        return {i for i, condition in enumerate(conditions) if self.finished(i, condition)}

    def finished(self, index: int, condition: int | str) -> bool:
        """All its files are there, made of this condition."""
        try:
            entry = self.entry(index)
        except FileNotFoundError:
            return False
        files = ["png"] + ["npz"] * bool(entry["arrays"])
        return entry["condition"] == condition and all(self._path(index, suffix).is_file() for suffix in files)

    def _path(self, index: int, suffix: str) -> Path:
        return self.folder / f"{index:06d}.{suffix}"
