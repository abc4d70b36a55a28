"""Laws of the sums over anchors: the definition written out, and the kernel equal to its plain-torch reference."""

import pytest
import torch
from torch import Tensor

from sdaccel.kernels.forecast_sums import forecast_sums, forecast_sums_reference
from tests.kernels.interpreter import DEVICE, runnable

SHAPES = [(3, 3, 2, 6, 32, 4), (1, 1, 1, 1, 1, 1), (2, 2, 1, 5, 260, 9), (4, 2, 2, 3, 257, 3)]
"""J, F, B, L, D, S: no multiples of a tile, one step more than a pass takes, one tile, one number."""


def case(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    J, F, B, L, D, S = shape
    draw = torch.Generator().manual_seed(sum(shape))
    anchors = torch.randn(J, F, B, L, D, generator=draw).to(dtype)
    weights = torch.randn(S, F, J, B, generator=draw, dtype=torch.float64).to(torch.promote_types(dtype, torch.float32))
    return anchors, weights, torch.randn(S, F, B, D, generator=draw).to(dtype)


def written_out(anchors: Tensor, weights: Tensor, gates: Tensor | None) -> Tensor:
    """h_s = sum_f g_f sum_j w_fj A_jf, one number at a time, in float64."""
    J, F, B, L, D = anchors.shape
    out = torch.zeros(len(weights), B, L, D, dtype=torch.float64)
    for s, f, j, b in torch.cartesian_prod(*map(torch.arange, (len(weights), F, J, B))).tolist():
        gate = 1.0 if gates is None else gates[s, f, b].double()
        out[s, b] += gate * float(weights[s, f, j, b]) * anchors[j, f, b].double()
    return out


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_reference_is_the_formula(shape: tuple[int, ...], dtype: torch.dtype, gated: bool) -> None:
    anchors, weights, gates = case(shape, dtype)
    ours = forecast_sums_reference(anchors, weights, gates if gated else None)
    assert ours.dtype == torch.promote_types(dtype, torch.float32)
    assert relative(ours, written_out(anchors, weights, gates if gated else None)) < (1e-14 if dtype == torch.float64 else 1e-6)


def test_sums_are_never_coarser_than_float32() -> None:
    """3 x 1.0078125 - 2 is 1.0234375; in bfloat16 the products would round before they meet."""
    anchors = torch.tensor([1 + 2**-7, 1.0], dtype=torch.bfloat16).view(2, 1, 1, 1, 1)
    assert float(forecast_sums(anchors, torch.tensor([3.0, -2.0]).view(1, 1, 2, 1))) == 1 + 3 * 2**-7


def test_features_may_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum over anchors that lie elsewhere, brought over a few features at a time."""
    from sdaccel.kernels import forecast_sums as module

    anchors, weights, gates = case((2, 11, 1, 3, 8, 2), torch.float32)
    for given in (gates, None):
        assert relative(module._streamed(anchors, weights, given), forecast_sums_reference(anchors, weights, given)) < 1e-6


@runnable
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_is_the_reference(shape: tuple[int, ...], dtype: torch.dtype, gated: bool) -> None:
    from sdaccel.kernels.forecast_sums_triton import forecast_sums_triton

    anchors, weights, gates = case(shape, dtype)
    chosen = gates if gated else None
    found = forecast_sums_triton(anchors.to(DEVICE), weights.to(DEVICE), None if chosen is None else chosen.to(DEVICE))
    assert relative(found.cpu(), forecast_sums_reference(anchors, weights, chosen)) < 1e-6
