"""Keys and values of one generation, in one buffer per layer that can be cut back."""

import torch
from torch import Tensor


class KVCache:
    """K and V of every layer, (R, H, L, d); all layers grow by the same tokens in every forward."""

    def __init__(
        self, *, layers: int, rows: int, heads: int, capacity: int, head_dim: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (layers, rows, heads, capacity, head_dim)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.lengths = [0] * layers

    @property
    def length(self) -> int:
        """Tokens held by every layer."""
        if len(set(self.lengths)) != 1:
            raise RuntimeError(f"layers hold different numbers of tokens: {self.lengths}")
        return self.lengths[0]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (R, H, l, d) behind what the layer holds; views of everything it holds now."""
        start = self.lengths[layer]
        end = start + k.shape[2]
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self.lengths[layer] = end
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def truncate(self, length: int) -> None:
        """Forget every token from `length` on."""
        if length > min(self.lengths):
            raise ValueError(f"cannot truncate to {length} tokens: a layer holds {min(self.lengths)}")
        self.lengths = [length] * len(self.lengths)
