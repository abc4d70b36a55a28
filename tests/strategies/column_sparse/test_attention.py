"""Laws of column-sparse attention, each with something near by that breaks it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sdaccel.strategies.column_sparse import attention
from sdaccel.strategies.column_sparse.options import SparseAttention
from sdaccel.strategies.column_sparse.plan import Kind
from sdaccel.strategies.column_sparse.state import AttentionState

OPTIONS = SparseAttention(top_keys=0.3, counts_multiple_of=1, mbm=16)
FORMS = list(attention.FORMS)


def qkv(seed: int, *, tokens: int = 43, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """43 tokens: two groups of 16 and a ragged one."""
    draw = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 3, tokens, 8, generator=draw, dtype=torch.float64) for _ in range(3))
    return (2 * q).to(dtype), k.to(dtype), v.to(dtype)


def started(options: SparseAttention, *inputs: Tensor) -> AttentionState:
    """After the first two real forwards, both on these inputs."""
    state = AttentionState(options)
    for kind in (Kind.FULL_INIT, Kind.FULL_MASK):
        state.step(kind, *inputs)
    return state


def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return scaled_dot_product_attention(q, k, v)


def off(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_full_step_is_dense(dtype: torch.dtype) -> None:
    inputs = qkv(0, dtype=dtype)
    out = AttentionState(OPTIONS).step(Kind.FULL_INIT, *inputs)
    assert out.dtype == dtype
    assert off(out, dense(*(x.double() for x in inputs))) < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("form", FORMS)
def test_all_columns_are_dense_attention_however_far_the_inputs_moved(form: str, dtype: torch.dtype) -> None:
    state = started(replace(OPTIONS, form=form, top_keys=1.0), *qkv(0, dtype=dtype))
    for scale in (1.0, 30.0, 0.01):
        q, k, v = qkv(1, dtype=dtype)
        out = state.step(Kind.SPARSE, scale * q, k, v)
        assert off(out, dense(scale * q.double(), k.double(), v.double())) < 1e3 * torch.finfo(dtype).eps


@pytest.mark.parametrize("form", FORMS)
def test_without_one_column_it_is_not_dense(form: str) -> None:
    state = started(replace(OPTIONS, form=form, top_keys=42 / 43), *qkv(0))
    assert off(state.step(Kind.SPARSE, *qkv(1)), dense(*qkv(1))) > 1e-4


@pytest.mark.parametrize("kind", [Kind.FULL_MASK, Kind.FULL])
@pytest.mark.parametrize("mass", ["current", "previous"])
@pytest.mark.parametrize("form", FORMS)
def test_a_sparse_step_on_the_input_of_the_full_step_before_it_is_dense(form: str, mass: str, kind: Kind) -> None:
    state = started(replace(OPTIONS, form=form, column_mass=mass), *qkv(0))
    state.step(kind, *qkv(1))
    assert off(state.step(Kind.SPARSE, *qkv(1)), dense(*qkv(1))) < 1e-13
    assert off(state.step(Kind.SPARSE, *qkv(2)), dense(*qkv(2))) > 1e-2


def test_the_merge_is_exact_while_the_columns_left_out_keep_their_logits_and_values() -> None:
    """New keys and values inside the choice, old ones outside: the partition function follows. The delta form's does not."""
    (q, k, v), group = qkv(0), 64  # one group
    errors = {}
    for form in FORMS:
        state = started(replace(OPTIONS, form=form, mbm=group), q, k, v)
        assert state.columns is not None
        inside = torch.zeros(2, 3, 43, 1, dtype=torch.bool).scatter(2, state.columns.squeeze(2).unsqueeze(-1), True)
        moved = [torch.where(inside, new, old) for new, old in zip(qkv(1)[1:], (k, v), strict=True)]
        errors[form] = off(state.step(Kind.SPARSE, q, *moved), dense(q, *moved))
    assert errors["lse_merge"] < 1e-13
    assert errors["delta"] > 1e-2


@pytest.mark.parametrize("follow", [False, True])
def test_a_remainder_that_follows_is_exact_where_the_values_left_out_move_together(follow: bool) -> None:
    """And still where they do not move at all; one that stays behind lacks its mass times the drift."""
    (q, k, v), drift = qkv(0), torch.linspace(-1, 1, 8, dtype=torch.float64)
    for options in (replace(OPTIONS, follow_values=follow), replace(OPTIONS, follow_values=follow, top_keys=1.0)):
        state = started(options, q, k, v)
        error = off(state.step(Kind.SPARSE, q, k, v + drift), dense(q, k, v + drift))
        assert error < 1e-13 if follow or options.top_keys == 1 else error > 1e-2
        assert off(state.step(Kind.SPARSE, q, k, v), dense(q, k, v)) < 1e-13
    state = started(replace(OPTIONS, follow_values=follow, mbm=64), q, k, v)
    assert state.columns is not None
    inside = torch.zeros(2, 3, 43, 1, dtype=torch.bool).scatter(2, state.columns.squeeze(2).unsqueeze(-1), True)
    changed = [torch.where(inside, new, old) for new, old in zip(qkv(1)[1:], (k, v), strict=True)]
    assert off(state.step(Kind.SPARSE, q, *changed), dense(q, *changed)) < 1e-13


