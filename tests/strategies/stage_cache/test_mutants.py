"""The bugs of the stage cache are bugs: each changes the pictures, and leaves no trace in the honest ones after it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.generators.hart.generator import PATCH_NUMS, Hart
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.stage_cache.maps import map_of
from sdaccel.strategies.stage_cache.rule import Slots, StageCacheRule
from sdaccel.strategies.stage_cache.strategy import StageCache
from tests.generators.hart import tiny

SHORT = replace(tiny.TINY, image_size=9, patch_nums=[1, 2, 3, 4, 5, 7, 9])
WHOLE = replace(tiny.TINY, depth=1, residual=False, image_size=64, patch_nums=list(PATCH_NUMS))
"""With the hole of the published map."""
ALIKE = {kind: [[0.9] * (WHOLE.steps - 2)] * WHOLE.depth for kind in ("attn", "mlp")}
CHAIN: dict[str, Any] = {"skip_stages": [49, 81], "cache_stages": [25, 49]}
FORCED = StageCache(**CHAIN, force=True)
CASES = {
    "index_hole": (WHOLE, StageCache(**CHAIN, similarity=ALIKE)),
    "text_as_stage": (SHORT, FORCED),
    "slot_leak": (SHORT, FORCED),
    "nearest_aligned": (SHORT, replace(FORCED, interpolation_mode="nearest")),
    "kv_dropped": (SHORT, replace(FORCED, skip_stages=[49], cache_stages=[25])),
}


def pictures(config: Hart, strategy: Any, seeds: Sequence[int] = (7,)) -> list[Tensor]:
    """One after the other under one strategy."""
    return [tiny.generate(config, tiny.batch(["a cat"], torch.tensor([seed])), strategy).images for seed in seeds]


class Watched(StageCache):
    """Keeps the slots of its last generation."""

    def start(self, seam: ScaleSeam, *, steps: int) -> StageCacheRule:
        rule = super().start(seam, steps=steps)
        KEPT[:] = [rule.answers[0].slots]
        return rule


KEPT: list[Slots] = []


def numbers_in_slots(strategy: StageCache) -> int:
    pictures(SHORT, strategy)
    return sum(held.numel() for held in KEPT[0].held.values())


def test_slots_hold_as_much_as_the_plan_says() -> None:
    plan, each = FORCED.planned(map_of(SHORT.scales), SHORT.depth), 2 * SHORT.embed_dim  # one picture, both branches
    watched = Watched(**CHAIN, force=True)
    assert numbers_in_slots(watched) == each * plan.held == each * SHORT.depth * 2 * (25 + 49)
    more = replace(watched, cache_stages=[16, 25, 49])
    assert numbers_in_slots(more) != each * plan.held, "a slot that the plan knows nothing of shows"


def test_every_bug_has_its_case() -> None:
    assert CASES.keys() == {name for name, mutant in MUTANTS.items() if mutant.of is StageCache}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_bug_shows_and_leaves_no_trace(name: str) -> None:
    config, honest = CASES[name]
    seeds = (8, 7) if name == "slot_leak" else (7,)
    plain = pictures(config, honest, seeds)
    with MUTANTS[name].plant(tiny.built(config), honest) as planted:
        made = pictures(config, planted, seeds)
    assert not torch.equal(made[-1], plain[-1])
    if name == "slot_leak":
        assert torch.equal(made[0], plain[0]), "the first picture cannot show it"
    if config is SHORT:
        assert torch.equal(pictures(config, honest)[-1], plain[-1])
