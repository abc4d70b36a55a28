"""Embeddings by prompt: computed once, kept on disk, so that the text encoders are gone before the first picture."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sdaccel.samples import atomic_write, canonical, digest
from sdaccel.shipped import sha256

Pair = tuple[Tensor, Tensor]
"""What a model is told of one prompt, in host memory: (T, W) hidden states and something beside them."""


class PromptReader:
    """Reads prompts one by one, so that an embedding never depends on what else is read."""

    def __init__(self, encoders: Callable[[], Callable[[str], Pair]], *, key: Any, beside: str = "pooled") -> None:
        """`encoders` loads them; `key` says all that decides an embedding beside the prompt; `beside` names the second."""
        self.encoders = encoders
        self.key = key
        self.names = ("hidden", beside)
        self.folder: Path | None = None
        self.known: dict[str, Pair] = {}

    def prepare(self, prompts: Sequence[str], *, folder: Path | None = None) -> None:
        """Embed what is not known yet, with the encoders in memory for as long as that takes."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = folder
        missing = [prompt for prompt in dict.fromkeys(prompts) if self._stored(prompt) is None]
        if missing:
            encode = self.encoders()
            for prompt in missing:
                hidden, beside = encode(prompt)
                self._store(prompt, (hidden.cpu().contiguous(), beside.cpu().contiguous()))

    def read(self, prompts: Sequence[str]) -> Pair:
        self.prepare(prompts)
        pairs = [pair for prompt in prompts if (pair := self._stored(prompt))]
        return torch.stack([hidden for hidden, _ in pairs]), torch.stack([beside for _, beside in pairs])

    def _path(self, prompt: str) -> Path | None:
        return self.folder / f"{digest(canonical([prompt, self.key]))}.safetensors" if self.folder else None

    def _stored(self, prompt: str) -> Pair | None:
        path = self._path(prompt)
        if path is None:
            return self.known.get(prompt)
        try:
            kept = load(path.read_bytes())
            hidden, beside = (kept[name] for name in self.names)
            return hidden, beside
        except (FileNotFoundError, SafetensorError, KeyError):  # absent, or damaged: computed anew, to the same bits
            return None

    def _store(self, prompt: str, pair: Pair) -> None:
        if path := self._path(prompt):
            atomic_write(path, save(dict(zip(self.names, pair, strict=True))))
        else:
            self.known[prompt] = pair


def made_by(source: str, device: torch.device) -> list[str]:
    """What makes embeddings of files and prompts: the module of this path, the libraries' versions and the machine."""
    versions = [version(library) for library in ("torch", "transformers")]
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device}, {torch.get_num_threads()} threads"
    return [sha256(Path(source)), *versions, machine]
