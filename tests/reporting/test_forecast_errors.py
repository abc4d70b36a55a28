"""What the diagnostics of forecasts show is what forecasts do: laws on exact sequences, and figures of a real small run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.records.view import Part, Record
from sdaccel.reporting import figures, style
from sdaccel.reporting.difference_laws import features
from sdaccel.reporting.forecast_errors import MODES, collected, damping, forecast_gain, gains, mode, overall
from sdaccel.strategies.forecast.weights import damped_coefficients, hermite_coefficients, taylor_coefficients
from tests.studies.frame import changed, run

N = 4


def products(feature: Any) -> dict[str, Any]:
    """As `collect` keeps them, of one number that is a function of the step."""
    rows = []
    for k in range(1, N):
        moved = np.array([feature(k), feature(-N), feature(-2 * N)]) - feature(0)
        rows.append([(moved[:, None] * moved).tolist()])
    return {"products": rows, "squares": [[1.0]] * (N - 1)}


def test_reuse_is_its_own_measure_and_a_line_is_met_by_its_slope() -> None:
    line = products(lambda s: 3 + 2 * s)
    assert gains(line, N, mode(0, taylor_coefficients)) == pytest.approx([1] * (N - 1))
    assert gains(line, N, mode(1, taylor_coefficients)) == pytest.approx([0] * (N - 1), abs=1e-7)
    assert gains(line, N, mode(1, hermite_coefficients, scale=0.5)) == pytest.approx([0.5] * (N - 1)), "half of the slope"


def test_newton_meets_a_parabola_and_taylor_does_not() -> None:
    parabola = products(lambda s: s**2)
    assert gains(parabola, N, MODES["newton, order 2"]) == pytest.approx([0] * (N - 1), abs=1e-6)
    assert min(gains(parabola, N, MODES["taylor, order 2"])) > 0.1


def test_where_nothing_but_noise_moves_damping_is_all_the_gain() -> None:
    """Features that forget themselves at every step: the less slope, the better, and HiCache's is half of Taylor's."""
    dice = np.random.default_rng(0)
    moved = dice.normal(size=(3, 4000)) - dice.normal(size=4000)
    noise = {"products": [[(moved @ moved.T / 4000).tolist()]] * (N - 1), "squares": [[1.0]] * (N - 1)}
    errors = [overall(noise, N, mode(1, damped_coefficients, scale=s)) for s in (0.1, 0.5, 0.5**0.5, 1.0)]
    assert errors == sorted(errors) and errors[0] > 1
    assert overall(noise, N, mode(1, hermite_coefficients, scale=0.5)) == pytest.approx(errors[1])


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    small = (
        "generator=flux_tiny",
        "data=default",
        "data.limit=1",
        "data.batch_size=1",
        "generator.num_steps=16",
        "study.arms.collect.interval=[3,5]",
    )
    return run("+exp=forecast_diagnostics", *small, "study.timing.repeats=0", output=tmp_path_factory.mktemp("collected"))


def test_the_study_passes_and_draws_what_it_asks_for(record: Record, tmp_path: Path) -> None:
    assert record.verdict == "pass"
    names = {path.stem for path in figures.draw(record, tmp_path)}
    assert names == set(record.study.figures)
    assert set(collected(record)) == {3, 5}


def test_both_figures_tell_one_story(record: Record) -> None:
    with style.styled():
        curves = {str(line.get_label()): line for line in damping(record).axes[0].lines}
        points = {str(line.get_label()): line for line in forecast_gain(record).axes[0].lines}
    x, y = (np.asarray(data) for data in curves["order 1: hicache = damped_taylor"].get_data())
    assert np.interp(1.0, x, y) == pytest.approx(overall(collected(record)[3], 3, MODES["taylor, order 1"]), rel=0.02)
    assert len(np.asarray(points["taylor, order 1"].get_ydata())) == 2


def test_features_are_named_as_the_seam_names_them(record: Record) -> None:
    from tests.generators.flux.tiny import bind, built

    first = next(arm for arm in record.arms.values() if "products" in arm.diagnostics)
    generator = Part("flux", {**first.generator.options, "doubles": 2, "singles": 2})
    assert features(changed(record, first.name, generator=generator)) == bind(built()).features
