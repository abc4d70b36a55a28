"""Laws of the second model: what refuses a pair, and the primitives with which a strategy drives either model by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.strategies.base import Done
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.two_models import TwoModels
from tests.strategies.speculative.pairs import DRAFT, SIDES, TARGET, built

ENGINES = ["eager", "fast"]
LABELS, SEEDS = torch.tensor([1, 3, 0]), torch.tensor([7, 8, 9])


def guided(seam: ScaleSeam, first: int, last: int, **options: Any) -> Pass:
    return seam.guided(seam.canvas.inputs_of(first, last), first=first, last=last, **options)


def by_hand(seam: ScaleSeam, first: int, last: int, rows: list[int] | None = None) -> None:
    """Scales one by one through the primitives."""
    for k in range(first, last + 1):
        tokens, codes = seam.draw(guided(seam, k, k, rows=rows), k)
        seam.paint(k, tokens, codes, rows=rows)


def finished(seam: Any) -> Tensor:
    return seam.finish().tokens


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [{}, {"cfg": 3.0, "top_k": 7}, {"more_smooth": True}], ids=str)
@torch.no_grad()
def test_driving_by_hand_is_what_the_generator_does_itself(engine: str, options: dict[str, Any]) -> None:
    runtime = built(replace(TARGET, engine=engine, dtype="float64", **options))
    own, driven = (runtime.start(LABELS, SEEDS) for _ in range(2))
    for k in range(len(SIDES)):
        own.full(k)
    by_hand(driven, 0, len(SIDES) - 1)
    expected, made = own.finish(), driven.finish()
    assert torch.equal(made.tokens, expected.tokens)
    assert (made.f_hats - expected.f_hats).abs().max() < 1e-11


@torch.no_grad()
def test_the_published_way_to_run_can_be_driven_too_but_not_some_rows_alone() -> None:
    runtime = built(replace(TARGET, engine="autocast", dtype="bfloat16"))
    own, driven = (runtime.start(LABELS, SEEDS) for _ in range(2))
    for k in range(len(SIDES)):
        own.full(k)
    by_hand(driven, 0, len(SIDES) - 1)
    with pytest.raises(ValueError, match="same tokens of every row"):
        guided(driven, 3, 3, rows=[0])
    assert torch.equal(finished(driven), finished(own))


def test_speculation_beside_rows_that_cannot_part_is_bad_input() -> None:
    Coupled(draft=DRAFT).fits(TARGET, [1])
    with pytest.raises(BadInput, match=r"part ways, and generator.engine=autocast .* set generator.engine=eager or fast"):
        Coupled(draft=DRAFT).fits(replace(TARGET, engine="autocast", dtype="bfloat16"), [1])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", range(len(SIDES)))
@torch.no_grad()
def test_one_pass_over_scales_gives_the_logits_of_one_pass_each(engine: str, first: int) -> None:
    loop = built(replace(TARGET, engine=engine, dtype="float64")).start(LABELS, SEEDS)
    by_hand(loop, 0, len(SIDES) - 1)
    last = len(SIDES) - 1
    each = torch.cat([guided(loop, k, k).logits for k in range(first, last + 1)], 1)
    together = guided(loop, first, last).logits
    assert (together - each).abs().max() < 1e-11


@pytest.mark.parametrize("engine", ENGINES)
@torch.no_grad()
def test_a_pass_for_some_rows_leaves_the_others_where_they_are(engine: str) -> None:
    runtime = built(replace(TARGET, engine=engine))
    plain, ragged = (runtime.start(LABELS, SEEDS) for _ in range(2))
    by_hand(plain, 0, len(SIDES) - 1)
    by_hand(ragged, 0, 0)
    by_hand(ragged, 1, 3, rows=[1])  # one row runs ahead, the others catch up in two groups
    by_hand(ragged, 1, 2, rows=[2])
    by_hand(ragged, 1, 3, rows=[0])
    by_hand(ragged, 3, 3, rows=[2])
    kv = [loop.run.kv for loop in (plain, ragged)]  # type: ignore[attr-defined]
    assert torch.equal(kv[0].keys, kv[1].keys) and torch.equal(kv[0].values, kv[1].values)
    assert torch.equal(finished(ragged), finished(plain))


@torch.no_grad()
def test_without_naming_rows_a_pass_overwrites_those_that_ran_ahead() -> None:
    """The mutant of the law above."""
    runtime = built(TARGET)
    plain, ragged = (runtime.start(LABELS, SEEDS) for _ in range(2))
    by_hand(plain, 0, 3)
    by_hand(ragged, 0, 3, rows=None)
    first = finished(plain)[:1, :1]
    ragged.paint(0, (first + 1) % 32, plain.codebook[first] * 2, rows=[0])
    guided(ragged, 1, 1)
    kv = [loop.run.kv for loop in (plain, ragged)]  # type: ignore[attr-defined]
    assert not torch.equal(kv[0].keys[:, 0], kv[1].keys[:, 0])
    assert torch.equal(kv[0].keys[:, 1], kv[1].keys[:, 1])


@torch.no_grad()
def test_a_bias_of_the_callers_decides_who_sees_whom() -> None:
    loop = built(replace(TARGET, dtype="float64")).start(LABELS, SEEDS)
    by_hand(loop, 0, 3)
    causal = guided(loop, 0, 2).logits
    rows = torch.arange(TARGET.layout.row_start(3))
    seen = rows.unsqueeze(0) <= rows.unsqueeze(1)
    token_by_token = guided(loop, 0, 2, bias=torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)).logits
    assert torch.allclose(causal[:, 0], token_by_token[:, 0])
    assert not torch.allclose(causal[:, 1], token_by_token[:, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_nums": [1, 2, 4]}, r"patch_nums=\[1, 2, 4\] and generator.patch_nums=\[1, 2, 3, 4\] differ"),
        ({"vocab": 16}, "draft.vocab=16 and generator.vocab=32 differ"),
        ({"num_classes": 9}, "draft.num_classes=9"),
        ({"init_seed": 1}, "two tokenizers"),
        ({"Cvae": 8}, "two tokenizers"),
    ],
)
def test_models_that_cannot_read_each_other_are_bad_input(change: dict[str, Any], message: str) -> None:
    TwoModels(draft=DRAFT).fits(TARGET, [1])
    with pytest.raises(BadInput, match=message):
        TwoModels(draft=replace(DRAFT, **change)).fits(TARGET, [1])


def test_a_draft_that_is_no_next_scale_generator_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no next-scale generator"):
        TwoModels(draft=None).fits(TARGET, [1])


def test_the_draft_is_sampled_held_and_computed_like_the_target() -> None:
    target = replace(TARGET, cfg=4.0, top_k=3, dtype="bfloat16", engine="fast")
    (draft,) = TwoModels(draft=DRAFT).models(target).values()
    assert (draft.depth, draft.cfg, draft.top_k, draft.dtype, draft.engine) == (1, 4.0, 3, "bfloat16", "fast")


def test_macs_count_every_scale_as_often_as_it_was_computed() -> None:
    strategy, costs = TwoModels(draft=DRAFT), [config.cost() for config in (TARGET, DRAFT)]
    stats = {"target_runs": [1, 1, 2, 1], "draft_runs": [1, 2, 0, 0]}
    wanted = sum(costs[0].macs) + costs[0].macs[2] + costs[1].macs[0] + 2 * costs[1].macs[1]
    assert strategy.macs(Done([], costs[0], {"draft": costs[1]}, stats)) == pytest.approx(wanted)
