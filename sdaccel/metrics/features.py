"""Features of images, computed once: kept as .npz under the extractor's fingerprint, found again by image hash."""

import io
from collections.abc import Iterable
from glob import escape
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.metrics.extractors import FeatureExtractor
from sdaccel.samples import array_digest, atomic_write

PART = "-part"


def part_of(key: str, start: int) -> str:
    """Names a part of a set in the cache, from its picture `start` on."""
    return f"{key}{PART}{start:06d}"


def features_of(
    extractor: FeatureExtractor, images: Iterable[np.ndarray], *, cache: Path | None, key: str, batch_size: int = 64
) -> Tensor:
    """(N, D) float32 in the order of the images, which are uint8 (H, W, 3); only images not in the cache are computed.

    `key` names the set (an arm, a split); sets that share images need not share keys. What was kept of parts of it counts too.
    """
    kept = f"-{extractor.name}-{extractor.fingerprint[:16]}.npz"
    path = None if cache is None else cache / f"{key}{kept}"
    parts = [] if cache is None else sorted(cache.glob(f"{escape(key)}{PART}*{escape(kept)}"))
    known = {name: row for file in [*parts, path] for name, row in _read(file).items()}
    order: list[str] = []
    waiting: dict[str, np.ndarray] = {}
    computed = False
    for image in images:
        name = array_digest(image)
        order.append(name)
        if name in known or name in waiting:
            continue
        if waiting and (len(waiting) == batch_size or next(iter(waiting.values())).shape != image.shape):
            known |= _compute(extractor, waiting)
            waiting = {}
        waiting[name] = image
        computed = True
    if waiting:
        known |= _compute(extractor, waiting)
    rows = np.stack([known[name] for name in order]) if order else np.zeros((0, extractor.num_features), np.float32)
    if path is not None and computed:
        _write(path, known)
    return torch.from_numpy(rows)


def _compute(extractor: FeatureExtractor, images: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    device = next((p.device for p in extractor.parameters()), torch.device("cpu"))
    batch = torch.from_numpy(np.stack(list(images.values()))).permute(0, 3, 1, 2).to(device)
    return dict(zip(images, extractor(batch).cpu().numpy(), strict=True))


def _read(path: Path | None) -> dict[str, np.ndarray]:
    if path is None or not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file) as kept:  # closed even where numpy fails on it
            return dict(zip(kept["hashes"].tolist(), kept["features"], strict=True))
    except (BadZipFile, ValueError, KeyError, EOFError) as error:
        raise BadInput(f"features cache {path} is damaged ({error}); delete it, it will be computed again.") from None


def _write(path: Path, known: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez(packed, hashes=np.array(list(known)), features=np.stack(list(known.values())))
    atomic_write(path, packed.getvalue())
