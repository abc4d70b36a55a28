"""Factor and shift of a GroupNorm: what torch's GroupNorm does, and the kernel equal to its plain-torch reference."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.kernels.group_affine import group_affine, group_affine_reference
from tests.kernels.interpreter import DEVICE, runnable

SHAPES = [(2, 160, 32), (3, 96, 32), (1, 64, 64), (2, 6, 1)]
"""B, C, groups: groups of 5, 3, 1 and all channels; more and fewer numbers than a program has lanes."""


def case(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (B, C, 4, 4) and its moments (2, B, C), weight, bias."""
    draw = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(*shape[:2], 4, 4, generator=draw) * 3 + 1
    moments = torch.stack([x.mean((2, 3)), x.square().mean((2, 3))])
    weight, bias = torch.randn(2, shape[1], generator=draw)
    return x, moments, weight, bias


@pytest.mark.parametrize("shape", SHAPES)
def test_factor_and_shift_are_those_of_a_group_norm(shape: tuple[int, int, int]) -> None:
    x, moments, weight, bias = (value.double() for value in case(shape))
    factor, shift = group_affine(moments, weight, bias, groups=shape[2], eps=1e-6)[..., None, None]
    assert (x * factor + shift - F.group_norm(x, shape[2], weight, bias, eps=1e-6)).abs().max() < 1e-5


def test_a_constant_group_is_the_bias() -> None:
    """Its square's mean may round below its mean's square."""
    moments = torch.stack([torch.full((1, 4), 3.1), torch.full((1, 4), 3.1**2 - 1e-5)])
    factor, shift = group_affine(moments, torch.ones(4), torch.full((4,), 0.5), groups=2, eps=1e-6)
    assert (3.1 * factor + shift - 0.5).abs().max() < 1e-3


@runnable
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_is_the_reference(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    from sdaccel.kernels.group_affine_triton import group_affine_triton

    _, moments, weight, bias = case(shape)
    given = moments, weight.to(dtype), bias.to(dtype)
    found = group_affine_triton(*(value.to(DEVICE) for value in given), groups=shape[2], eps=1e-6).cpu()
    wanted = group_affine_reference(*given, groups=shape[2], eps=1e-6)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-5
