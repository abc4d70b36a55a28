"""Laws of the kernels around VAR's products and of the drawn noise: a kernel is its plain-torch reference."""

import pytest
import torch
from torch import Tensor

from sdaccel import noise
from sdaccel.kernels import philox
from sdaccel.kernels.adaln import add_gated, add_modulated, modulated, place
from sdaccel.noise import Stream
from tests.kernels.interpreter import DEVICE, runnable

pytest.importorskip("triton")
SEEDS = torch.tensor([3, -5, 2**40 + 7])
HALF = [torch.float32, torch.float16, torch.bfloat16]


@runnable
@pytest.mark.parametrize("start", [0, 1, 6, 2**34 - 5])
@pytest.mark.parametrize("shape", [(1,), (5, 300), (2100,)], ids=str)
def test_the_philox_kernels_draw_the_numbers_of_the_noise(shape: tuple[int, ...], start: int) -> None:
    from sdaccel.kernels.philox_triton import exponential_triton, normal_triton

    for stream in (Stream.RACE, Stream.GUMBEL):
        for kernel, reference in ((exponential_triton, noise.exponential), (normal_triton, noise.normal)):
            made = kernel(SEEDS.to(DEVICE), stream, shape, start=start).cpu()
            assert torch.equal(made, reference(SEEDS, stream, shape, start=start))


def test_elsewhere_than_on_a_gpu_the_draws_are_those_of_the_noise() -> None:
    assert torch.equal(
        philox.exponential(SEEDS, Stream.RACE, (9,), start=2), noise.exponential(SEEDS, Stream.RACE, (9,), start=2)
    )
    assert torch.equal(philox.normal(SEEDS, Stream.RACE, (9,), start=2), noise.normal(SEEDS, Stream.RACE, (9,), start=2))


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def near(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Equal but for a rounding."""
    return bool(torch.allclose(a.cpu().double(), b.double(), rtol=4 * torch.finfo(dtype).eps, atol=1e-5))


@runnable
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize(("rows", "length", "width"), [(2, 1, 64), (4, 9, 192), (2, 3, 1920)])
def test_the_adaln_kernels_are_their_references(rows: int, length: int, width: int, dtype: torch.dtype) -> None:
    from sdaccel.kernels import adaln_triton

    x, branch = 5 + drawn(rows, length, width), drawn(rows, length, width, dtype=dtype, seed=1)
    gate, one_plus, shift = (drawn(rows, 1, width, seed=seed) for seed in (2, 3, 4))
    stream = x.clone().to(DEVICE)
    g, y, s, b = (t.to(DEVICE) for t in (gate, branch, one_plus, shift))
    ours = adaln_triton.adaln(stream, g, y, s, b, dtype)
    alone = adaln_triton.adaln(x.to(DEVICE), None, None, s, b, dtype)
    added = adaln_triton.add(x.clone().to(DEVICE), g, y)
    assert near(alone, modulated(x, one_plus, shift, dtype), dtype)
    assert near(added, add_gated(x.clone(), gate, branch), torch.float32)
    assert near(ours, add_modulated(x, gate, branch, one_plus, shift, dtype), dtype)
    assert near(stream, x, torch.float32), "the stream is written in place"
    with pytest.raises(ValueError, match="must be contiguous"):
        adaln_triton.adaln(drawn(9, 4, width).to(DEVICE).transpose(0, 1), None, None, s, b, dtype)


@runnable
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("heads", [1, 3, 30])
def test_placing_keys_and_values_is_its_reference_and_touches_nothing_else(heads: int, dtype: torch.dtype) -> None:
    from sdaccel.kernels.adaln_triton import place_triton

    qkv, factor = drawn(4, 5, 3, heads, 64, dtype=dtype), drawn(2, heads, 1, seed=1)
    ours, theirs = (
        [torch.full((4, heads, 20, 64), 7.0, dtype=dtype, device=device) for _ in "kv"] for device in (DEVICE, "cpu")
    )
    q = place_triton(qkv.to(DEVICE), factor.to(DEVICE), *(cache[:, :, 7:12] for cache in ours))
    assert near(q, place(qkv, factor, *(cache[:, :, 7:12] for cache in theirs)), dtype)
    assert near(ours[0], theirs[0], dtype)
    assert torch.equal(ours[1].cpu(), theirs[1])
