"""Text conditions of HART: its published encoder, a text tower over the words of the small world, or hashed numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from sdaccel.errors import BadInput
from sdaccel.generators.hart import qwen
from sdaccel.generators.hart.context import Context, positions
from sdaccel.generators.hart.qwen import Qwen, check_qwen, cut_short, meta_qwen
from sdaccel.generators.kept_text import PromptReader, made_by
from sdaccel.generators.published import Source, fingerprint, locate
from sdaccel.generators.text import TEXT, TextTower, check_tower, hashed_embeddings, meta_tower, text_files, text_tower
from sdaccel.measure.macs import forward_macs
from sdaccel.shipped import OPEN_CLIP, PREFIX, resolve
from sdaccel.world.captions import PAD, encode

ENCODER = "mit-han-lab/Qwen2-VL-1.5B-Instruct"
TOKENS, WIDTH = "generator.context_tokens", "generator.context_width"


class Reader(Protocol):
    """What turns prompts into the transformer's text."""

    def prepare(self, prompts: Sequence[str], *, folder: Path) -> None:
        """Called with all prompts of a study before the first picture; `folder` may be deleted. Most have nothing to do."""
        return

    def read(self, prompts: Sequence[str]) -> Context: ...


class Hashed(Reader):
    """N(0, 1) seeded by the prompt, without padding: for random models."""

    def __init__(self, *, tokens: int, width: int) -> None:
        self.tokens, self.width = tokens, width

    def read(self, prompts: Sequence[str]) -> Context:
        hidden, _ = hashed_embeddings(prompts, tokens=self.tokens, width=self.width, pooled=0)
        return Context(hidden, torch.arange(self.tokens).repeat(len(prompts), 1))


class Spoken(Reader):
    """The states of a text tower, one prompt at a time, so that none depends on its company."""

    def __init__(self, tower: TextTower) -> None:
        self.tower = tower

    @torch.no_grad()
    def read(self, prompts: Sequence[str]) -> Context:
        length, _ = self.tower.positional_embedding.shape
        words = encode(prompts, length=length).to(self.tower.positional_embedding.device)
        hidden = torch.cat([self.tower(row.unsqueeze(0))[0] for row in words])
        return Context(hidden, positions(words != PAD))


class Kept(Reader):
    """The states of the published encoder, which is in memory only while it reads what is not on disk yet."""

    def __init__(self, prompts: PromptReader) -> None:
        self.prompts = prompts

    def prepare(self, prompts: Sequence[str], *, folder: Path) -> None:
        self.prompts.prepare(prompts, folder=folder)

    def read(self, prompts: Sequence[str]) -> Context:
        return Context(*self.prompts.read(prompts))


def make_reader(value: str | None, *, tokens: int, width: int, device: torch.device, dtype: torch.dtype) -> Reader:
    """What reads with the files of `generator.text_weights`, which were checked; `dtype` is the published encoder's."""
    if value is None:
        return Hashed(tokens=tokens, width=width)
    if (source := _qwen(value)) is None:
        return Spoken(text_tower(resolve(value)).to(device))
    key = [text_identity(value), tokens, str(dtype), *made_by(qwen.__file__, device)]
    return Kept(PromptReader(lambda: Qwen(source, tokens=tokens, device=device, dtype=dtype), key=key, beside="positions"))


def check_text(value: str | None, prompts: Sequence[str], *, tokens: int, width: int) -> None:
    """Raise BadInput unless the files fit the transformer and can read the prompts; nothing large is loaded."""
    if value is None:
        return
    if source := _qwen(value):
        check_qwen(source, wide=(WIDTH, width))
        return
    check_tower(value, {TOKENS: tokens, WIDTH: width})
    encode(prompts, length=tokens)


def of_world(value: str | None) -> bool:
    """It reads the words of the small world alone."""
    return value is not None and _qwen(value) is None


def text_notes(value: str | None, prompts: Sequence[str], *, tokens: int) -> list[str]:
    """One line for every prompt whose end is not read."""
    source = _qwen(value) if value else None
    cut = cut_short(source, prompts, tokens=tokens) if source else {}
    return [f"prompt {prompt[:40]!r}… has {n} tokens and HART reads the first {tokens}" for prompt, n in cut.items()]


def text_identity(value: str | None) -> list[str]:
    """Hashes of all files that decide what is read."""
    if value is None:
        return []
    source = _qwen(value)
    return [fingerprint(file) for file in (qwen.files(source) if source else text_files(value))]


def reading(value: str | None, *, tokens: int) -> tuple[float, list[nn.Module]]:
    """MACs that an image needs for its text, and what reads it, on the meta device; what is kept on disk costs no reading."""
    if value is None:
        return 0.0, []
    if source := _qwen(value):
        return 0.0, [meta_qwen(source)]
    tower, words = meta_tower(value), torch.zeros(1, tokens, dtype=torch.int64)
    return forward_macs(lambda: tower(words)), [tower]


def _qwen(value: str) -> Source | None:
    """Where the published encoder's files are; None for an open_clip folder."""
    if value.startswith(PREFIX):
        return None
    source = locate(TEXT, value, repository=ENCODER, layouts="an open_clip folder, shipped:clip_mini")
    if not source.path.is_dir():
        raise BadInput(f"{TEXT}={value} is a file; give the folder with the files of huggingface.co/{ENCODER}.")
    return None if (source.path / OPEN_CLIP[0]).is_file() else source
