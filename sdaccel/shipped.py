"""Weights that ship with the project: half-precision safetensors, named with their hash in one manifest.

An option that takes a weight file also takes `shipped:NAME`.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sdaccel.errors import BadInput

FOLDER = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
PREFIX = "shipped:"


def ship(name: str, net: nn.Module, *, folder: Path = FOLDER) -> Path:
    """Write a model's parameters and enter the file's hash; buffers are made anew by the model."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().cpu().contiguous() for key, value in net.named_parameters()}
    data = save(state, {"format": "pt"})
    path = folder / f"{name}.safetensors"
    path.write_bytes(data)
    manifest = _manifest(folder) | {name: hashlib.sha256(data).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return path


def locate(name: str, *, folder: Path = FOLDER) -> Path:
    """The file of a shipped model, after its hash was checked."""
    path, manifest = folder / f"{name}.safetensors", _manifest(folder)
    if name not in manifest or not path.is_file():
        raise BadInput(f"no weights of {name} ship in {folder}; train them: python experiments/zoo.py model={name}.")
    found = sha256(path)
    if found != manifest[name]:
        raise BadInput(f"{path} has hash {found[:12]}, the manifest says {manifest[name][:12]}; restore the file from git.")
    return path


def resolve(option: str) -> Path:
    """The path that the value of a weight option means: a path, or `shipped:NAME`."""
    return locate(option.removeprefix(PREFIX)) if option.startswith(PREFIX) else Path(option)


def weights(name: str, *, folder: Path = FOLDER) -> dict[str, Tensor]:
    """The parameters in float32."""
    return {key: value.float() for key, value in load_file(locate(name, folder=folder)).items()}


@torch.no_grad()
def restore(name: str, net: nn.Module, *, folder: Path = FOLDER) -> nn.Module:
    """The shipped weights in a model of the same architecture, in eval mode."""
    state, own = weights(name, folder=folder), dict(net.named_parameters())
    if state.keys() != own.keys():
        raise BadInput(f"weights of {name} are of another architecture ({min(state.keys() ^ own.keys())}); train them again.")
    for key, value in state.items():
        own[key].copy_(value)
    return net.requires_grad_(False).eval()


def sha256(path: Path) -> str:
    """Hash of a file's content; read once per process as long as the file stays the same."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else {}
