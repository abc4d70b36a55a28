"""The canvas f_hat: codes of every scale are enlarged, passed through phi and summed (VAR, arXiv 2404.02905, algorithms 1, 2).

f_hat (B, Cvae, p_K, p_K) · codes (B, l_k, Cvae) · phi(h) = (h + conv(h)) / 2
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.nextscale.layout import PHIS, Layout


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
    """Four phi that the scales share."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qresi_ls = nn.ModuleList(Phi(channels, channels, 3, padding=1) for _ in range(PHIS))

    def forward(self, features: Tensor, *, index: int | None) -> Tensor:
        """Apply the phi of this index; None leaves the features as they are."""
        return features if index is None else self.qresi_ls[index](features)


class Canvas:
    """f_hat of one generation, with its value before every scale, so that scales can be taken back."""

    def __init__(self, *, phi: PhiBank, layout: Layout, empty: Tensor) -> None:
        self.phi, self.layout = phi, layout
        self.states = [wide(empty)]  # states[k]: f_hat of scales < k; never written in place

    @property
    def scale(self) -> int:
        """The scale that is to be added next."""
        return len(self.states) - 1

    @property
    def f_hat(self) -> Tensor:
        """(B, Cvae, p_K, p_K), the sum of the scales added so far."""
        return self.states[-1]

    def contribution(self, codes: Tensor, *, scale: int | None = None) -> Tensor:
        """What the codes of a scale add, the next one unless another is named: phi_k(bicubic(codes)), (B, Cvae, p_K, p_K)."""
        features = self.enlarged(as_map(wide(codes)))
        return self.phi(features, index=self.layout.phi[self.scale if scale is None else scale])

    def enlarged(self, features: Tensor) -> Tensor:
        return enlarge(features, self.layout.side)

    def commit(self, contribution: Tensor) -> None:
        """Add the next scale."""
        self.states.append(self.f_hat + contribution)

    def add(self, codes: Tensor) -> None:
        """Add the next scale from its codes."""
        self.commit(self.contribution(codes))

    def put(self, scale: int, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Write the state behind a scale for these rows, whose codes they are; the others keep what they have there.

        Computed in the shape of the batch, whatever rows are meant: bits may depend on the shape.
        """
        if rows is None:
            self._write(scale + 1, self.states[scale] + self.contribution(codes, scale=scale), None)
            return
        chosen = torch.tensor(rows, device=codes.device)
        whole = codes.new_zeros(len(self.f_hat), *codes.shape[1:]).index_copy(0, chosen, codes)
        self._write(scale + 1, self.states[scale] + self.contribution(whole, scale=scale), chosen)

    def _write(self, index: int, state: Tensor, rows: Tensor | None) -> None:
        if rows is not None and index < len(self.states):
            state = self.states[index].index_copy(0, rows, state.index_select(0, rows))
        self.states[index : index + 1] = [state]

    def input_of(self, scale: int) -> Tensor:
        """f_hat at the size of a scale, (B, l_k, Cvae): the transformer's input before word_embed."""
        return as_tokens(shrink(self.states[scale], self.layout.patch_nums[scale]))

    def inputs_of(self, first: int, last: int) -> Tensor | None:
        """Of scales first .. last, one behind the other; scale 0 has none. A single one is not copied: layout shows in bits."""
        parts = [self.input_of(scale) for scale in range(max(first, 1), last + 1)]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0] if parts else None

    def next_input(self) -> Tensor:
        """`input_of` the scale that is to be added next."""
        return self.input_of(self.scale)

    def adopt(self, other: "Canvas", scale: int) -> None:
        """Begin with what another canvas of the same image holds before `scale`."""
        for index in range(1, scale + 1):
            self._write(index, other.states[index], None)

    def truncate(self, scale: int) -> None:
        """Take back every scale from `scale` on."""
        del self.states[scale + 1 :]
