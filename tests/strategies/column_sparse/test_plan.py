"""Laws of the plan: the published schedule where every step runs, and the right clock for each decision where not."""

from dataclasses import replace

import pytest

from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseAttention, SparseMlp
from sdaccel.strategies.column_sparse.plan import Kind, next_plan, plans
from sdaccel.strategies.forecast.plan import full_steps

OPTIONS = ColumnSparse()


def real(steps: int, interval: int) -> list[int]:
    """Denoise steps at which a forecasting mode runs the model."""
    return [step for step, full in enumerate(full_steps(steps, interval=interval, first_enhance=3)) if full]


def full(steps: list[int], options: ColumnSparse = OPTIONS, half: str = "attn") -> list[int]:
    return [plan.step for plan in plans(steps, options) if getattr(plan, half) is not Kind.SPARSE]


@pytest.mark.parametrize("steps", [28, 50])
def test_without_forecasts_it_is_the_published_schedule(steps: int) -> None:
    every = list(range(steps))
    assert full(every) == [0, 1, *range(10, steps, 10)]
    assert full(every, half="mlp") == list(range(0, steps, 10))


def test_the_second_real_forward_chooses_and_the_others_keep_the_choice() -> None:
    kinds = [plan.attn for plan in plans(range(21), OPTIONS)]
    assert kinds[:2] == [Kind.FULL_INIT, Kind.FULL_MASK]
    assert kinds[10] is kinds[20] is Kind.FULL
    renewed = plans(range(21), replace(OPTIONS, attn=SparseAttention(recompute_mask=True)))
    assert renewed[10].attn is renewed[20].attn is Kind.FULL_MASK


@pytest.mark.parametrize(("interval", "anchors"), [(2, 26), (3, 18), (5, 12), (7, 9)])
def test_under_forecasting_six_anchors_are_full_whatever_the_interval(interval: int, anchors: int) -> None:
    """The table of the design: refresh goes by denoise time, so staleness stays under one period and one interval."""
    steps = real(50, interval)
    assert len(steps) == anchors
    assert len(full(steps)) == 6
    made = plans(steps, OPTIONS)
    assert max(plan.step - plan.attn_full_at for plan in made) < 10 + interval


def test_neither_clock_alone_would_do() -> None:
    """Interval 5: by the ordinal of real forwards steps 0, 1 and 42 would be full, of multiples of 10 only 0 and 1."""
    steps = real(50, 5)
    by_ordinal = [step for i, step in enumerate(steps) if i < 2 or i % 10 == 0]
    by_step = [step for i, step in enumerate(steps) if i < 2 or step % 10 == 0]
    assert by_ordinal == [0, 1, 42] and by_step == [0, 1]
    assert full(steps) == [0, 1, 12, 22, 32, 42]


def test_an_explicit_schedule_is_kept_at_the_next_real_forward() -> None:
    options = replace(OPTIONS, attn=SparseAttention(full_step_schedule=[0, 1, 10, 40]))
    assert full(list(range(50)), options) == [0, 1, 10, 40]
    assert full([0, 1, 2, 9, 14, 19, 38, 45, 49], options) == [0, 1, 14, 45]


@pytest.mark.parametrize("steps", [28, 50])
@pytest.mark.parametrize("interval", [1, 5])
def test_a_half_that_is_off_changes_nothing_for_the_other(interval: int, steps: int) -> None:
    """Upstream counts calls of both, so switching one off halves the speed of the other's schedule."""
    both = plans(real(steps, interval), OPTIONS)
    only_attn = plans(real(steps, interval), replace(OPTIONS, mlp=SparseMlp(is_enabled=False)))
    only_mlp = plans(real(steps, interval), replace(OPTIONS, attn=SparseAttention(is_enabled=False)))
    assert [(p.attn, p.attn_full_at) for p in both] == [(p.attn, p.attn_full_at) for p in only_attn]
    assert [(p.mlp, p.mlp_full_at, p.select) for p in both] == [(p.mlp, p.mlp_full_at, p.select) for p in only_mlp]


def test_a_forward_is_full_if_every_enabled_half_is() -> None:
    def anchors(options: ColumnSparse) -> list[int]:
        return [plan.step for plan in plans(range(25), options) if plan.full]

    assert anchors(OPTIONS) == [0, 10, 20]
    assert anchors(replace(OPTIONS, mlp=SparseMlp(is_enabled=False))) == [0, 1, 10, 20]
    neither = ColumnSparse(SparseAttention(is_enabled=False), SparseMlp(is_enabled=False))
    assert anchors(neither) == list(range(25))


def test_without_a_previous_forward_everything_starts_over_at_any_step() -> None:
    plan = next_plan(None, 37, OPTIONS)
    assert plan.attn is plan.mlp is Kind.FULL_INIT
    assert next_plan(plan, 38, OPTIONS).attn is Kind.FULL_MASK


def test_a_plan_cannot_be_changed() -> None:
    plan = next_plan(None, 0, OPTIONS)
    with pytest.raises(AttributeError):
        plan.step = 3  # type: ignore[misc]
