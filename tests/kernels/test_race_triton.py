"""The Triton kernel of the race, interpreted on the CPU: it draws its reference's tokens, and they follow p.

Triton reads TRITON_INTERPRET when a kernel is defined, so the interpreted tests run in a process of their own; where there is a
GPU, the compiled kernel is tested here.
"""

import pytest
import torch
from scipy import stats

from sdaccel.kernels.race import guided_race_reference, knobs
from sdaccel.noise import Stream, exponential, sample_seeds
from tests.kernels.interpreter import DEVICE, runnable

pytest.importorskip("triton")


def draw(raw: torch.Tensor, seeds: torch.Tensor, options: torch.Tensor, *, start: int) -> torch.Tensor:
    from sdaccel.kernels.race_triton import guided_race_triton

    return guided_race_triton(raw.to(DEVICE), seeds.to(DEVICE), options.to(DEVICE), start=start).cpu()


@runnable
@pytest.mark.parametrize(("vocab", "step"), [(37, None), (37, 1.0), (432, 0.25), (4096, 0.05)])
@pytest.mark.parametrize(("t", "top_k", "top_p"), [(1.3, 0, 0.0), (0.0, 3, 0.0), (1.3, 0, 0.5), (1.3, 20, 0.9), (0.0, 1, 1.0)])
def test_the_kernel_equals_its_reference_bit_for_bit(
    vocab: int, step: float | None, t: float, top_k: int, top_p: float
) -> None:
    raw = 3 * torch.randn(4, 2, vocab, generator=torch.Generator().manual_seed(0))
    raw = raw if step is None else (raw / step).round() * step
    seeds, options = torch.tensor([3, -5]), knobs(t=t, top_k=top_k, top_p=top_p, device=torch.device("cpu"))
    assert torch.equal(draw(raw, seeds, options, start=7), guided_race_reference(raw, seeds, options, start=7))


@runnable
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_logits_are_widened_where_they_are_read(dtype: torch.dtype) -> None:
    raw = (3 * torch.randn(4, 5, 432, generator=torch.Generator().manual_seed(0))).to(dtype)
    seeds, options = torch.tensor([3, -5]), knobs(t=1.3, top_k=90, top_p=0.9, device=torch.device("cpu"))
    drawn = draw(raw, seeds, options, start=7)
    assert torch.equal(drawn, guided_race_reference(raw.float(), seeds, options, start=7))
    assert torch.equal(drawn, guided_race_reference(raw, seeds, options, start=7))


@runnable
def test_elements_beyond_32_bits_take_the_high_counter_word() -> None:
    raw, seeds = torch.zeros(2, 2, 32), torch.tensor([9])
    options = knobs(t=0.0, top_k=0, top_p=0.0, device=torch.device("cpu"))
    start = 2**30 + 5  # block 2^33 of four elements
    assert torch.equal(draw(raw, seeds, options, start=start), guided_race_reference(raw, seeds, options, start=start))


@runnable
def test_the_kernel_draws_from_p_and_from_the_race_stream_alone() -> None:
    p = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])
    raw = p.log().expand(8, 80, 5)
    drawn = draw(raw, sample_seeds(1, range(4)), knobs(t=2.0, top_k=0, top_p=0.0, device=torch.device("cpu")), start=0)
    counts = torch.bincount(drawn.flatten(), minlength=5)
    assert stats.chisquare(counts.numpy(), (p.double() / p.double().sum() * counts.sum()).numpy()).pvalue > 1e-3
    agree = [(a == b).double().mean().item() for i, a in enumerate(drawn) for b in drawn[:i]]
    expected = float(p.square().sum())
    assert all(abs(share - expected) < 0.22 for share in agree), "samples are not independent"  # 4 standard errors
    for stream in Stream:
        noise = exponential(sample_seeds(1, range(4)), stream, (80, 5))
        share = ((p / noise).argmax(-1) == drawn).double().mean()
        assert share == 1 if stream == Stream.RACE else abs(share - expected) < 0.11
