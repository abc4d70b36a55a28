"""The residual head: a small denoiser that says what the codes of the last scale leave out, token by token.

N tokens · C channels of a code · W width of the head
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 256
PERIOD = 10000.0


def sinusoid(t: Tensor) -> Tensor:
    """(n, 256) [cos, sin] of times (n,), float32."""
    half = FREQUENCIES // 2
    rates = torch.exp(-math.log(PERIOD) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angle = t.float().unsqueeze(-1) * rates
    return torch.cat([angle.cos(), angle.sin()], -1)


class TimeEmbedding(nn.Module):
    """A sinusoid through two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        y: Tensor = self.mlp(sinusoid(t).to(self.get_parameter("mlp.0.weight").dtype))
        return y


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class HeadBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_ln = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale, gate = self.adaLN_modulation(y).chunk(3, -1)
        return x + gate * self.mlp(modulated(self.in_ln(x), shift, scale))


class FinalLayer(nn.Module):
    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(y).chunk(2, -1)
        out: Tensor = self.linear(modulated(F.layer_norm(x, x.shape[-1:], eps=1e-6), shift, scale))
        return out


class ResidualNet(nn.Module):
    """(x (N, C), t (n,), z (N, W')) to (N, 2 C), noise and variance; n is 1 or N."""

    def __init__(self, *, channels: int, width: int, depth: int, told: int) -> None:
        super().__init__()
        self.time_embed = TimeEmbedding(width)
        self.cond_embed = nn.Linear(told, width)
        self.input_proj = nn.Linear(channels, width)
        self.res_blocks = nn.ModuleList(HeadBlock(width) for _ in range(depth))
        self.final_layer = FinalLayer(width, 2 * channels)

    def forward(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        y = self.time_embed(t) + self.cond_embed(z)
        x = self.input_proj(x.to(y.dtype))
        for block in self.res_blocks:
            x = block(x, y)
        out: Tensor = self.final_layer(x, y)
        return out


class ResidualHead(nn.Module):
    """The network under the name that checkpoints have for it."""

    def __init__(self, net: ResidualNet) -> None:
        super().__init__()
        self.net = net
