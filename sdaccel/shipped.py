"""Weights that ship with the project: half-precision safetensors, named with their hash in one manifest."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from sdaccel.errors import BadInput

FOLDER = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"


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


def weights(name: str, *, folder: Path = FOLDER) -> dict[str, Tensor]:
    """The parameters in float32, after the file's hash was checked."""
    path, manifest = folder / f"{name}.safetensors", _manifest(folder)
    if name not in manifest or not path.is_file():
        raise BadInput(f"no weights of {name} ship in {folder}; train them: python experiments/zoo.py model={name}.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != manifest[name]:
        raise BadInput(f"{path} has hash {found[:12]}, the manifest says {manifest[name][:12]}; restore the file from git.")
    return {key: value.float() for key, value in load(data).items()}


@torch.no_grad()
def restore(name: str, net: nn.Module, *, folder: Path = FOLDER) -> nn.Module:
    """The shipped weights in a model of the same architecture, in eval mode."""
    state, own = weights(name, folder=folder), dict(net.named_parameters())
    if state.keys() != own.keys():
        raise BadInput(f"weights of {name} are of another architecture ({min(state.keys() ^ own.keys())}); train them again.")
    for key, value in state.items():
        own[key].copy_(value)
    return net.requires_grad_(False).eval()


def _manifest(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else {}
