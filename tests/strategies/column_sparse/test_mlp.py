"""Laws of the column-sparse MLP, each with something near by that breaks it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from sdaccel.strategies.column_sparse import mlp
from sdaccel.strategies.column_sparse.groups import grouped, ungrouped
from sdaccel.strategies.column_sparse.options import SparseMlp
from sdaccel.strategies.column_sparse.plan import Kind
from sdaccel.strategies.column_sparse.state import MlpState

OPTIONS = SparseMlp(top_keys=0.3, counts_multiple_of=1, mbm=8)
TOKENS, WIDTH, NEURONS = 19, 12, 40
"""Two groups of 8 and a ragged one."""


def weights(dtype: torch.dtype = torch.float64) -> mlp.Weights:
    draw = torch.Generator().manual_seed(9)
    shapes = ((NEURONS, WIDTH), (NEURONS,), (WIDTH, NEURONS), (WIDTH,))
    return mlp.Weights(*(torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype) for shape in shapes))


def walk(steps: int, *, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Inputs that drift, as those of a denoising loop do."""
    draw = torch.Generator().manual_seed(0)
    x, out = torch.randn(2, TOKENS, WIDTH, generator=draw, dtype=torch.float64), []
    for _ in range(steps):
        x = x + 0.2 * torch.randn(2, TOKENS, WIDTH, generator=draw, dtype=torch.float64)
        out.append(x.to(dtype))
    return out


def dense(x: Tensor, w: mlp.Weights) -> Tensor:
    return linear(mlp.activations(x, w), w.w2, w.b2)


def off(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", [replace(OPTIONS, top_keys=1.0), replace(OPTIONS, fixed_count=NEURONS)])
def test_all_neurons_are_the_dense_mlp(options: SparseMlp, dtype: torch.dtype) -> None:
    state, w = MlpState(options), weights(dtype)
    for step, x in enumerate(walk(12, dtype=dtype)):
        y = state.step(Kind.SPARSE if step else Kind.FULL_INIT, x, w, select=True)
        assert off(y, dense(x, w)) < 100 * torch.finfo(dtype).eps


def test_without_one_neuron_it_is_not_dense() -> None:
    state, w = MlpState(replace(OPTIONS, fixed_count=NEURONS - 1)), weights()
    first, second = walk(2)
    state.step(Kind.FULL_INIT, first, w, select=True)
    assert off(state.step(Kind.SPARSE, second, w, select=True), dense(second, w)) > 1e-4


@pytest.mark.parametrize("multiple", [1, 16])
def test_a_sparse_step_on_the_input_of_the_full_step_before_it_is_dense(multiple: int) -> None:
    state, w = MlpState(replace(OPTIONS, counts_multiple_of=multiple)), weights()
    first, second = walk(2)
    state.step(Kind.FULL_INIT, first, w, select=True)
    assert off(state.step(Kind.SPARSE, first, w, select=True), dense(first, w)) < 1e-14
    assert off(state.step(Kind.SPARSE, second, w, select=True), dense(second, w)) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, fixed_count=9), replace(OPTIONS, counts_multiple_of=16)])
def test_the_output_belongs_to_the_activations_after_many_sparse_steps(options: SparseMlp, dtype: torch.dtype) -> None:
    state, w = MlpState(options), weights(dtype)
    for step, x in enumerate(walk(60, dtype=dtype)):
        y = state.step(Kind.SPARSE if step else Kind.FULL_INIT, x, w, select=step < 10 or step % 2 == 0)
        assert state.activations is not None
        kept = ungrouped(state.activations, TOKENS).double()
        assert off(y, linear(kept, w.w2.double(), w.b2.double())) < 1e3 * torch.finfo(dtype).eps
    assert off(y, dense(x, w)) > 1e-3, "sparse all the while"


def test_a_cache_of_activations_that_is_not_updated_breaks_the_invariant() -> None:
    """What a sparse step would do that adds its delta to the output alone."""
    state, w = MlpState(OPTIONS), weights()
    for step, x in enumerate(walk(4)):
        y = state.step(Kind.SPARSE if step else Kind.FULL_INIT, x, w, select=True)
        if step == 0:
            assert state.activations is not None
            stale = state.activations.clone()
        state.activations = stale.clone()
    assert off(y, linear(ungrouped(stale, TOKENS), w.w2, w.b2)) > 1e-2


