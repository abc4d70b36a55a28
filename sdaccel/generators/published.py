"""Where published files are: a folder in diffusers' layout, one file, or a repository in the hub's local cache.

Nothing is ever fetched: what is missing is named, with the place it comes from and the place it belongs.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdaccel.errors import BadInput
from sdaccel.shipped import sha256
from sdaccel.user_files import json_of
from sdaccel.weight_files import WeightFile, open_weights

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
"""OWNER/NAME, as the hub writes it."""
Settings = Mapping[str, tuple[Any, str]]
"""Key of a config.json -> the value that is meant here, and what sets it."""


@dataclass(frozen=True)
class Source:
    """What an option's value leads to."""

    option: str
    value: str
    path: Path
    """A folder or a file that exists."""
    repository: str
    """Where the files are published."""

    def file(self, name: str) -> Path:
        """A file of the folder, which must be there."""
        if not (self.path / name).is_file():
            raise self.lacks(name)
        return self.path / name

    def lacks(self, name: str) -> BadInput:
        return BadInput(
            f"{self.option}={self.value}: {name} is missing; it comes from huggingface.co/{self.repository} "
            f"(hf download {self.repository} {name}), put it at {self.path / name}."
        )

    def weights(self, stem: str) -> list[Path]:
        """STEM.safetensors, or the shards that its index lists."""
        index = self.path / f"{stem}.safetensors.index.json"
        if not index.is_file():
            return [self.file(f"{stem}.safetensors")]
        listed = json_of(index, option=self.option, fix="fetch it again").get("weight_map")
        names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        if not names:
            raise BadInput(f"{self.option}={self.value}: {index} is not an index of shards; fetch it again.")
        folder, _, _ = stem.rpartition("/")
        return [self.file(f"{folder}/{name}".lstrip("/")) for name in names]


LAYOUTS = "a folder in diffusers' layout, a .safetensors file"
"""What most options take."""


def locate(option: str, value: str, *, repository: str, layouts: str = LAYOUTS) -> Source:
    """The value as a path, or as a repository of the hub whose files are in the local cache."""
    if os.path.exists(value):  # Path.exists raises for a name that is too long
        return Source(option, value, Path(value), repository)
    how = f"give {layouts}, or fetch it: hf download {repository}"
    if not REPOSITORY.fullmatch(value):
        raise BadInput(f"{option}={value} does not exist; {how}.")
    cached = snapshot(value)
    if cached is None:
        raise BadInput(f"{option}={value} is no path and not in the hub's cache at {cache()}; {how}.")
    return Source(option, value, cached, value)


def cache() -> Path:
    """The hub's cache, as HF_HOME or HF_HUB_CACHE say."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def snapshot(repository: str) -> Path | None:
    """The folder of the cached main branch."""
    stored = cache() / f"models--{repository.replace('/', '--')}"
    main = stored / "refs" / "main"
    folder = stored / "snapshots" / main.read_text().strip() if main.is_file() else stored
    return folder if main.is_file() and folder.is_dir() else None


def opened(source: Source, files: Sequence[Path]) -> WeightFile:
    """Names and shapes of all shards; `load` reads them one after another."""
    parts = [open_weights(file, option=source.option) for file in files]
    shapes = {name: shape for part in parts for name, shape in part.shapes.items()}
    path = files[0] if len(files) == 1 else files[0].parent
    return WeightFile(path, source.option, shapes, lambda: {k: v for part in parts for k, v in part.load().items()})


def fingerprint(file: Path) -> str:
    """sha256 of the content; the hub's cache names large files by it."""
    real = file.resolve()
    named = real.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", real.name)
    return real.name if named else sha256(file)


def check_settings(source: Source, name: str, settings: Settings) -> None:
    """Raise BadInput for the first setting of a folder's JSON file that is not what is meant here; absent ones say nothing."""
    theirs = json_of(source.file(name), option=source.option, fix="fetch it again")
    for key, (ours, fix) in settings.items():
        if key in theirs and theirs[key] != ours:
            raise BadInput(f"{source.option}={source.value}: {name} says {key}={theirs[key]} where {ours} is meant; {fix}.")
