"""Laws of the audit and of the planted bugs: watching changes nothing, honest arms pass, every bug trips its check."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.samples import Samples
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.audit import Audited
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.forecast.strategy import Forecast, HiCache, HiCacheAnalytic, Taylor
from sdaccel.strategies.plain import Dense, Original
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Verdict, parse
from sdaccel.studies.results import Result
from tests.generators.flux.tiny import FORECASTS, MODES, PROMPTS, batch, generate, hooks, same

STRATEGY = HiCache(interval=1, max_order=2)
AUDIT = {"anchor_error", "reference_error", "forecast_error", "reuse_error"}
TRIPS = {
    "sign_flip": "forecast_published",
    "aliased_anchor": "anchors_written",
    "stale_anchor": "anchors_written",
    "dropped_norm": "equal",
}
"""The two bugs of operators that remember are tried in tests/strategies/column_sparse."""
ABOVE = ["frozen_k", "undivided"]
"""Fail at `forecast_published` from interval 2 on."""


def result(made: Generation, folder: Path, template: str) -> Result:
    """A generation as the checks get it: from disk."""
    samples = Samples(folder / template)
    for row in range(len(made.images)):
        pixels = (made.images[row].permute(1, 2, 0) * 255).byte().numpy()
        arrays = {name: array[row].numpy() for name, array in made.arrays.items()}
        samples.write(row, condition=PROMPTS[row], image=pixels, kinds=made.kinds, arrays=arrays)
    arm = Arm(template=template, point={}, generator=None, backend=Dense(), strategy=STRATEGY, config={}, observers=("audit",))
    return Result(arm, samples, range(len(made.images)))


def judged(check: str, made: Generation, reference: Generation, folder: Path) -> Verdict:
    """What a check says of a generation, where it compares beside another one."""
    results = [result(reference, folder, "reference"), result(made, folder, "made")]
    spec = parse({check: ["reference", "made"] if check == "equal" else ["made"]})
    (verdict,) = spec.judge(results)
    return verdict


def second_image(runtime: FluxRuntime, strategy: Any, honest: Forecast) -> Generation:
    """The audited generation that follows another one in the same process."""
    audited = Audited(strategy, honest=honest)
    generate(runtime, audited, replace(batch(), seeds=torch.tensor([50, 51])))
    return generate(runtime, audited)


@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("mode", FORECASTS)
def test_an_audited_run_is_the_unaudited_one(mode: str, interval: int, either: FluxRuntime) -> None:
    strategy = FORECASTS[mode](interval=interval, max_order=2)
    plain, audited = generate(either, strategy), generate(either, Audited(strategy, honest=strategy))
    assert same(plain, audited) and plain.kinds == audited.kinds
    assert set(audited.arrays) == {"latents"} | AUDIT
    assert hooks(either) == 0


@pytest.mark.parametrize("first_enhance", [1, 3])
@pytest.mark.parametrize(("interval", "max_order"), [(1, 0), (1, 3), (3, 2)])
@pytest.mark.parametrize("mode", FORECASTS)
def test_honest_strategies_keep_their_features_and_forecast_as_published(
    mode: str, interval: int, max_order: int, first_enhance: int, either: FluxRuntime, tmp_path: Path
) -> None:
    strategy = FORECASTS[mode](interval=interval, max_order=max_order, first_enhance=first_enhance)
    made = second_image(either, strategy, strategy)
    for name in ("anchors_written", "forecast_published"):
        m = judged(name, made, made, tmp_path / name)
        assert m.passed, f"{name}: {m.where}"


@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("mode", sorted({*MODES} - {*FORECASTS}))
def test_the_other_modes_forecast_as_published_too(mode: str, interval: int, either: FluxRuntime, tmp_path: Path) -> None:
    strategy = MODES[mode](interval=interval)
    made = generate(either, Audited(strategy, honest=strategy))
    for name in ("anchors_written", "forecast_published"):
        m = judged(name, made, made, tmp_path / name)
        assert m.passed, f"{name}: {m.where}"


@pytest.mark.parametrize("option", [{"granularity": "block"}, {"clock": "time"}])
def test_what_the_audit_does_not_watch_is_one_line(option: dict[str, str], runtime: FluxRuntime) -> None:
    strategy = replace(Taylor(interval=3), **option)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no published formula for these options of taylor"):
        Audited.check("arm x", strategy=strategy, generator=runtime.config)


def test_the_audit_compares_every_full_step_and_every_step_after_the_first(runtime: FluxRuntime) -> None:
    made = generate(runtime, Audited(Taylor(interval=3), honest=Taylor(interval=3)))
    full = torch.tensor([kind == "full" for kind in made.kinds])
    later = torch.arange(len(full)) > 0
    expected = {"anchor_error": full, "reference_error": later, "forecast_error": full & later, "reuse_error": full & later}
    for name, there in expected.items():
        assert torch.equal(~made.arrays[name].isnan(), there.expand(2, -1)), name


def test_order_0_forecasts_are_reuse(runtime: FluxRuntime) -> None:
    strategy = Taylor(interval=1, max_order=0)
    arrays = generate(runtime, Audited(strategy, honest=strategy)).arrays
    assert torch.equal(arrays["forecast_error"][:, 1:], arrays["reuse_error"][:, 1:])
    assert float(arrays["reuse_error"][:, 1:].min()) > 0


class Rounding(AnchorRing):
    """Keeps features in half the precision: too near to the truth for any eye."""

    def write(self, name: str, feature: torch.Tensor) -> None:
        super().write(name, feature.to(torch.bfloat16).to(feature.dtype))


class Rounded(Taylor):
    def ring(self, names: Sequence[str]) -> AnchorRing:
        return Rounding(self.max_order + 1, names)


def test_the_audit_sees_anchors_of_lower_precision(runtime: FluxRuntime, tmp_path: Path) -> None:
    made = generate(runtime, Audited(Rounded(interval=1), honest=Taylor(interval=1)))
    assert same(made, generate(runtime, Original())), "at interval=1 the image cannot show it"
    assert judged("anchors_written", made, made, tmp_path).passed is False


@pytest.mark.parametrize("strategy", [HiCacheAnalytic(smooth=0.5), HiCacheAnalytic(q_quantile=0.9)])
def test_a_strategy_without_a_published_formula_is_one_line(strategy: Forecast, runtime: FluxRuntime) -> None:
    with pytest.raises(
        BadInput, match="arm x: audit=true knows no published formula for these options of hicache_an"
    ) as caught:
        Audited.check("arm x", strategy=strategy, generator=runtime.config)
    assert "\n" not in str(caught.value)


class StuckRule(ForecastRule):
    """Makes every step up to the next full one with the sum of the first, though its forecasts of single features are right."""

    def _ahead(self, step: int) -> dict[int, torch.Tensor]:
        sums = super()._ahead(step)
        return dict.fromkeys(sums, sums[step])


class Stuck(Taylor):
    def start(self, seam: Any, *, steps: int) -> ForecastRule:
        return StuckRule(self, seam, plan=self.plan(steps))


def test_the_audit_sees_what_a_step_was_really_made_with(runtime: FluxRuntime, tmp_path: Path) -> None:
    made = generate(runtime, Audited(Stuck(interval=3), honest=Taylor(interval=3)))
    assert judged("forecast_published", made, made, tmp_path).passed is False


def test_every_mutant_is_tried_here_or_on_sparse_operators() -> None:
    of_stacks = {"missed_ticks", "aliased_cache", "sparse_deltas", "leaked_state", "naive_stack"}
    assert {*TRIPS, *ABOVE} | of_stacks == {name for name, mutant in MUTANTS.items() if mutant.of is Forecast}


@pytest.mark.parametrize("mutant", TRIPS)
def test_a_planted_bug_trips_its_check_and_honesty_does_not(mutant: str, either: FluxRuntime, tmp_path: Path) -> None:
    reference = generate(either, Original())
    honest: AbstractContextManager[Forecast] = nullcontext(STRATEGY)
    for planted, trips in [(honest, False), (MUTANTS[mutant].plant(either, STRATEGY), True)]:
        with planted as strategy:
            made = second_image(either, strategy, STRATEGY)
        m = judged(TRIPS[mutant], made, reference, tmp_path / str(trips))
        assert (m.passed is False) is trips, m.where


@pytest.mark.parametrize("interval", [3, 5])
@pytest.mark.parametrize("mutant", [*ABOVE, "sign_flip"])
@pytest.mark.parametrize("mode", ["taylor", "hicache", "hicache_analytic", "newton"])
def test_a_bug_of_distances_trips_the_audit_where_steps_are_forecast(
    mode: str, mutant: str, interval: int, runtime: FluxRuntime, tmp_path: Path
) -> None:
    honest = MODES[mode](interval=interval, max_order=2)
    with MUTANTS[mutant].plant(runtime, honest) as strategy:
        made = generate(runtime, Audited(strategy, honest=honest))
    assert judged("anchors_written", made, made, tmp_path / "anchors").passed
    assert judged("forecast_published", made, made, tmp_path / "forecasts").passed is False


@pytest.mark.parametrize("mutant", ABOVE)
def test_no_check_of_an_arm_at_interval_1_can_see_a_bug_of_distances(mutant: str, either: FluxRuntime, tmp_path: Path) -> None:
    """Why arms at interval 3 and 5 are audited: at interval 1 every distance is one step."""
    with MUTANTS[mutant].plant(either, STRATEGY) as strategy:
        made = second_image(either, strategy, STRATEGY)
    reference = generate(either, Original())
    for name in ("equal", "anchors_written", "forecast_published"):
        assert judged(name, made, reference, tmp_path / name).passed, name


@pytest.mark.parametrize("mutant", ["sign_flip", "aliased_anchor", "stale_anchor"])
def test_a_bug_of_the_forecast_alone_does_not_show_in_the_image_at_interval_1(mutant: str, runtime: FluxRuntime) -> None:
    """Why equality is not enough: these would pass it, and only the audit tells."""
    with MUTANTS[mutant].plant(runtime, STRATEGY) as strategy:
        assert same(second_image(runtime, strategy, STRATEGY), generate(runtime, Original()))


@pytest.mark.parametrize("mutant", ["sign_flip", "aliased_anchor", "stale_anchor"])
def test_a_bug_of_the_forecast_changes_the_image_where_steps_are_forecast(mutant: str, runtime: FluxRuntime) -> None:
    honest = HiCache(interval=3, max_order=2, first_enhance=1)
    fresh = generate(runtime, honest)
    with MUTANTS[mutant].plant(runtime, honest) as strategy:
        generate(runtime, strategy, batch(["something", "else"]))
        assert not same(generate(runtime, strategy), fresh)


def fingerprint(runtime: FluxRuntime) -> list[tuple[str, int, bytes]]:
    """Every module by identity and every weight by value."""
    modules = [(name, id(module), b"") for name, module in runtime.named_modules()]
    return modules + [(name, id(p), np.ascontiguousarray(p.detach()).tobytes()) for name, p in runtime.named_parameters()]


@contextmanager
def untouched(runtime: FluxRuntime) -> Iterator[None]:
    before, original = fingerprint(runtime), generate(runtime, Original())
    yield
    assert fingerprint(runtime) == before and hooks(runtime) == 0
    assert same(generate(runtime, Original()), original)


@pytest.mark.parametrize("mutant", [*TRIPS, *ABOVE])
def test_a_mutant_leaves_the_model_as_it_found_it(mutant: str, runtime: FluxRuntime) -> None:
    with untouched(runtime), MUTANTS[mutant].plant(runtime, STRATEGY) as strategy:
        generate(runtime, Audited(strategy, honest=STRATEGY))


@pytest.mark.parametrize("mutant", TRIPS)
def test_a_mutant_leaves_the_model_as_it_found_it_when_the_run_dies(mutant: str, runtime: FluxRuntime) -> None:
    with untouched(runtime), pytest.raises(LookupError), MUTANTS[mutant].plant(runtime, STRATEGY):
        raise LookupError


def test_the_fingerprint_sees_a_planted_bug(runtime: FluxRuntime) -> None:
    clean = fingerprint(runtime)
    with MUTANTS["dropped_norm"].plant(runtime, STRATEGY):
        assert fingerprint(runtime) != clean
