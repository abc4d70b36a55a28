"""Text conditions of random models: numbers that are a pure function of the prompt, so that prompts differ and repeat."""

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.noise import Stream, normal


def hashed_embeddings(prompts: Sequence[str], *, tokens: int, width: int, pooled: int) -> tuple[Tensor, Tensor]:
    """(B, tokens, width) and (B, pooled), N(0, 1) seeded by the prompt's CRC-32."""
    seeds = torch.tensor([zlib.crc32(prompt.encode()) for prompt in prompts])
    flat = normal(seeds, Stream.CONDITION, (tokens * width + pooled,))
    return flat[:, pooled:].view(-1, tokens, width), flat[:, :pooled]