def test_the_delta_follows_on_its_own() -> None:
    q, k, v = qkv(0)
    state = started(replace(OPTIONS, form="delta", follow_values=True), q, k, v)
    assert off(state.step(Kind.SPARSE, q, k, v + 1), dense(q, k, v + 1)) < 1e-13


@pytest.mark.parametrize("shift", [-700.0, -90.0, 90.0, 700.0])
def test_logits_that_move_far_overflow_nothing(shift: float) -> None:
    """Upstream keeps 1 / sum(exp): infinite beyond logits of 88."""
    q, k, v = qkv(0, dtype=torch.float32)
    state = started(OPTIONS, q, k, v)
    direction = torch.full((8,), 1.0)
    moved = state.step(Kind.SPARSE, q + shift / 8 * direction, k + direction, v)
    assert moved.isfinite().all()
    assert moved.abs().max() <= 3 * v.abs().max(), "a weighted mean of values and remainder"


def test_the_columns_are_those_of_the_largest_probability_mass_per_head_and_group() -> None:
    q, k, v = qkv(0)
    columns = started(OPTIONS, q, k, v).columns
    probabilities = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1)
    assert columns is not None
    for group, rows in enumerate((slice(0, 16), slice(16, 32), slice(32, 43))):
        wanted = probabilities[:, :, rows].sum(2).topk(13, -1).indices.sort(-1).values
        assert torch.equal(columns[:, :, group], wanted)
    assert columns.unique(dim=2).shape[2] == 3, "groups choose for themselves"


@pytest.mark.parametrize("renew", [False, True])
def test_columns_change_at_mask_steps_only(renew: bool) -> None:
    state = started(OPTIONS, *qkv(0))
    before = state.columns
    state.step(Kind.FULL_MASK if renew else Kind.FULL, *qkv(1))
    assert before is not None and state.columns is not None
    assert torch.equal(state.columns, before) is not renew


@pytest.mark.parametrize("form", FORMS)
def test_one_row_of_the_batch_never_reaches_another(form: str) -> None:
    inputs, others = [[*qkv(seed)] for seed in range(4)], [[*qkv(seed)] for seed in range(4)]
    for x, other in zip(inputs, others, strict=True):
        for mine, strange in zip(x, other, strict=True):
            strange[1] = mine[1].flip(-1) * 3
    kinds = (Kind.FULL_INIT, Kind.FULL_MASK, Kind.SPARSE, Kind.FULL)
    one, two = AttentionState(replace(OPTIONS, form=form)), AttentionState(replace(OPTIONS, form=form))
    for kind, x, other in zip(kinds, inputs, others, strict=True):
        a, b = one.step(kind, *x), two.step(kind, *other)
        assert torch.equal(a[0], b[0]) and not torch.equal(a[1], b[1])


@pytest.mark.parametrize("form", FORMS)
def test_what_a_step_returns_is_the_callers_to_destroy(form: str) -> None:
    kinds = (Kind.FULL_INIT, Kind.FULL_MASK, Kind.SPARSE, Kind.SPARSE, Kind.FULL, Kind.SPARSE)
    kept, spoiled = AttentionState(replace(OPTIONS, form=form)), AttentionState(replace(OPTIONS, form=form))
    for step, kind in enumerate(kinds):
        wanted, inputs = kept.step(kind, *qkv(step)), qkv(step)
        found = spoiled.step(kind, *inputs)
        assert torch.equal(found, wanted)
        assert all(torch.equal(a, b) for a, b in zip(inputs, qkv(step), strict=True)), "inputs are not written to"
        for tensor in (found, *inputs):
            tensor.fill_(torch.nan)


@pytest.mark.parametrize(("tokens", "mbm"), [(1, 16), (16, 16), (17, 16), (43, 7), (43, 100)])
def test_any_number_of_tokens_fits(tokens: int, mbm: int) -> None:
    options = replace(OPTIONS, mbm=mbm, top_keys=1.0)
    state = started(options, *qkv(0, tokens=tokens))
    inputs = qkv(1, tokens=tokens)
    assert off(state.step(Kind.SPARSE, *inputs), dense(*inputs)) < 1e-13
