"""The canvas f_hat: codes of every scale are enlarged, passed through phi and summed (VAR, arXiv 2404.02905, algorithms 1, 2).

f_hat (B, Cvae, p_K, p_K) · codes (B, l_k, Cvae) · phi(h) = (h + conv(h)) / 2
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.nextscale.scales import PHIS, phi_indices


def wide(x: Tensor) -> Tensor:
    """At least float32: half-precision weights never shorten what is accumulated, normalised or sampled from."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def as_map(codes: Tensor) -> Tensor:
    """(B, p^2, C) -> (B, C, p, p)."""
    side = round(codes.shape[1] ** 0.5)
    return codes.transpose(1, 2).unflatten(2, (side, side))


def as_tokens(features: Tensor) -> Tensor:
    """(B, C, p, p) -> (B, p^2, C)."""
    return features.flatten(2).transpose(1, 2)


def enlarge(features: Tensor, side: int) -> Tensor:
    """Bicubic to (side, side); a map of that size passes untouched."""
    if features.shape[-1] == side:
        return features
    return F.interpolate(features, size=(side, side), mode="bicubic")


def shrink(features: Tensor, side: int) -> Tensor:
    """Area average to (side, side); a map of that size passes untouched."""
    if features.shape[-1] == side:
        return features
    return F.interpolate(features, size=(side, side), mode="area")


class Phi(nn.Conv2d):
    """Smooths what bicubic enlargement left."""

    def forward(self, input: Tensor) -> Tensor:
        return 0.5 * input + 0.5 * super().forward(input.to(self.weight.dtype))


class PhiBank(nn.Module):
    """Four phi shared by K scales."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qresi_ls = nn.ModuleList(Phi(channels, channels, 3, padding=1) for _ in range(PHIS))

    def forward(self, features: Tensor, *, scale: int, scales: int) -> Tensor:
        return self.qresi_ls[phi_indices(scales)[scale]](features)


class Canvas:
    """f_hat of one generation, with its value before every scale, so that scales can be taken back."""

    def __init__(self, *, phi: PhiBank, patch_nums: Sequence[int], empty: Tensor) -> None:
        self.phi = phi
        self.patch_nums = tuple(patch_nums)
        self.states = [wide(empty)]  # states[k]: f_hat of scales < k; never written in place

    @property
    def scale(self) -> int:
        """The scale that is to be added next."""
        return len(self.states) - 1

    @property
    def f_hat(self) -> Tensor:
        """(B, Cvae, p_K, p_K), the sum of the scales added so far."""
        return self.states[-1]

    def contribution(self, codes: Tensor) -> Tensor:
        """What the codes of the next scale add: phi_k(bicubic(codes)), (B, Cvae, p_K, p_K)."""
        features = enlarge(as_map(wide(codes)), self.patch_nums[-1])
        return self.phi(features, scale=self.scale, scales=len(self.patch_nums))

    def commit(self, contribution: Tensor) -> None:
        """Add the next scale."""
        self.states.append(self.f_hat + contribution)

    def add(self, codes: Tensor) -> None:
        """Add the next scale from its codes."""
        self.commit(self.contribution(codes))

    def next_input(self) -> Tensor:
        """f_hat at the size of the next scale, (B, l_k, Cvae): the transformer's input before word_embed."""
        return as_tokens(shrink(self.f_hat, self.patch_nums[self.scale]))

    def truncate(self, scale: int) -> None:
        """Take back every scale from `scale` on."""
        del self.states[scale + 1 :]
