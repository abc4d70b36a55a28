"""What callers of SDVAR's names may give, checked before a model runs; every mistake is one sentence."""

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput

SEEDS = 2**63 - 1


def whole(name: str, value: Any, *, low: int, high: int | None = None, why: str = "") -> int:
    """An integer from low to high; True is none, neither is 2.0."""
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise BadInput(f"{name}={_shown(value)} is no integer; give one from {low}{' on' if high is None else f' to {high}'}.")
    if found < low or (high is not None and found > high):
        limits = f"outside {low} .. {high}" if high is not None else f"less than {low}"
        raise BadInput(f"{name}={found} is {limits}{why and f': {why}'}.")
    return found


def number(name: str, value: Any) -> float:
    """A finite number; True is none."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise BadInput(f"{name}={_shown(value)} is no finite number; give one such as 0.5.")
    return value  # type: ignore[return-value]


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{name}={_shown(value)} is neither True nor False.")
    return value


def sampling_of(*, cfg: Any, top_k: Any, top_p: Any, more_smooth: Any) -> dict[str, float]:
    """By type; limits are the model's to check."""
    return {
        "cfg": number("cfg", cfg),
        "top_k": whole("top_k", top_k, low=0),
        "top_p": number("top_p", top_p),
        "more_smooth": flag("more_smooth", more_smooth),
    }


def labels_of(label_B: Any, *, rows: int) -> int | list[int] | None:
    """None, one integer for all pictures, or one for each, in a list, an array or a tensor."""
    if hasattr(label_B, "tolist"):
        label_B = label_B.tolist()
    if label_B is None:
        return None
    if isinstance(label_B, str) or not isinstance(label_B, Iterable):
        return whole("label_B", label_B, low=-SEEDS)
    each = [whole(f"label_B[{i}]", label, low=-SEEDS) for i, label in enumerate(label_B)]
    if len(each) != rows:
        raise BadInput(f"label_B holds {len(each)} labels for B={rows} pictures; give one for each, or one integer for all.")
    return each


def device_of(device: Any) -> torch.device:
    """The CPU, or a GPU that is there."""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise BadInput(f"device={_shown(device)} is no device; give cpu or cuda.") from None
    gpus = torch.cuda.device_count()
    if found.type not in ("cpu", "cuda"):
        raise BadInput(f"device={found} is not supported; give cpu or cuda.")
    if found.type == "cuda" and (found.index or 0) >= gpus:
        raise BadInput(f"device={found} is not there, torch finds {gpus} GPUs; give {'another one' if gpus else 'cpu'}.")
    return found


def _shown(value: Any) -> str:
    """Short enough for a sentence."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