def test_neurons_whose_mean_moved_most_are_recomputed_and_no_others() -> None:
    state, w = MlpState(replace(OPTIONS, fixed_count=9)), weights()
    first, second = walk(2)
    state.step(Kind.FULL_INIT, first, w, select=True)
    assert state.activations is not None
    before = state.activations.clone()
    state.step(Kind.SPARSE, second, w, select=True)
    for row in range(2):
        for group, tokens in enumerate((slice(0, 8), slice(8, 16), slice(16, 19))):
            moved = [(linear(x[row, tokens], w.w1, w.b1)).mean(0) for x in (first, second)]
            wanted = set((moved[1] - moved[0]).abs().topk(9).indices.tolist())
            rows = slice(0, tokens.stop - tokens.start)
            changed = (state.activations[row, group, rows] != before[row, group, rows]).any(0)
            assert set(changed.nonzero().flatten().tolist()) == wanted
            fresh = mlp.activations(second[row, tokens], w)
            assert torch.allclose(state.activations[row, group, rows][:, changed], fresh[:, changed], rtol=0, atol=1e-12)


def test_scores_of_neurons_left_out_grow_until_they_are_chosen() -> None:
    """Means are those of the last time a neuron was computed, not of the last choice."""
    state, w = MlpState(replace(OPTIONS, fixed_count=9)), weights()
    first, second = walk(2)
    state.step(Kind.FULL_INIT, first, w, select=True)
    for _ in range(5):  # 9 of 40 at a time: five choices reach all of them
        y = state.step(Kind.SPARSE, second, w, select=True)
    assert off(y, dense(second, w)) < 1e-13


def test_counts_are_filled_up_with_the_next_highest_scores() -> None:
    scores = torch.rand(2, 3, NEURONS, generator=torch.Generator().manual_seed(1))
    keep = mlp.quantile_keep(scores, top_keys=0.3, sample=NEURONS)
    bare, filled = (mlp.chosen_neurons(scores, keep, multiple=multiple) for multiple in (1, 16))
    assert set(keep.sum(-1).flatten().tolist()) == {12}
    assert bare.valid.sum(-1).unique().tolist() == [12] and filled.valid.sum(-1).unique().tolist() == [16]
    assert torch.equal(filled.indices.sort(-1).values, scores.topk(16, -1).indices.sort(-1).values)


@pytest.mark.parametrize("multiple", [1, 8])
def test_groups_with_unequal_counts_each_keep_theirs(multiple: int) -> None:
    scores = torch.rand(1, 3, NEURONS, generator=torch.Generator().manual_seed(1))
    keep = scores > torch.tensor([0.9, 0.2, 2.0]).view(1, 3, 1)
    neurons = mlp.chosen_neurons(scores, keep, multiple=multiple)
    mask = torch.zeros_like(keep).scatter(-1, neurons.indices, neurons.valid)
    assert (mask >= keep).all()
    assert mask.sum(-1).flatten().tolist() == [-(-n // multiple) * multiple for n in keep.sum(-1).flatten().tolist()]


def test_one_row_of_the_batch_never_reaches_another() -> None:
    one, two, w = MlpState(OPTIONS), MlpState(OPTIONS), weights()
    for step, x in enumerate(walk(5)):
        other = x.clone()
        other[1] = 5 * x[1].flip(0)
        kind = Kind.SPARSE if step else Kind.FULL_INIT
        a, b = (state.step(kind, z, w, select=True) for state, z in ((one, x), (two, other)))
        assert torch.allclose(a[0], b[0], rtol=0, atol=1e-12) and not torch.allclose(a[1], b[1])


def test_what_a_step_returns_is_the_callers_to_destroy() -> None:
    kept, spoiled, w = MlpState(OPTIONS), MlpState(OPTIONS), weights()
    for step, x in enumerate(walk(6)):
        kind = Kind.FULL_INIT if step == 0 else Kind.FULL if step == 4 else Kind.SPARSE
        wanted, given = kept.step(kind, x, w, select=True), x.clone()
        found = spoiled.step(kind, given, w, select=True)
        assert torch.equal(found, wanted) and torch.equal(given, x), "inputs are not written to"
        found.fill_(torch.nan)
        given.fill_(torch.nan)


def test_the_live_output_would_be_destroyed() -> None:
    """The bug of the law above: the cache itself is returned, and the next sparse step changes what was handed out."""

    class Live(MlpState):
        def published(self, dtype: torch.dtype) -> Tensor:
            assert self.output is not None
            return self.output

    state, w, (first, second) = Live(OPTIONS), weights(), walk(2)
    y = state.step(Kind.FULL_INIT, first, w, select=True)
    before = y.clone()
    state.step(Kind.SPARSE, second, w, select=True)
    assert not torch.equal(y, before)


@pytest.mark.parametrize(("tokens", "group"), [(1, 8), (8, 8), (9, 8), (19, 1), (19, 50)])
def test_any_number_of_tokens_fits_its_groups(tokens: int, group: int) -> None:
    x = torch.rand(2, tokens, 3)
    assert torch.equal(ungrouped(grouped(x, group), tokens), x)
    assert grouped(x, group).shape == (2, -(-tokens // group), group, 3)
