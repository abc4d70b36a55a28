"""Text conditions: an open_clip text tower over the words of the small world, or numbers that stand for one."""

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.errors import BadInput, reason
from sdaccel.noise import Stream, normal
from sdaccel.shipped import OPEN_CLIP, resolve
from sdaccel.user_files import json_of
from sdaccel.weight_files import NONSENSE, check_manifest, open_weights
from sdaccel.world.captions import VOCAB, encode

TEXT = "generator.text_weights"


def hashed_embeddings(prompts: Sequence[str], *, tokens: int, width: int, pooled: int) -> tuple[Tensor, Tensor]:
    """(B, tokens, width) and (B, pooled), N(0, 1) seeded by the prompt's CRC-32: for random models."""
    seeds = torch.tensor([zlib.crc32(prompt.encode()) for prompt in prompts])
    flat = normal(seeds, Stream.CONDITION, (tokens * width + pooled,))
    return flat[:, pooled:].view(-1, tokens, width), flat[:, :pooled]


class TextTower(nn.Module):
    """The text half of an open_clip CLIP."""

    attn_mask: Tensor

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.token_embedding = clip.token_embedding
        self.positional_embedding = clip.positional_embedding
        self.transformer = clip.transformer
        self.ln_final = clip.ln_final
        self.text_projection = clip.text_projection
        self.register_buffer("attn_mask", clip.attn_mask, persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Last hidden states (B, L, W), and the embedding at <end> (B, P) with a mean square of 1."""
        h = self.token_embedding(tokens) + self.positional_embedding
        h = self.ln_final(self.transformer(h, attn_mask=self.attn_mask))
        end = h[torch.arange(len(h), device=h.device), tokens.argmax(-1)] @ self.text_projection
        return h, nn.functional.normalize(end, dim=-1) * end.shape[-1] ** 0.5

    def read(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        return embed(self, prompts)


def text_tower(folder: Path) -> TextTower:
    """The tower of an open_clip folder, in float32."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    import open_clip

    clip = open_clip.create_model(f"local-dir:{folder}")
    tower = TextTower(clip).float().eval()
    return tower.requires_grad_(False)


def embed(tower: TextTower, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Hidden states and pooled embedding of prompts in the words of the world."""
    length, _ = tower.positional_embedding.shape
    read: tuple[Tensor, Tensor] = tower(encode(prompts, length=length).to(tower.positional_embedding.device))
    return read


def text_files(value: str) -> list[Path]:
    """Configuration and weights in the open_clip folder."""
    folder = resolve(value)
    for name in OPEN_CLIP:
        if not os.path.isfile(folder / name):  # Path.is_file raises for a name that is too long
            raise BadInput(
                f"{TEXT}={value}: {name} is not there; give a folder that open_clip reads as local-dir, or shipped:clip_mini."
            )
    return [folder / name for name in OPEN_CLIP]


def meta_clip(value: str) -> Any:
    """The folder's model without storage."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    from open_clip.model import CLIP

    path = text_files(value)[0]
    config = json_of(path, option=TEXT, fix="give another folder")
    try:
        with torch.device("meta"):
            return CLIP(**config["model_cfg"])
    except NONSENSE as error:
        raise BadInput(f"{TEXT}={value}: {path.name} describes no CLIP model ({reason(error)}); give another folder.") from None


def check_tower(value: str, wanted: Mapping[str, int]) -> None:
    """Raise BadInput unless the folder holds a text tower over the words of the small world.

    `wanted` says by the options' names how many tokens it must read, how wide they are, and the pooled width where it counts.
    """
    clip = meta_clip(value)
    check_manifest(open_weights(text_files(value)[1], option=TEXT), clip)
    sizes = (*clip.positional_embedding.shape, clip.text_projection.shape[1])
    rows = [("words", clip.token_embedding.weight.shape[0], len(VOCAB), "train it on the words of the small world")]
    rows += [(name, theirs, ours, f"set {name}={theirs}") for (name, ours), theirs in zip(wanted.items(), sizes, strict=False)]
    for name, theirs, ours, fix in rows:
        if theirs != ours:
            raise BadInput(f"{TEXT}={value} has {theirs} where {name} is {ours}; {fix}.")


def meta_tower(value: str) -> TextTower:
    """The text tower without storage, for its price."""
    return TextTower(meta_clip(value))
