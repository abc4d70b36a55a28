"""CLIP score (Hessel et al. 2021) with any open_clip model and its tokenizer: 100 max(cos(image, text), 0)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Tokenizer = Callable[[list[str]], Tensor]


def clip_score(image_features: Tensor, text_features: Tensor) -> Tensor:
    """(B,), one value per pair of rows."""
    if image_features.shape != text_features.shape:
        raise ValueError(f"image and text features must pair up, not {image_features.shape} and {text_features.shape}")
    return 100 * torch.cosine_similarity(image_features.double(), text_features.double(), dim=1).clamp_min(0)


@torch.no_grad()
def text_features(model: Any, tokenizer: Tokenizer, captions: Sequence[str]) -> Tensor:
    """(B, D) of captions, not normalised."""
    device = next(model.parameters()).device
    return model.encode_text(tokenizer(list(captions)).to(device)).float()
