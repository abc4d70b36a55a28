"""Laws of true guidance: two branches in one batch, which strategies see as rows."""

from dataclasses import replace

import pytest
import torch

from sdaccel.strategies.forecast.audit import Audited
from sdaccel.strategies.forecast.strategy import Forecast, HiCache, Taylor
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import CPU, PROMPTS, TINY, batch, bind, built, from_features, generate, noise, relative, same

CFG = 2.5
GUIDED = replace(TINY, true_cfg=CFG, guidance_embeds=False)


@torch.no_grad()
def test_the_guided_velocity_leads_from_the_untold_one_past_the_told_one() -> None:
    plain = replace(GUIDED, true_cfg=1.0).build(CPU)
    x = noise([1, 2])
    told, untold = bind(plain).full(3, x), bind(plain, ["", ""]).full(3, x)
    guided = bind(GUIDED.build(CPU)).full(3, x)
    assert relative(guided, untold + CFG * (told - untold)) < 1e-5
    assert relative(guided, told) > 1e-3


@torch.no_grad()
def test_features_of_both_branches_are_all_that_the_guided_velocity_needs() -> None:
    seam, x, features = bind(GUIDED.build(CPU)), noise([1, 2]), {}
    v = seam.full(3, x, emit=lambda name, feature: features.update({name: feature.clone()}))
    assert {len(feature) for feature in features.values()} == {2 * len(x)}
    assert relative(from_features(seam, 3, x, features), v) < 1e-5


@pytest.mark.parametrize("strategy", [HiCache(interval=1), Taylor(interval=1)], ids=["hicache", "taylor"])
def test_interval_1_is_the_unaccelerated_generation(strategy: Forecast) -> None:
    runtime = GUIDED.build(CPU)
    assert same(generate(runtime, strategy), generate(runtime, Original()))


def test_a_forecast_is_another_generation_and_its_audit_has_a_row_per_image() -> None:
    runtime, taylor = GUIDED.build(CPU), Taylor(interval=3)
    forecast, audited = generate(runtime, taylor), generate(runtime, Audited(taylor, taylor))
    assert forecast.kinds.count("forecast") > 0
    assert not same(forecast, generate(runtime, Original()))
    assert torch.equal(audited.arrays["latents"], forecast.arrays["latents"])
    assert audited.arrays["anchor_error"].shape == (2, TINY.num_steps)
    assert audited.arrays["anchor_error"].nan_to_num().max() == 0
    assert audited.arrays["reference_error"].nan_to_num().max() < 1e-5


def test_guidance_of_1_costs_and_changes_nothing() -> None:
    assert same(generate(replace(TINY, true_cfg=1.0).build(CPU), Original()), generate(built(), Original()))
    assert GUIDED.cost().macs[0] == 2 * replace(GUIDED, true_cfg=1.0).cost().macs[0]
    assert GUIDED.cost().features == {name: 2 * count for name, count in TINY.cost().features.items()}


def test_without_a_prompt_guidance_changes_nothing_but_rounding() -> None:
    untold = batch(["", ""])
    guided = generate(GUIDED.build(CPU), Original(), untold)
    plain = generate(replace(GUIDED, true_cfg=1.0).build(CPU), Original(), untold)
    assert relative(guided.images, plain.images) < 1e-4


def test_prompts_still_matter_row_by_row() -> None:
    runtime = GUIDED.build(CPU)
    first, second = generate(runtime, Original()), generate(runtime, Original(), batch([PROMPTS[0], "three owls"]))
    assert torch.equal(first.images[0], second.images[0]) and not torch.equal(first.images[1], second.images[1])
