"""Weight files: names and shapes are read first and compared with the model's own; tensors only when all of it fits."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sdaccel.errors import BadInput, reason
from sdaccel.user_files import check_file

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class WeightFile:
    """Names and shapes of a file; `load` reads the tensors."""

    path: Path
    option: str
    """The config option that named the file, for messages."""
    shapes: Shapes
    load: Callable[[], dict[str, Tensor]]

    def refuse(self, problem: str, fix: str) -> BadInput:
        return BadInput(f"{self.option}={self.path}: {problem}; {fix}.")


OLD_FORM = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""How torch.save began its files before it wrote zip files."""
FIX = "give the path of an official .pth or a .safetensors file"
NONSENSE = (
    *(OSError, SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError),
    *(AttributeError, AssertionError, OverflowError, MemoryError, struct.error),
)
"""What readers of tensors and pickles raise on bytes that nobody wrote for them."""


def open_weights(path: Path, *, option: str, wrapped_as: str = "") -> WeightFile:
    """A .safetensors or .pth state dict; a training checkpoint may hold it as {"trainer": {wrapped_as: ...}}."""
    check_file(path, option=option, fix=FIX)
    read = _open_safetensors if path.suffix == ".safetensors" else _open_pickle
    try:
        shapes, load = read(path, wrapped_as)
    except NONSENSE as error:
        raise BadInput(
            f"{option}={path} cannot be read as weights ({reason(error)}); the file is damaged or not one, fetch it again."
        ) from None
    return WeightFile(path, option, shapes, load)


def _open_safetensors(path: Path, wrapped_as: str) -> tuple[Shapes, Callable[[], dict[str, Tensor]]]:
    with safe_open(path, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  (not a dict)
    return shapes, lambda: load_file(path)


def _open_pickle(path: Path, wrapped_as: str) -> tuple[Shapes, Callable[[], dict[str, Tensor]]]:
    state = load_pickle(path)
    if isinstance(state, dict) and isinstance(state.get("trainer"), dict):
        state = state["trainer"].get(wrapped_as)
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise ValueError("it holds no state dict of tensors")
    return {name: tuple(value.shape) for name, value in state.items()}, lambda: dict(state)


def load_pickle(path: Path) -> Any:
    """What torch.save wrote. Anything else is not given to an unpickler, which takes the first byte of a text for a command."""
    zipped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        if not zipped and file.read(len(OLD_FORM)) != OLD_FORM:
            raise ValueError("torch.save did not write it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of protocols: what cannot be read raises
        # Files older than the zip format cannot be mapped, only read.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def shapes_of(model: nn.Module) -> Shapes:
    """The manifest of a model, which may be on the meta device."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def check_manifest(file: WeightFile, model: nn.Module, *, free_rows: Collection[str] = ()) -> None:
    """Every parameter present, nothing unknown, every shape right; buffers may be absent. Names the first wrong key.

    `free_rows` names keys whose first dimension is not looked at.
    """
    expected = shapes_of(model)
    buffers = expected.keys() - {name for name, _ in model.named_parameters()}
    check_shapes(file, expected, optional=buffers, free_rows=free_rows)


def check_shapes(
    file: WeightFile, expected: Shapes, *, optional: Collection[str] = (), free_rows: Collection[str] = ()
) -> None:
    """The same for names and shapes that are written down."""
    for name, shape in expected.items():
        if name not in file.shapes:
            if name not in optional:
                raise file.refuse(
                    f"key {name} {shape} is missing", "the file is incomplete or of another model, fetch it again"
                )
        elif file.shapes[name] != shape and not (name in free_rows and file.shapes[name][1:] == shape[1:]):
            raise file.refuse(
                f"key {name} has shape {file.shapes[name]} where the model has {shape}", "give the file of this model"
            )
    for name in file.shapes:
        if name not in expected:
            raise file.refuse(f"key {name} is unknown to this model", "give the file of this model")
