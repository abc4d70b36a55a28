"""Laws of the fused sampler: the filters keep what a sort keeps, and the race draws what the eager race draws."""

import pytest
import torch
from torch import Tensor

from sdaccel.generators.nextscale import tokens
from sdaccel.generators.nextscale.tokens import PhiloxRace
from sdaccel.kernels.filters import kept, threshold
from sdaccel.kernels.race import filtered, guided_race, knobs

SEEDS = torch.tensor([3, -5])
CPU = torch.device("cpu")


def random_logits(*shape: int, seed: int = 0, step: float | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal logits; with a step they are rounded to its multiples, so that many are equal."""
    x = 3 * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return x if step is None else (x / step).round() * step


def by_sorting(logits: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """`tokens.keep` in words: bool, with the stable sort that makes equal codes fall by index."""
    masked = tokens.keep_top_k(logits, top_k)
    if top_p == 0:
        return masked > float("-inf")
    ascending, order = masked.sort(dim=-1, stable=True)
    drop = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    drop[..., -1] = False
    return ~drop.scatter(-1, order, drop) & (masked > float("-inf"))


@pytest.mark.parametrize("vocab", [5, 36, 432])
@pytest.mark.parametrize("step", [None, 0.25, 1.0])
@pytest.mark.parametrize("top_p", [0.0, 1e-9, 0.3, 0.9, 0.96, 0.9999, 1.0])
def test_the_threshold_keeps_what_a_stable_sort_keeps_ties_included(vocab: int, step: float | None, top_p: float) -> None:
    logits = random_logits(2, 40, vocab, step=step)
    for top_k in (0, 1, 3, vocab // 2, vocab):
        assert torch.equal(
            kept(logits, threshold(logits, top_k=top_k, top_p=top_p)), by_sorting(logits, top_k=top_k, top_p=top_p)
        )


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 0.0), (10, 0.0), (0, 0.9), (10, 0.9), (64, 1.0)])
def test_filtered_logits_are_those_of_the_eager_filters_bit_for_bit(top_k: int, top_p: float) -> None:
    logits = random_logits(2, 50, 64)
    ours = filtered(logits, top_k=top_k, top_p=top_p)
    assert torch.equal(ours, tokens.keep(logits, top_k=top_k, top_p=top_p))


def test_a_set_cut_in_float32_differs_by_codes_at_the_limit_only() -> None:
    """float32 sums of thousands of masses put the cut one code higher or lower now and then."""
    logits = random_logits(1, 200, 4096, dtype=torch.float32)
    ours, eager = (f(logits, top_k=0, top_p=0.96) > float("-inf") for f in (filtered, tokens.keep))
    differing = (ours != eager).sum(-1)
    assert differing.max() <= 2
    p = logits.double().softmax(-1)
    cut = (p * ~ours).sum(-1)
    assert (cut <= 0.04 + 1e-12).all()
    assert ((p * ~eager).sum(-1) - cut).abs()[differing == 0].max() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("t", "top_k", "top_p"), [(0.0, 0, 0.0), (1.5, 12, 0.0), (0.7, 0, 0.9), (3.0, 20, 0.95)])
def test_the_fused_race_draws_the_tokens_of_the_eager_race(dtype: torch.dtype, t: float, top_k: int, top_p: float) -> None:
    raw = random_logits(4, 300, 48, dtype=dtype)
    eager = tokens.race(tokens.keep(tokens.combine(raw, t), top_k=top_k, top_p=top_p), PhiloxRace(SEEDS).tokens(91, 300, 48))
    assert torch.equal(guided_race(raw, SEEDS, knobs(t=t, top_k=top_k, top_p=top_p, device=CPU), start=91), eager)


def test_tokens_do_not_depend_on_the_batch_or_on_how_the_sequence_is_split() -> None:
    raw = random_logits(4, 9, 48)
    options = knobs(t=1.0, top_k=0, top_p=0.9, device=CPU)
    whole = guided_race(raw, SEEDS, options, start=5)
    second = guided_race(raw[[1, 3]], SEEDS[1:], options, start=5)
    tail = guided_race(raw[:, 4:], SEEDS, options, start=9)
    assert torch.equal(second[0], whole[1])
    assert torch.equal(tail, whole[:, 4:])
