"""The price of a sparse forward is what the plain operators really multiply."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sdaccel.measure.macs import forward_macs
from sdaccel.strategies.column_sparse.cost import neurons
from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseMlp
from sdaccel.strategies.forecast.strategy import HiCache
from sdaccel.strategies.plain import Dense
from tests.generators.flux.tiny import CPU, TINY, bind, noise
from tests.strategies.column_sparse.tiny import ATTN, HALVES, MLP, SPARSE, opened

GENERATOR = replace(TINY, doubles=3, text_tokens=16, num_steps=12)
"""48 tokens: groups of 16 without a ragged one, which would compute rows of zeros too."""


@pytest.mark.parametrize("half", HALVES)
def test_the_price_of_every_step_is_counted(half: str) -> None:
    options = HALVES[half]
    options = replace(options, mlp=replace(options.mlp, fixed_count=40))
    runtime = GENERATOR.build(CPU)
    seam = bind(runtime)
    attached = opened(runtime, options, seeds=[1])
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), attached as operators:  # the counter does not know the CPU's fused one
        seam.operators = operators
        counted = [forward_macs(lambda step=step: seam.full(step, noise([1, 2]))) / 2 for step in range(12)]  # type: ignore[misc]
    priced = options.macs(GENERATOR, GENERATOR.cost(), ["full"] * 12)
    assert counted == pytest.approx(priced, rel=1e-9)
    assert priced[3] < GENERATOR.cost().macs[3]


def test_steps_that_are_forecast_cost_what_they_cost_without_a_backend() -> None:
    cost, kinds = GENERATOR.cost(), HiCache(interval=4).plan(12)
    sparse, dense = SPARSE.macs(GENERATOR, cost, kinds), Dense().macs(GENERATOR, cost, kinds)
    assert dense == cost.macs_of(kinds)
    assert [a == b for a, b in zip(sparse, dense, strict=True)] == [kind != "full" for kind in kinds]


def test_under_true_guidance_both_branches_save() -> None:
    plain, guided = (replace(GENERATOR, true_cfg=cfg, guidance_embeds=False) for cfg in (1.0, 2.0))
    one, two = (SPARSE.macs(g, g.cost(), ["full"] * 12) for g in (plain, guided))
    assert two == pytest.approx([2 * macs for macs in one])


def test_flux_devs_published_shares() -> None:
    """At 4608 tokens 17 % of columns; 33.5 % of neurons are expected, and filled up to 35.4 %."""
    published = ColumnSparse(mlp=SparseMlp(random_keys=0.05))
    assert published.attn.count(4608) == 784
    assert neurons(published.mlp, 12288) == 4352
    assert neurons(replace(MLP, fixed_count=7), 40) == 7 and ATTN.count(48) == 8
