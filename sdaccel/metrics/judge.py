"""The judge: every attribute of a scene of the world from its pixels. It never saw CLIP, so it may judge its pupils."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.world.attributes import FIELDS

RESOLUTION = 64
WIDTHS = (32, 64, 96, 120)


class Residual(nn.Module):
    def __init__(self, cin: int, cout: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.skip(x))


class Judge(nn.Module):
    """Pictures (B, 3, 64, 64) in [0, 1] to the logits of every attribute, side by side (B, sum of FIELDS)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(5, WIDTHS[0], 3, 1, 1)
        pairs = zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Residual(cin, cout, stride=1 if i == 0 else 2) for i, (cin, cout) in enumerate(pairs)))
        self.head = nn.Linear(4 * WIDTHS[-1], sum(FIELDS.values()))

    def forward(self, images: Tensor) -> Tensor:
        axis = torch.linspace(-1, 1, images.shape[-1], device=images.device, dtype=images.dtype)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).expand(len(images), -1, -1, -1)  # left and right differ
        h = self.blocks(self.stem(torch.cat([images * 2 - 1, grid], 1)))
        return self.head(F.adaptive_avg_pool2d(h, 2).flatten(1))

    def attributes(self, images: Tensor) -> Tensor:
        """(B, 17) the likeliest value of every column of FIELDS."""
        return torch.stack([part.argmax(-1) for part in self(images).split(list(FIELDS.values()), -1)], -1)
