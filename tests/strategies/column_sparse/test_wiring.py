"""The audit and the two wiring bugs of a shipped stack: forecasting on top of sparse operators, wired wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.generators.base import Generation
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.forecast.audit import Audited
from sdaccel.strategies.forecast.strategy import Delta, Forecast, HiCache, HiCacheAnalytic, Newton, Taylor
from tests.generators.flux.test_audit import judged
from tests.generators.flux.tiny import batch, built, same
from tests.strategies.column_sparse.test_backend import everything
from tests.strategies.column_sparse.tiny import HALVES, SPARSE, generate

STRATEGY = HiCache(interval=1, max_order=2)
HONEST = [
    STRATEGY,
    Taylor(interval=1, first_enhance=1),
    HiCache(interval=3, first_enhance=2),
    Newton(interval=3),
    HiCacheAnalytic(interval=3),
    Delta(interval=3),
]
TRIPS = {"missed_ticks": "equal", "aliased_cache": "anchors_written"}


@pytest.fixture(scope="module")
def runtime() -> FluxRuntime:
    return built()


def second_image(runtime: FluxRuntime, strategy: Any, honest: Forecast, backend: Any = SPARSE) -> Generation:
    audited = Audited(strategy, honest=honest)
    generate(runtime, backend, audited, replace(batch(), seeds=torch.tensor([50, 51])))
    return generate(runtime, backend, audited)


@pytest.mark.parametrize("strategy", HONEST)
@pytest.mark.parametrize("half", HALVES)
def test_honest_stacks_keep_their_features_and_forecast_as_published(
    half: str, strategy: Forecast, runtime: FluxRuntime, tmp_path: Path
) -> None:
    made = second_image(runtime, strategy, strategy, HALVES[half])
    for name in ("anchors_written", "forecast_published"):
        m = judged(name, made, made, tmp_path / name)
        assert m.passed, f"{name}: {m.where}"


@pytest.mark.parametrize("mutant", TRIPS)
def test_a_wiring_bug_trips_its_check_and_leaves_the_model_as_it_was(mutant: str, runtime: FluxRuntime, tmp_path: Path) -> None:
    reference, before = generate(runtime), everything(runtime)
    with MUTANTS[mutant].plant(runtime, STRATEGY) as strategy:
        made = second_image(runtime, strategy, STRATEGY)
    m = judged(TRIPS[mutant], made, reference, tmp_path)
    assert m.passed is False
    assert everything(runtime) == before and same(generate(runtime), reference)


def test_missed_ticks_show_where_the_refresh_comes_late(runtime: FluxRuntime) -> None:
    with MUTANTS["missed_ticks"].plant(runtime, STRATEGY) as strategy:
        made = generate(runtime, SPARSE, strategy).arrays["latents"]
    honest = generate(runtime).arrays["latents"]
    first = SPARSE.attn.full_step_every
    assert torch.equal(made[:, : first + 1], honest[:, : first + 1]) and not torch.equal(
        made[:, first + 1], honest[:, first + 1]
    )


def test_an_aliased_cache_does_not_show_in_the_image_at_interval_1(runtime: FluxRuntime) -> None:
    """Why equality is not enough: only the audit of what is stored tells."""
    with MUTANTS["aliased_cache"].plant(runtime, STRATEGY) as strategy:
        assert same(generate(runtime, SPARSE, strategy), generate(runtime))


@pytest.mark.parametrize("mutant", TRIPS)
def test_a_dense_model_cannot_have_these_bugs(mutant: str, runtime: FluxRuntime) -> None:
    from sdaccel.strategies.plain import Dense

    with MUTANTS[mutant].plant(runtime, STRATEGY) as strategy:
        assert same(generate(runtime, Dense(), strategy), generate(runtime, Dense()))
