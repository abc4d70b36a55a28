"""Laws of the stage cache, on a tiny VAR under both engines and a tiny HART."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.strategies.stage_cache.interpolate import interpolate
from sdaccel.strategies.stage_cache.maps import map_of
from sdaccel.strategies.stage_cache.strategy import StageCache
from tests.generators.hart import tiny as hart
from tests.strategies import pair

HART = hart.TINY
VAR = pair.TARGET
ALIKE: dict[str, Any] = {
    "attn": [[0.9] * (len(VAR.scales) - 2)] * VAR.depth,
    "mlp": [[0.2] * (len(VAR.scales) - 2)] * VAR.depth,
}


def stages(generator: Any) -> tuple[int, ...]:
    return map_of(generator.scales).tokens


def chain(generator: Any, **options: Any) -> StageCache:
    """The last two stages from what the one before the first of them stored."""
    tokens = stages(generator)
    own: dict[str, Any] = {"skip_stages": list(tokens[-2:]), "cache_stages": list(tokens[-3:-1]), "force": True}
    return StageCache(**(own | options))


def made(generator: Any, strategy: Any = None) -> Generation:
    return (
        hart.generate(generator, strategy=strategy) if generator is HART else pair.generate(generator.build(pair.CPU), strategy)
    )


def equal(a: Generation, b: Generation) -> bool:
    return torch.equal(a.images, b.images) and torch.equal(a.arrays["tokens"], b.arrays["tokens"])


MODELS = pytest.mark.parametrize("generator", [VAR, replace(VAR, engine="fast"), HART], ids=["var", "var_fast", "hart"])


@MODELS
def test_without_stages_above_no_similarity_and_by_no_sublayer_it_is_the_baseline(generator: Any) -> None:
    table = {kind: np.full((generator.depth, len(generator.scales) - 2), 0.99).tolist() for kind in ("attn", "mlp")}
    for off in (
        StageCache(),
        chain(generator, force=False, similarity=table, threshold=1.0),
        chain(generator, enable_attn_cache=False, enable_mlp_cache=False),
        chain(generator, skip_stages=[]),
    ):
        assert equal(made(generator, off), made(generator))


@MODELS
def test_reuse_changes_the_stages_from_the_first_reused_one_on(generator: Any) -> None:
    plain, reused = made(generator), made(generator, chain(generator))
    first = sum(stages(generator)[:-2])
    assert torch.equal(plain.arrays["tokens"][:, :first], reused.arrays["tokens"][:, :first])
    assert not torch.equal(plain.arrays["tokens"][:, first:], reused.arrays["tokens"][:, first:])
    assert reused.stats["reused_attn"][0].tolist() == [0] * (len(generator.scales) - 2) + [generator.depth] * 2


@MODELS
def test_attention_and_feed_forward_are_reused_apart(generator: Any) -> None:
    attn, mlp, both = (
        made(generator, chain(generator, **{f"enable_{off}_cache": False for off in others}))
        for others in (("mlp",), ("attn",), ())
    )
    assert not equal(attn, mlp) and not equal(attn, both) and not equal(mlp, both)
    assert attn.stats["reused_mlp"].sum() == mlp.stats["reused_attn"].sum() == 0


def test_engines_reuse_alike() -> None:
    double = replace(VAR, dtype="float64")
    eager, fast = (made(replace(double, engine=engine), chain(VAR)) for engine in ("eager", "fast"))
    assert torch.equal(eager.arrays["tokens"], fast.arrays["tokens"])
    assert (eager.images - fast.images).abs().max() < 1e-6


def test_a_reused_attention_leaves_its_keys_and_values_unless_they_are_dropped() -> None:
    one = chain(VAR, skip_stages=[stages(VAR)[-2]], cache_stages=[stages(VAR)[-3]], enable_mlp_cache=False)
    kept, dropped = made(VAR, one), made(VAR, replace(one, drop_kv=True))
    upto = sum(stages(VAR)[:-1])
    assert torch.equal(kept.arrays["tokens"][:, :upto], dropped.arrays["tokens"][:, :upto])
    assert not torch.equal(kept.images, dropped.images), "the last stage does not see the one that was dropped"


def test_similarity_above_the_threshold_decides_by_sublayer() -> None:
    tokens = stages(VAR)
    chosen = StageCache(
        skip_stages=list(tokens[-2:]), cache_stages=list(tokens[-3:-1]), similarity=ALIKE, threshold=0.5, max_skip_stages=2
    )
    alone = chain(VAR, enable_mlp_cache=False)
    assert equal(made(VAR, chosen), made(VAR, alone))


def graded() -> dict[str, Any]:
    """Similarities that all differ, by layer and stage."""
    rng = np.random.default_rng(0)
    return {kind: rng.uniform(0.4, 1.0, (VAR.depth, len(VAR.scales) - 2)).tolist() for kind in ("attn", "mlp")}


@pytest.mark.parametrize("budget", [0.0, 0.25, 0.5, 1.0])
def test_a_budget_reuses_the_likest_share_of_what_is_eligible(budget: float) -> None:
    tokens, table = stages(VAR), graded()
    chosen = StageCache(
        skip_stages=list(tokens[2:]), cache_stages=list(tokens[1:-1]), similarity=table, reuse_budget=budget, max_skip_stages=9
    )
    plan = chosen.planned(map_of(VAR.scales), VAR.depth)
    events = plan.events
    assert sum(e.hit for e in events) == round(budget * len(events))
    values = {e: table[e.kind][e.layer][e.stage - 2] for e in events}
    assert max((values[e] for e in events if not e.hit), default=0) <= min((values[e] for e in events if e.hit), default=1)


def test_the_seeds_adaptive_threshold_reuses_less_than_the_threshold_that_it_starts_from() -> None:
    """It moves to the 80th percentile of what it saw: a model whose stages are all alike reuses a fifth of them."""
    depth, scales = 8, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    rng = np.random.default_rng(1)
    table = {kind: rng.uniform(0.8, 1.0, (depth, len(scales) - 2)).tolist() for kind in ("attn", "mlp")}
    tokens = [side * side for side in scales]
    fixed = StageCache(skip_stages=tokens[2:], cache_stages=tokens[1:-1], similarity=table, threshold=0.7)
    plans = [s.planned(map_of(scales), depth).counted() for s in (fixed, replace(fixed, adaptive_threshold=True))]
    assert plans[0]["hit_rate"] == 1.0
    assert 0.1 < plans[1]["hit_rate"] < 0.5


def test_the_second_image_is_that_of_a_fresh_process() -> None:
    runtime = VAR.build(pair.CPU)
    first = pair.generate(runtime, chain(VAR))
    assert equal(pair.generate(runtime, chain(VAR)), first)
    assert equal(pair.generate(VAR.build(pair.CPU), chain(VAR)), first)


def test_its_price_is_that_of_what_it_computes() -> None:
    strategy, cost = chain(VAR), VAR.cost()
    counts = {kind: [0] * (len(VAR.scales) - 2) + [VAR.depth] * 2 for kind in ("attn", "mlp")}
    before, last = cost.sublayers[-2:]
    spared = VAR.depth * (before.attn - before.keys_values + before.ffn + last.attn + last.ffn)
    assert strategy.foreseen(cost, {}).macs == sum(cost.macs) - spared
    assert strategy._macs(cost, cost.macs, counts) == sum(cost.macs) - spared


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_corners_stay_corners(mode: str) -> None:
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    wide = interpolate(x, 5, mode)
    assert torch.allclose(wide[:, [0, 4, 20, 24]], x[:, [0, 2, 6, 8]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "strategy.threshold=1.5 is no similarity"),
        ({"interpolation_mode": "area"}, "strategy.interpolation_mode=area is unknown"),
        ({"calibration_samples": 50}, "strategy.calibration_samples=50 has no effect"),
        ({"reuse_budget": 2.0}, "strategy.reuse_budget=2.0 is no share"),
        ({"reuse_budget": 0.5, "adaptive_threshold": True}, "choose one"),
        ({"force": False}, "nobody measured"),
        ({"cache_stages": []}, "whose predecessor"),
        ({"skip_stages": [7]}, "strategy.skip_stages holds 7"),
        ({"max_skip_stages": 1}, "strategy.max_skip_stages=1"),
        ({"similarity": {"attn": [[0.5]], "mlp": [[0.5]]}}, "it was measured on another model"),
    ],
)
def test_what_cannot_work_is_one_sentence(options: dict[str, Any], message: str) -> None:
    strategy = chain(VAR, **options)
    with pytest.raises(BadInput, match=message):
        strategy.check(len(VAR.scales))
        strategy.fits(VAR, [])
