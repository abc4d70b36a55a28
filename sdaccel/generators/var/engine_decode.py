"""VAR's decoder as the fast engine runs it on a GPU: the same weights in modules that suit channels-last half precision.

What profiles on an H200 showed: the last convolution, of three output channels, runs in kernels that take longer than any
other; with some more channels it does not, and 32 were the best number. Statistics of a GroupNorm over channels that lie apart
take longer than sums of single channels, which lie together.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.tokenizer.autoencoder import Decoder
from sdaccel.kernels.group_affine import group_affine

MULTIPLE = 32
"""Output channels for which there are good kernels in half precision."""


class ChannelSums(nn.Module):
    """GroupNorm from first and second moments of every channel, summed in at least float32."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps, self.weight, self.bias = norm.num_groups, norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        values = wide(x)
        moments = torch.stack([values.mean((2, 3)), values.square().mean((2, 3))])  # (2, B, C)
        factor, shift = group_affine(moments, self.weight, self.bias, groups=self.groups, eps=self.eps)
        return (values * factor[:, :, None, None] + shift[:, :, None, None]).to(x.dtype)


class Padded(nn.Module):
    """A 3x3 convolution with idle output channels up to the next multiple."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.channels = conv.out_channels
        idle = -conv.out_channels % MULTIPLE
        self.weight = F.pad(conv.weight.detach(), (0, 0, 0, 0, 0, 0, 0, idle)).to(memory_format=torch.channels_last)
        self.bias = None if conv.bias is None else F.pad(conv.bias.detach(), (0, idle))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)[:, : self.channels]


def suited(decoder: Decoder) -> Decoder:
    """A decoder of other modules that holds the very weights of this one."""
    held = {id(tensor): tensor for tensor in (*decoder.parameters(), *decoder.buffers())}
    out = copy.deepcopy(decoder, held)
    for module in out.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, ChannelSums(child))
    out.conv_out = Padded(out.conv_out)  # type: ignore[assignment]
    return out
