"""Weights that ship with the project: half-precision safetensors, named with their hash in one manifest.

An option that takes a weight file or an open_clip folder also takes `shipped:NAME`.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sdaccel.errors import BadInput

FOLDER = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
PREFIX = "shipped:"


OPEN_CLIP = ("open_clip_config.json", "open_clip_model.safetensors")
"""The files of a folder that open_clip reads as `local-dir:`."""


def ship(name: str, net: nn.Module, *, open_clip: dict[str, Any] | None = None, folder: Path = FOLDER) -> Path:
    """Write a model's parameters and enter the hash; buffers are made anew by the model.

    With `open_clip`, its configuration, the result is a folder that open_clip reads as `local-dir:`.
    """
    data = save({key: value.detach().half().cpu().contiguous() for key, value in net.named_parameters()}, {"format": "pt"})
    if open_clip is None:
        _write(folder, f"{name}.safetensors", data)
        return folder / f"{name}.safetensors"
    for file, content in zip(OPEN_CLIP, ((json.dumps(open_clip, indent=1) + "\n").encode(), data), strict=True):
        _write(folder, f"{name}/{file}", content)
    return folder / name


def _write(folder: Path, file: str, data: bytes) -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(data)
    manifest = _manifest(folder) | {file: hashlib.sha256(data).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def locate(name: str, *, folder: Path = FOLDER) -> Path:
    """The file of a shipped model, or its folder, after the hashes were checked."""
    manifest = _manifest(folder)
    files = [file for file in manifest if file == f"{name}.safetensors" or file.startswith(f"{name}/")]
    if not files or not all((folder / file).is_file() for file in files):
        raise BadInput(f"no weights of {name} ship in {folder}; train them: sdaccel zoo model={name}.")
    for file in files:
        if (found := sha256(folder / file)) != manifest[file]:
            raise BadInput(
                f"{folder / file} has hash {found[:12]}, the manifest says {manifest[file][:12]}; restore the file from git."
            )
    return folder / files[0] if len(files) == 1 else folder / name


def hashes(*, folder: Path = FOLDER) -> frozenset[str]:
    """Of every file that ships."""
    return frozenset(_manifest(folder).values())


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
