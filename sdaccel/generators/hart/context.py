"""What HART is told: the text of B prompts as rows of its first scale."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Context:
    hidden: Tensor
    """Last hidden states of the text encoder, float32 (B, T, W)."""
    positions: Tensor
    """int64 (B, T): how many tokens that are no padding stand before each; the last one is where the image begins."""

    def __len__(self) -> int:
        return len(self.hidden)


def positions(told: Tensor) -> Tensor:
    """Of a (B, T) mask of tokens that are no padding; padding before all of them stands at -1."""
    return told.long().cumsum(-1) - 1
