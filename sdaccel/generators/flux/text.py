"""Text conditions: an open_clip text tower over the words of the small world, or numbers that stand for one."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sdaccel.noise import Stream, normal
from sdaccel.world.captions import encode


class Reader(Protocol):
    """What turns prompts into the transformer's text."""

    def read(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, W) and pooled embeddings (B, P)."""
        ...


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
